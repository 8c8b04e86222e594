"""What every daemon does around its work: settings, logging, signals, metrics, exit codes.

Exit codes: 0 stopped as asked; 1 an error that may pass; 2 wrong settings or files; 3 going on would
be wrong, or a change cannot be applied (do not start it again before reading the message); 70 a bug.
A daemon that is killed leaves nothing that must be cleaned.
"""

from __future__ import annotations

import argparse
import atexit
import gc
import os
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from prometheus_client import CollectorRegistry

from shared import steps
from shared.control.fold import State
from shared.errors import BUG_EXIT_CODE, BadInput, SwitchbackError
from shared.logs import Logger, configure_logs, get_logger
from shared.metrics import ProgramMetrics
from shared.presence import Notebook, Presence, check_not_completed
from shared.primary_metrics import PrimaryMetrics
from shared.primary_page import PATH, PrimaryPage
from shared.product import product_version
from shared.pulse import HEALTH, READY, Pulse
from shared.redaction import redact
from shared.retrying import Retrying
from shared.secret_files import refuse_password
from shared.serving import start_server
from shared.settings import Settings, all_settings, load_settings
from shared.signals import set_on_signals
from shared.wsgi import Application


@dataclass(frozen=True, slots=True)
class Context:
    """What a daemon gets to work with; ``stop`` is set when it shall end, and it then ends soon.

    Whoever looks at the control stream tells ``heard``, whoever knows how far the work is tells ``pulse``: both
    are served.
    """

    settings: Settings
    stop: threading.Event
    registry: CollectorRegistry
    logger: Logger
    retrying: Retrying
    heard: Callable[[State], None]
    pulse: Pulse


def run_program(
    name: str,
    serve: Callable[[Context], None],
    *,
    needs: tuple[str, ...] = ("source", "target"),
    port: str,
    arguments: Sequence[str] | None = None,
) -> NoReturn:
    """Run ``serve`` as the program ``switchback-<name>`` and exit; ``port`` names the setting of its metrics port."""
    atexit.register(gc.freeze)  # or the interpreter looks for cycles at its end, for up to a third of a second
    code, message = _run(name, serve, needs, port, arguments)
    if message:
        sys.stderr.write(f"switchback-{name}: {redact(message)}\n")
    sys.stderr.flush()
    raise SystemExit(code)


def _run(
    name: str,
    serve: Callable[[Context], None],
    needs: tuple[str, ...],
    port: str,
    arguments: Sequence[str] | None,
) -> tuple[int, str]:
    flags = vars(_parser(name).parse_args(arguments))
    config, supervised = flags.pop("config"), flags.pop("supervised")
    if supervised and not os.read(0, 1):
        return 0, ""  # the supervisor ended before it said that the work may begin
    try:
        refuse_password(flags["target"])
        settings = load_settings(config, flags, needs=needs)
        steps.arm(os.environ.get(steps.VARIABLE))
        configure_logs(settings.log_format, settings.log_level)
        stop = _stop_on_signals(supervised=supervised)
        with Notebook(settings.state_dir, Presence.begin(name, settings.stream)) as notebook:
            code, message = _serve(serve, settings, stop, notebook, port)
            notebook.note.end(code, message)
            notebook.write()
    except SwitchbackError as error:
        return error.exit_code, str(error)
    return code, message


def _serve(
    serve: Callable[[Context], None], settings: Settings, stop: threading.Event, notebook: Notebook, port: str
) -> tuple[int, str]:
    """Exit code and last words; a bug goes into the log with its traceback."""
    note = notebook.note
    logger = get_logger(note.program)
    registry = CollectorRegistry()
    pulse, page = Pulse(), PrimaryPage(settings.stream)
    program, primary = ProgramMetrics(registry, note.program, settings.stream), PrimaryMetrics(registry)
    pages = {PATH: page.answer, HEALTH: pulse.health, READY: pulse.readiness}

    def remember(trouble: str) -> None:
        note.trouble = redact(trouble)
        notebook.write()

    def hear(state: State) -> None:
        page.update(state)
        primary.update(state)

    try:
        check_not_completed(settings.state_dir, settings.stream)
        note.port, note.bind = _serve_http(settings, port, registry, pages), settings.bind
        remember("")
        logger.info("started", stream=settings.stream, version=product_version(), metrics=note.port or "off")
        retrying = Retrying(stop, logger, program, pulse, remember)
        serve(Context(settings, stop, registry, logger, retrying, hear, pulse))
    except SwitchbackError as error:
        program.errors.labels(error.label).inc()
        logger.error("stopped", reason=str(error), error=error.label)  # noqa: TRY400  (expected: no traceback)
        return error.exit_code, str(error)
    except Exception:
        logger.exception("stopped by a bug in Switchback")
        return BUG_EXIT_CODE, "stopped by a bug in Switchback: the log has its traceback"
    logger.info("ended")
    return 0, ""


def _parser(name: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=f"switchback-{name}", allow_abbrev=False)
    parser.add_argument("--config", type=Path, metavar="FILE", help="settings file [./switchback.toml]")
    parser.add_argument("--supervised", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--version", action="version", version=product_version())
    for setting in (setting for setting in all_settings() if not setting.secret):
        parser.add_argument(setting.flag, dest=setting.name, metavar="VALUE", help=setting.help)
    return parser


def _stop_on_signals(*, supervised: bool) -> threading.Event:
    """An event that SIGTERM and SIGINT set; a second signal ends the process at once."""
    stop = threading.Event()
    set_on_signals(stop)
    if supervised:
        threading.Thread(target=_stop_with_parent, args=(stop,), name="parent", daemon=True).start()
    return stop


def _stop_with_parent(stop: threading.Event) -> None:
    """The supervisor holds the other end of stdin: it ends when the supervisor does, however that happened."""
    while os.read(0, 1024):
        pass
    stop.set()


def _serve_http(
    settings: Settings, port: str, registry: CollectorRegistry, pages: Mapping[str, Application]
) -> int | None:
    wanted: int | None = getattr(settings, port)
    if wanted is None:
        return None
    try:
        return start_server(settings.bind, wanted, registry, pages)
    except OSError as error:
        what = f"the metrics port {wanted} cannot be opened: {error.strerror}"
        remedy = f"Set {port} to a free port, to 0 for any, or to off"
        raise BadInput(what, where=f"{settings.bind}:{wanted}", remedy=remedy) from error
