"""From flags, environment and file to ``Settings``; every mistake in them is one line."""

from __future__ import annotations

import difflib
import json
import os
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple, get_args

from pydantic import SecretStr, ValidationError
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, InitSettingsSource, PydanticBaseSettingsSource

from shared.addresses import check_log, check_target
from shared.errors import BadInput
from shared.options import PREFIX, Kafka, Settings
from shared.redaction import redact
from shared.secret_files import DsnWithFile, FileSecret

__all__ = ["Kafka", "Setting", "Settings", "all_settings", "load_settings", "to_environment"]

CONFIG_VARIABLE = f"{PREFIX}CONFIG"
DEFAULT_FILE = Path("switchback.toml")
_TOLD = ("PHASE", "EPOCH", "PRIMARY", "ATTEMPT", "DIRECTION", "REHEARSAL", "REASON")
"""What hooks and the application's env file say; it may stand in the environment of whoever is told."""
_NOT_SETTINGS = frozenset({CONFIG_VARIABLE, f"{PREFIX}KILL_AT", *(PREFIX + name for name in _TOLD)})
_TESTS = f"{PREFIX}TEST_"  # what the test suite reads
_PATHS = ("source", "state_dir", "target_password_file", "hooks", "env_file", "app_postgres_url_file")
_KAFKA_PATHS = ("sasl_password_file", "cafile")
_MOST_SECONDS = 1_000_000.0  # what PostgreSQL and SQLite take is milliseconds in 31 bits


class Setting(NamedTuple):
    """A setting with its names: ``path`` in the file, and what it is in words."""

    path: tuple[str, ...]
    field: FieldInfo

    @property
    def name(self) -> str:
        """The name as flags and the environment have it, in lower case with underscores."""
        return "_".join(self.path)

    @property
    def flag(self) -> str:
        """``--chunk-rows``."""
        return "--" + self.name.replace("_", "-")

    @property
    def variable(self) -> str:
        """``SWITCHBACK_CHUNK_ROWS``."""
        return PREFIX + self.name.upper()

    @property
    def secret(self) -> bool:
        """Whether it is never a flag: everybody on a machine can read the command lines of all programs."""
        return self.field.annotation is SecretStr and self.path != ("target",)

    @property
    def remedy(self) -> str:
        """Where it can be set."""
        flag = "" if self.secret else f"{self.flag}, "
        return f"Set {flag}{self.variable} or {'.'.join(self.path)} in switchback.toml"

    def of(self, settings: Settings) -> Any:  # noqa: ANN401  (settings are of many types)
        """Its value there."""
        value: Any = settings
        for part in self.path:
            value = getattr(value, part)
        return value

    @property
    def choices(self) -> list[str]:
        """The words that it may be, if it is one of some words."""
        return [choice for choice in get_args(self.field.annotation) if isinstance(choice, str)]

    @property
    def help(self) -> str:
        """What it is for, the words to choose from, and the default."""
        choices = f": {', '.join(self.choices)}" if self.choices else ""
        default = self.field.default
        shown = f" [{default}]" if isinstance(default, str | int | float) and default != "" else ""
        return f"{self.field.description}{choices}{shown}"


def all_settings() -> Iterator[Setting]:
    """Every setting, in the order in which they are documented."""
    for name, field in Settings.model_fields.items():
        if name == "kafka":
            yield from (Setting(("kafka", inner), info) for inner, info in Kafka.model_fields.items())
        else:
            yield Setting((name,), field)


def load_settings(
    config: Path | None, overrides: Mapping[str, object], *, needs: tuple[str, ...] = ("source", "target")
) -> Settings:
    """Settings from ``overrides`` (flags: names with underscores; None is not given), environment and file.

    ``config`` must exist if given; otherwise SWITCHBACK_CONFIG, or ./switchback.toml if there is one.
    Raises BadInput for a missing file, an unknown name, a wrong value, and for a setting in ``needs``
    that nobody gave.
    """
    _refuse_unknown_variables(os.environ)
    flat = {name: value for name, value in overrides.items() if value is not None}
    given = _nested(flat)
    _check_homes(flat, os.environ)
    settings = _build(given, _read_file(config))
    _check_seconds(settings)
    if not settings.stream and "stream" not in needs:
        needs = ("source", *needs)  # which the stream's name would follow from
    for name in needs:
        _require(settings, name)
    check_log(settings.log)
    if target := settings.target.get_secret_value():
        check_target(target)
    return _with_files(settings)


def to_environment(settings: Settings) -> dict[str, str]:
    """The same settings as variables, secrets in clear, for a child process."""
    variables = {CONFIG_VARIABLE: ""}
    for setting in all_settings():
        value = setting.of(settings)
        if isinstance(value, SecretStr):
            value = _as_given(value)
        if isinstance(value, list | dict):
            value = json.dumps(value)
        if value is None and not setting.name.endswith("_port"):
            value = ""
        variables[setting.variable] = "off" if value is None else str(value)
    return variables


def _as_given(secret: SecretStr) -> str:
    """Without what stands in a file: the child reads that itself."""
    if isinstance(secret, DsnWithFile):
        return secret.plain
    return "" if isinstance(secret, FileSecret) else secret.get_secret_value()


def _build(given: dict[str, Any], file: dict[str, Any]) -> Settings:
    class Loaded(Settings):
        @classmethod
        def settings_customise_sources(
            cls,
            settings_cls: type[BaseSettings],
            init_settings: PydanticBaseSettingsSource,
            env_settings: PydanticBaseSettingsSource,
            dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003  (the signature is given)
            file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            return init_settings, env_settings, InitSettingsSource(settings_cls, init_kwargs=file)

    try:
        return Loaded(**given)
    except ValidationError as error:
        raise _as_bad_input(error) from None  # pydantic's own text shows the value, which may be secret
    except OSError as error:  # what a relative path is meant from
        what = f"the working folder cannot be told: {error.strerror}"
        raise BadInput(what, remedy="Go to another one") from error


def _as_bad_input(error: ValidationError) -> BadInput:
    first = error.errors(include_url=False, include_input=False)[0]
    path = tuple(str(part) for part in first["loc"][:2]) if first["loc"][:1] == ("kafka",) else first["loc"][:1]
    name = ".".join(str(part) for part in path)
    message = first["msg"].removeprefix("Value error, ")
    if first["type"] == "string_pattern_mismatch":
        message = "Use letters, digits, . _ and - alone"  # the pattern of all names that have one
    setting = next((s for s in all_settings() if s.path == path), None)
    return BadInput(f"setting {name}: {message[:1].lower()}{message[1:]}", remedy=setting.remedy if setting else "")


def _check_seconds(settings: Settings) -> None:
    for setting in all_settings():
        value = setting.of(settings)
        if isinstance(value, float) and not value <= _MOST_SECONDS:  # nor is NaN
            what = f"setting {setting.name}: input should be a number up to {_MOST_SECONDS:,.0f}"
            raise BadInput(what, remedy=setting.remedy)


def _check_homes(given: Mapping[str, object], environment: Mapping[str, str]) -> None:
    """A ~ in a path of a flag or a variable is somebody's home."""
    for setting in all_settings():
        names = _KAFKA_PATHS if setting.path[0] == "kafka" else _PATHS
        if setting.path[-1] in names:
            for value in (given.get(setting.name), environment.get(setting.variable)):
                if isinstance(value, str):
                    _expanded(".".join(setting.path), value)


def _expanded(name: str, path: str) -> Path:
    """The path without ~; BadInput where nobody knows whose home it means."""
    try:
        return Path(path).expanduser()
    except RuntimeError:
        what = f"setting {name}: the home folder {Path(path).parts[0]} is not known"
        raise BadInput(what, remedy="Write the path from / on") from None


def _require(settings: Settings, name: str) -> None:
    value = getattr(settings, name)
    empty = not value.get_secret_value() if isinstance(value, SecretStr) else value in {"", Path()}
    if empty:
        flag = f"--{name.replace('_', '-')}"
        remedy = f"Give {flag}, {PREFIX}{name.upper()} or {name} in switchback.toml (switchback init writes one)"
        raise BadInput(f"no {name} given", remedy=remedy)


def _nested(flat: dict[str, Any]) -> dict[str, Any]:
    paths = {setting.name: setting.path for setting in all_settings()}
    nested: dict[str, Any] = {}
    for name, value in flat.items():
        if name not in paths:
            raise BadInput(f"unknown setting {name}", remedy=_suggestion(name, paths))
        *outer, last = paths[name]
        place = nested.setdefault(outer[0], {}) if outer else nested
        place[last] = value
    return nested


def _refuse_unknown_variables(environment: Mapping[str, str]) -> None:
    known = {setting.variable for setting in all_settings()} | _NOT_SETTINGS
    for name in environment:
        if name.startswith(PREFIX) and name not in known and not name.startswith(_TESTS):
            raise BadInput(f"unknown variable {name} in the environment", remedy=_suggestion(name, known))


def _read_file(config: Path | None) -> dict[str, Any]:
    path = _file(config)
    if path is None:
        return {}
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        remedy = "switchback init writes one"
        raise BadInput(f"the settings file cannot be read: {reason}", where=str(path), remedy=remedy) from error
    except tomllib.TOMLDecodeError as error:
        raise BadInput(f"the settings file is not TOML: {redact(str(error))}", where=str(path)) from error
    _refuse_unknown_keys(content, path)
    _check_texts(content, path)
    return _beside(path.absolute().parent, content)


def _file(config: Path | None) -> Path | None:
    if config is not None:
        return config
    if CONFIG_VARIABLE in os.environ:
        named = os.environ[CONFIG_VARIABLE]
        return Path(named) if named else None
    try:
        return DEFAULT_FILE if DEFAULT_FILE.exists() else None
    except OSError as error:
        what = f"{DEFAULT_FILE} in the working folder cannot be looked for: {error.strerror}"
        raise BadInput(what, remedy="Go to a folder that you may search, or name the file with --config") from error


def _refuse_unknown_keys(content: Mapping[str, Any], path: Path) -> None:
    for section, keys, known in (
        ("", content, Settings.model_fields),
        ("kafka.", content.get("kafka", {}), Kafka.model_fields),
    ):
        if not isinstance(keys, Mapping):
            raise BadInput(
                "setting kafka must be a section", where=str(path), remedy="Write [kafka] on a line of its own"
            )
        for key in keys:
            if key not in known:
                _refuse_misplaced(section, key, path)
                raise BadInput(f"unknown setting {section}{key}", where=str(path), remedy=_suggestion(key, known))


def _refuse_misplaced(section: str, key: str, path: Path) -> None:
    """What is written behind [kafka] belongs to it in TOML, up to the next section."""
    if section and key in Settings.model_fields:
        raise BadInput(f"{key} stands below [kafka]", where=str(path), remedy=f"{key} belongs above [kafka]")
    if not section and key in Kafka.model_fields:
        raise BadInput(f"{key} stands outside of [kafka]", where=str(path), remedy=f"{key} belongs below [kafka]")


def _check_texts(content: Mapping[str, Any], path: Path) -> None:
    """A path is a text, and no text has NUL in it: the environment of a child process, for one, does not take that."""
    for section, keys, paths in (
        ("", content, (*_PATHS, "log")),
        ("kafka.", content.get("kafka", {}), _KAFKA_PATHS),
    ):
        for key, value in keys.items():
            if key in paths and not isinstance(value, str):
                raise BadInput(f"setting {section}{key}: input should be a text in quotes", where=str(path))
            if isinstance(value, str) and "\0" in value:
                raise BadInput(f"setting {section}{key}: there is a character NUL in it", where=str(path))


def _beside(folder: Path, content: dict[str, Any]) -> dict[str, Any]:
    """Paths in the file are meant from the file's folder, so that the command works from anywhere."""
    for section, place, names in (("", content, _PATHS), ("kafka.", content.get("kafka", {}), _KAFKA_PATHS)):
        for name in names:
            if place.get(name):
                place[name] = str(folder / _expanded(f"{section}{name}", place[name]))
    log = content.get("log", "")
    if log.startswith("embedded:"):
        content["log"] = f"embedded:{folder / _expanded('log', log.removeprefix('embedded:'))}"
    return content


def _suggestion(name: str, known: Mapping[str, object] | set[str]) -> str:
    near = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f"Did you mean {near[0]}?" if near else "See switchback init for all settings"


def _with_files(settings: Settings) -> Settings:
    """The secrets that stand in files, each looked at once now."""
    updates: dict[str, Any] = {}
    if settings.target_password_file and settings.target.get_secret_value():
        updates["target"] = DsnWithFile(settings.target.get_secret_value(), settings.target_password_file)
    if settings.app_postgres_url_file:
        updates["app_postgres_url"] = FileSecret(settings.app_postgres_url_file)
    if settings.kafka.sasl_password_file:
        password = FileSecret(settings.kafka.sasl_password_file)
        password.get_secret_value()
        updates["kafka"] = settings.kafka.model_copy(update={"sasl_password": password})
    for secret in updates.values():
        if isinstance(secret, SecretStr):
            secret.get_secret_value()
    return settings.model_copy(update=updates) if updates else settings
