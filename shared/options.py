"""The settings of every program: flags, then environment, then ``switchback.toml``, then defaults.

A setting has one name everywhere: ``chunk_rows`` in the file, ``SWITCHBACK_CHUNK_ROWS`` in the
environment, ``--chunk-rows`` on the command line; ``[kafka] sasl_user`` is ``SWITCHBACK_KAFKA_SASL_USER``
and ``--kafka-sasl-user``.  A name that does not exist is an error, for a misspelt setting that is
silently ignored is found out too late.

Secrets have no flag, for command lines can be read by everybody on a machine; each may stand in a file instead, named
by the same setting with ``_file`` behind it, and is read there anew at each connection (``shared.secret_files``).
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

PREFIX = "SWITCHBACK_"

LogFormat = Literal["text", "json"]
LogLevel = Literal["debug", "info", "warning", "error"]


def _split(given: object) -> object:
    """``a,b`` and ``["a", "b"]`` as a list: how lists are written in flags and in the environment."""
    if not isinstance(given, str):
        return given
    if given.lstrip().startswith("["):
        return json.loads(given)
    return [part.strip() for part in given.split(",") if part.strip()]


def _split_pairs(given: object) -> object:
    """``t.a=uuid,t.b=jsonb`` and JSON objects as a dict."""
    if not isinstance(given, str):
        return given
    if given.lstrip().startswith("{"):
        return json.loads(given)
    pairs = [part.partition("=") for part in given.split(",") if part.strip()]
    return {name.strip(): value.strip() for name, _, value in pairs}


def _off(given: object) -> object:
    """``off`` and false as None: no port at all."""
    return None if given is False or (isinstance(given, str) and given.lower() in {"off", "none", ""}) else given


Names = Annotated[list[str], NoDecode, BeforeValidator(_split)]
Pairs = Annotated[dict[str, str], NoDecode, BeforeValidator(_split_pairs)]
Port = Annotated[Annotated[int, Field(ge=0, le=65535)] | None, NoDecode, BeforeValidator(_off)]
Count = Annotated[int, Field(ge=1)]


class Kafka(BaseModel):
    """How to reach the broker; addresses stand in ``log``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = Field(
        default="PLAINTEXT", description="how the broker is spoken to"
    )
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = Field(
        default="SCRAM-SHA-512", description="how the user is proven to the broker"
    )
    sasl_user: str = Field(default="", description="the broker's user")
    sasl_password: SecretStr = Field(default=SecretStr(""), description="the broker's password; better in a file")
    sasl_password_file: Path | None = Field(
        default=None, description="a file with the broker's password, read at each connection"
    )
    cafile: Path | None = Field(default=None, description="certificates that the broker's own is checked against (PEM)")
    replication: int = Field(
        default=0, ge=0, description="replicas of topics that are made; 0: 3, or as many as brokers exist"
    )


class Settings(BaseSettings):
    """Every setting, checked.  Make it with ``shared.settings.load_settings``."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_nested_delimiter="_",
        env_nested_max_split=1,
        env_ignore_empty=True,
        extra="forbid",
        frozen=True,
        validate_default=False,
    )

    source: Path = Field(default=Path(), description="the SQLite database file")
    target: SecretStr = Field(default=SecretStr(""), description="the PostgreSQL database: postgresql://user@host/name")
    target_password_file: Path | None = Field(
        default=None, description="a file with PostgreSQL's password, read at each connection"
    )
    stream: str = Field(default="", pattern=r"^[A-Za-z0-9._-]*$", max_length=200, description="the migration's name")
    log: str = Field(default="", description="the event log: embedded:PATH or kafka://HOST:PORT,...")
    state_dir: Path = Field(default=Path(), description="folder for the embedded log and the programs' notes")

    tables: Names = Field(default=[], description="tables to copy; empty: all")
    exclude: Names = Field(default=[], description="tables to leave out")
    priorities: Names = Field(default=[], description="tables to copy first, in this order")
    types: Pairs = Field(default={}, description="PostgreSQL types for single columns: table.column=type")
    existing: Literal["refuse", "match", "replace"] = Field(
        default="refuse", description="what to do with target tables that are there already"
    )

    chunk_rows: Count = Field(default=20_000, description="rows of a snapshot chunk")
    batch_changes: Count = Field(default=5_000, description="changes applied in one transaction, if groups allow")
    batch_bytes: Count = Field(default=16_000_000, description="bytes of changes applied in one transaction, likewise")
    poll_ms: Count = Field(default=5, description="how often capture looks for commits, in milliseconds")
    busy_seconds: float = Field(default=5.0, gt=0, description="how long to wait for another's lock on the SQLite file")
    prune_rows: Count = Field(default=5_000, description="applied changes that are pruned in one transaction")
    prune_seconds: float = Field(default=1.0, ge=0, description="pause between prunings")
    changelog_warn_rows: Count = Field(
        default=5_000_000, description="unapplied changes in the SQLite file that are too many"
    )
    wal_warn_mb: Count = Field(default=1_024, description="size of the -wal file that is too large, in megabytes")
    retention_days: Count = Field(default=7, description="how long the log keeps what was applied")

    topics_prefix: str = Field(
        default="",
        pattern=r"^[A-Za-z0-9._-]*$",
        max_length=200,
        description="table topics' first name; empty: the stream",
    )
    topics_format: Literal["plain", "schema"] = Field(
        default="plain", description="table topics' JSON, as it is or with Kafka Connect's schema in each record"
    )
    topics_tombstones: bool = Field(default=True, description="whether a tombstone follows each delete")
    topics_decimals: Literal["string", "double"] = Field(
        default="string", description="how table topics say numbers of columns declared DECIMAL or NUMERIC"
    )
    topics_retention_days: Count = Field(default=7, description="how long table topics keep their records")

    hooks: Path | None = Field(default=None, description="folder with programs to run at a change of sides")
    hook_seconds: float = Field(default=60.0, gt=0, description="how long such a program may take")
    env_file: Path | None = Field(
        default=None, description="the application's env file, rewritten at a change of sides"
    )
    app_sqlite_url: str = Field(default="", description="DATABASE_URL there while SQLite is the primary")
    app_postgres_url: SecretStr = Field(
        default=SecretStr(""), description="DATABASE_URL there while PostgreSQL is the primary"
    )
    app_postgres_url_file: Path | None = Field(default=None, description="a file with that address")

    capture_port: Port = Field(
        default=9464, description="port of capture's metrics and /primary; 0: any free one, off: none"
    )
    sink_port: Port = Field(default=9465, description="port of sink's metrics and /primary; 0: any free one, off: none")
    topics_port: Port = Field(
        default=9466, description="port of the table topics' metrics and /primary; 0: any free one, off: none"
    )
    bind: str = Field(default="127.0.0.1", description="address that metrics are served on")
    log_format: LogFormat = Field(default="text", description="how the programs' own messages are written")
    log_level: LogLevel = Field(default="info", description="which of them are written")

    kafka: Kafka = Field(default=Kafka(), description="how to reach the broker")

    @model_validator(mode="before")
    @classmethod
    def _derive(cls, given: dict[str, Any]) -> dict[str, Any]:
        """Fill in what follows from the source: stream, state folder, log."""
        source = str(given.get("source") or "")
        if source:
            given["source"] = Path(source).expanduser().absolute()
        if not given.get("stream"):
            given["stream"] = stream_name(Path(source).stem) if source else ""
        if not given.get("state_dir"):
            given["state_dir"] = (Path(source).parent if source else Path()) / ".switchback"
        given["state_dir"] = Path(given["state_dir"]).expanduser().absolute()
        if not given.get("log") and given["stream"]:
            given["log"] = f"embedded:{given['state_dir']}/{given['stream']}.log.db"
        return given


def stream_name(stem: str) -> str:
    """A stream's name out of a file's: ASCII letters, digits, ``.``, ``_`` and ``-``, as in a topic's name."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", stem).strip("-.") or "main"
