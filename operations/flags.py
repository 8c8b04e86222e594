"""Flags for every setting, put on a typer command by a decorator.

The command is written as a function of ``Settings`` first and its own options after; on the command
line it takes ``--config`` and a flag for each setting, under the names that ``shared.settings`` gives them.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from functools import wraps
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import typer
from rich.markup import escape

from operations.screen import Interrupted
from shared.secret_files import refuse_password
from shared.settings import Setting, all_settings, load_settings

WHERE = ("source", "target", "target_password_file", "stream", "log", "state_dir")
"""The settings that say which migration is meant: shown in the help of every command."""

_SETTING = "setting_"  # keeps settings apart from a command's own parameters
_PANELS = (
    ("Which migration", frozenset(WHERE)),
    ("Which tables", frozenset({"tables", "exclude", "priorities", "types", "existing"})),
    (
        "Telling the application",
        frozenset({"hooks", "hook_seconds", "env_file", "app_sqlite_url", "app_postgres_url_file"}),
    ),
    (
        "Messages and metrics",
        frozenset({"capture_port", "sink_port", "topics_port", "bind", "log_format", "log_level"}),
    ),
)


def with_settings(*needs: str, every: bool = False) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give the command ``Settings`` in which ``needs`` are set; ``every`` shows all flags in its help."""

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        @wraps(command)
        def run(config: Path | None, **given: Any) -> None:  # noqa: ANN401  (typer hands over what was declared)
            flags = {setting.name: given.pop(_SETTING + setting.name) for setting in _flags()}
            refuse_password(flags["target"])
            try:
                command(load_settings(config, flags, needs=needs), **given)
            except KeyboardInterrupt:
                raise Interrupted("interrupted", remedy="`switchback status` tells how things stand") from None

        hints = get_type_hints(command, include_extras=True)
        own = [
            parameter.replace(annotation=hints[parameter.name])
            for parameter in list(inspect.signature(command).parameters.values())[1:]
        ]
        parameters = sorted([*own, *_parameters(every=every)], key=lambda parameter: parameter.kind)
        vars(run)["__signature__"] = inspect.Signature(parameters)  # this is what typer reads
        run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
        return run

    return decorate


def _flags() -> list[Setting]:
    return [setting for setting in all_settings() if not setting.secret]


def _parameters(*, every: bool) -> Iterator[inspect.Parameter]:
    config = typer.Option("--config", metavar="FILE", help=escape("settings file [./switchback.toml]"))
    yield _parameter("config", Annotated[Path | None, config])
    for setting in _flags():
        option = typer.Option(
            setting.flag,
            metavar="VALUE",
            help=escape(setting.help),
            hidden=not every and setting.name not in WHERE,
            rich_help_panel=_panel(setting),
        )
        yield _parameter(_SETTING + setting.name, Annotated[str | None, option])


def _parameter(name: str, annotation: object) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation)


def _panel(setting: Setting) -> str:
    if setting.path[0] == "kafka":
        return "Kafka"
    return next((panel for panel, names in _PANELS if setting.name in names), "Pace and sizes")
