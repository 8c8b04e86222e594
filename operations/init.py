"""``switchback init``: a settings file with every setting, its default and what it is for."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

from pydantic import BaseModel, SecretStr

from shared.addresses import check_target
from shared.errors import BadInput
from shared.secret_files import refuse_password
from shared.settings import Kafka, Setting, all_settings

_HEAD = """\
# Settings of Switchback.  What is commented out is the default.
# Flags go before environment variables (SWITCHBACK_CHUNK_ROWS), those before this file.
# Relative paths are meant from the folder of this file.
"""
_EXAMPLES = {
    ("source",): '"app.db"',
    ("target",): '"postgresql://user@localhost/app"',
    ("target_password_file",): '"target-password"  # or PGPASSWORD, or ~/.pgpass',
    ("stream",): '"app"  # the source\'s name without its ending, if not given',
    ("log",): '"embedded:.switchback/app.log.db"  # or "kafka://host1:9092,host2:9092"',
    ("state_dir",): '".switchback"  # beside the source, if not given',
    ("types",): '{ "users.id" = "uuid" }',
    ("hooks",): '"hooks"  # before, opened, aborted',
    ("env_file",): '".env"',
    ("app_sqlite_url",): '"sqlite:////path/of/app.db"  # made of the source, if not given',
    ("app_postgres_url",): '"postgresql://app@localhost/app"  # the target, if not given',
    ("app_postgres_url_file",): '"app-postgres-url"  # where it has a password',
    ("kafka", "sasl_password_file"): '"kafka-password"',
    ("kafka", "cafile"): '"ca.pem"',
}
_OPEN = {("source",), ("target",)}  # the two that everybody must set
_SECRETS_WITH_FILE = {("kafka", "sasl_password")}


def write_settings(path: Path, values: Mapping[str, str]) -> None:
    """Write the file, with ``values`` ("source", "target", ...) filled in; BadInput if it is there already."""
    refuse_password(values.get("target"))
    if target := values.get("target"):
        check_target(target)
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(render_settings(values))
    except FileExistsError:
        raise BadInput(
            "the settings file is there already", where=str(path), remedy="Edit it, or name another"
        ) from None
    except OSError as error:
        raise BadInput(f"the settings file cannot be written: {error.strerror}", where=str(path)) from error


def render_settings(values: Mapping[str, str]) -> str:
    """The file's text."""
    return "\n".join(_lines(values)) + "\n"


def _lines(values: Mapping[str, str]) -> Iterator[str]:
    yield _HEAD
    section = ""
    for setting in all_settings():
        if setting.path in _SECRETS_WITH_FILE:
            continue
        if setting.path[0] != setting.path[-1] and section != setting.path[0]:
            section = setting.path[0]
            yield f"[{section}]"
        yield f"# {_sentence(setting)}"
        yield _line(setting, values.get(setting.name))
        yield ""


def _line(setting: Setting, value: str | None) -> str:
    name = setting.path[-1]
    if value is not None:
        return f"{name} = {json.dumps(value, ensure_ascii=False)}"
    shown = _EXAMPLES.get(setting.path) or _literal(setting.field.default)
    return f"{name} = {shown}" if setting.path in _OPEN else f"# {name} = {shown}"


def _sentence(setting: Setting) -> str:
    text = setting.field.description or ""
    return text[:1].upper() + text[1:] + (f": {', '.join(setting.choices)}" if setting.choices else "")


def _literal(value: object) -> str:
    if isinstance(value, SecretStr):
        value = value.get_secret_value()
    if value is None:
        return '"off"'
    if isinstance(value, BaseModel | Kafka):
        return "{}"
    return json.dumps(str(value) if isinstance(value, Path) else value)
