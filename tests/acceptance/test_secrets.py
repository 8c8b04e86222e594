"""A marker is planted wherever a secret may stand, and looked for in all that the programs say and leave behind."""

from __future__ import annotations

import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from command import Command, Said
from daemons import wait_until
from traffic import make_database

MARKER = "m4rkerOfTheTest"
HOOK = "#!/bin/sh\nenv | grep SWITCHBACK_\necho $SWITCHBACK_TARGET >&2\n"
SESSIONS = "SELECT * FROM pg_stat_activity WHERE application_name LIKE 'switchback%'"
FAILING = HOOK + "echo it fails at $SWITCHBACK_TARGET\nexit 1\n"


@pytest.fixture
def marked(postgres_dsn: str) -> Iterator[str]:
    """The address of a role whose password is the marker."""
    given = conninfo_to_dict(postgres_dsn)
    with psycopg.connect(postgres_dsn, autocommit=True) as db:
        db.execute(sql.SQL("CREATE ROLE marked SUPERUSER LOGIN PASSWORD {}").format(sql.Literal(MARKER)))
        yield f"postgresql://marked:{MARKER}@{given['host']}:{given['port']}/{given['dbname']}"
        db.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'marked'")
        db.execute("REASSIGN OWNED BY marked TO CURRENT_USER")
        db.execute("DROP ROLE marked")


class Operator:
    """Calls commands, and keeps all that they say."""

    def __init__(self, folder: Path, target: str) -> None:
        hooks = folder / "hooks"
        hooks.mkdir()
        for phase in ("before", "opened", "aborted"):
            self.hook(hooks / phase, HOOK)
        self.hooks, self.said = hooks, [""]
        self.command = Command(
            folder,
            source=make_database(folder / "app.db", bulk=100),
            target=target,
            kafka_sasl_password=MARKER,
            app_postgres_url=f"postgresql://app:{MARKER}@localhost/app",
            hooks=hooks,
            env_file=folder / ".env",
            log_level="debug",
            capture_port="0",
            sink_port="0",
        )

    def hook(self, path: Path, text: str) -> None:
        path.write_text(text)
        path.chmod(0o755)

    def call(self, *words: str, **settings: str) -> Said:
        said = self.command(*words, **settings)
        self.said += [said.out, said.errors]
        return said

    def synced(self) -> bool:
        return bool(self.call("status", "--json").json["synced"])

    def pages(self) -> None:
        for daemon in self.call("status", "--json").json["daemons"]:
            for page in ("metrics", "primary"):
                with urllib.request.urlopen(daemon["metrics"].replace("metrics", page)) as answer:
                    self.said.append(answer.read().decode())


def test_no_secret_is_ever_shown(tmp_path: Path, marked: str) -> None:
    operator = Operator(tmp_path, marked)
    running = operator.command.start("run")
    try:
        wait_until("the replica is in step", operator.synced)
        operator.said += _command_lines()
        operator.pages()
        _all_is_well(operator)
        _all_goes_wrong(operator, marked)
        with psycopg.connect(marked) as db:
            operator.said += [str(row) for row in db.execute(SESSIONS)]
    finally:
        operator.said += operator.command.stop(running)[1:]
    shown = [line for text in operator.said for line in text.splitlines() if MARKER in line]
    assert not shown
    assert "postgresql://marked:***@" in "".join(operator.said), "the hooks said where PostgreSQL is"
    assert not [file for file in _left(tmp_path) if MARKER.encode() in file.read_bytes()]


def _all_is_well(operator: Operator) -> None:
    for words in (("check",), ("verify",), ("log", "show"), ("log", "show", "--json"), ("cutover",), ("status",)):
        assert operator.call(*words).code == 0, operator.said[-2:]
    operator.pages()
    assert operator.call("rollback", "--unverified").code == 0, operator.said[-2:]


def _all_goes_wrong(operator: Operator, marked: str) -> None:
    """A password that is wrong, an address that is none, a port where nobody is, a hook that fails."""
    wrong = marked.replace(MARKER, f"{MARKER}9")
    for words in (("check",), ("status", "--json"), ("cutover", "--unverified"), ("run",)):
        assert operator.call(*words, target=wrong).code in (0, 1, 2), operator.said[-2:]
    for target, code in ((f"{wrong}?sslmode=nonsense", 0), (f"host=localhost password={MARKER} nonsense", 2)):
        assert operator.call("status", target=target).code == code, operator.said[-2:]
    operator.hook(operator.hooks / "before", FAILING)
    assert operator.call("cutover", "--unverified").code
    assert operator.call("status", "--target", marked).code


def _command_lines() -> list[str]:
    """Of every process that may be looked at; the daemons must be among them."""
    lines = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            lines.append(file.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
    assert all(any(f"{name}.app" in line for line in lines) for name in ("capture", "sink"))
    return lines


def _left(folder: Path) -> list[Path]:
    """Files of ours, but for the application's env file, which has the address that it needs."""
    return [file for file in folder.rglob("*") if file.is_file() and file.name != ".env"]
