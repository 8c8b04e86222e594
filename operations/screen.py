"""How the operator's program speaks: one console for answers, one for errors, and JSON where asked for."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TextIO

import msgspec
from rich.console import Console
from rich.table import Table
from rich.text import Text

from shared.errors import SwitchbackError
from shared.redaction import redact

_WIDTH_OF_PIPES = 160
_SILENT_SECONDS = 1.5

if sys.stdout is None:  # whoever started it closed it
    sys.stdout = Path(os.devnull).open("w")  # noqa: SIM115  (as long as the process)

out = Console(highlight=False, width=None if sys.stdout.isatty() else _WIDTH_OF_PIPES)
err = Console(stderr=True, highlight=False)

STYLES = {
    "ok": "green",
    "note": "cyan",
    "warn": "yellow",
    "refuse": "bold red",
    "could not run": "magenta",
}


class Interrupted(SwitchbackError):
    """Ctrl-C, with what there is to say about it."""

    exit_code = 130


def say(text: str, style: str = "") -> None:
    """One line on standard output; markup in it means nothing."""
    out.print(Text(redact(text), style=style), soft_wrap=True)


def tell(text: str, style: str = "") -> None:
    """``say`` of work that goes on whoever hears it: a reader that is gone, or a full disk, must not stop a switch."""
    try:
        say(text, style)
    except (OSError, SystemExit):  # rich's answer to a broken pipe is the latter
        _mute(sys.stdout)


def complain(text: str) -> None:
    """One line on standard error, if that takes it."""
    try:
        err.print(Text(f"switchback: {redact(text)}", style="red" if err.is_terminal else ""), soft_wrap=True)
    except (OSError, SystemExit):
        _mute(sys.stderr)


def _mute(stream: TextIO) -> None:
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


@contextmanager
def explained(text: str) -> Iterator[None]:
    """Say ``text`` where what is done here takes longer than one likes to wait without a word."""
    timer = threading.Timer(_SILENT_SECONDS, complain, [text])
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def say_json(value: Any) -> None:  # noqa: ANN401  (whatever msgspec can write)
    """One JSON document on a line of its own."""
    sys.stdout.write(msgspec.json.encode(_redacted(msgspec.to_builtins(value))).decode() + "\n")
    sys.stdout.flush()


def _redacted(value: Any) -> Any:  # noqa: ANN401  (builtins of any kind)
    """String by string: a password's end is not told from JSON's own marks."""
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, list):
        return [_redacted(one) for one in value]
    if isinstance(value, dict):
        return {name: _redacted(one) for name, one in value.items()}
    return value


def grid(*headings: str) -> Table:
    """A plain table that stays readable in a narrow window and in a pipe."""
    table = Table(box=None, pad_edge=False, header_style="bold", show_edge=False)
    for heading in headings:
        table.add_column(heading, overflow="fold")
    return table
