"""A standby that takes over: a copy of a server that has replayed its log up to a chosen moment, and was promoted."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import psycopg

from daemons import wait_until
from shared.embedded_postgres import EmbeddedPostgres

_POINT = "replayed up to here"
_RECOVERY = f"""
restore_command = 'false'
recovery_target_name = '{_POINT}'
recovery_target_action = 'promote'
"""


class Standby:
    """Made from the server as it is now, which is stopped for that."""

    def __init__(self, server: EmbeddedPostgres, folder: Path) -> None:
        self._server, self._copy = server, folder / "standby"
        with psycopg.connect(server.dsn, autocommit=True) as db:
            db.execute("ALTER SYSTEM SET wal_keep_size = '1GB'")  # all since then is there to be replayed
            [[data]] = db.execute("SHOW data_directory").fetchall()
        self._data = Path(data)
        server.stop()
        subprocess.run(["cp", "-a", self._data, self._copy], check=True)  # with its owner
        server.start()

    def replays_up_to_here(self) -> None:
        """What is written from now on it never hears of."""
        with psycopg.connect(self._server.dsn, autocommit=True) as db:
            db.execute("SELECT pg_create_restore_point(%s)", (_POINT,))

    def takes_over(self) -> None:
        """In the server's place, at its address."""
        self._server.stop()
        shutil.rmtree(self._copy / "pg_wal")
        subprocess.run(["cp", "-a", self._data / "pg_wal", self._copy / "pg_wal"], check=True)
        shutil.rmtree(self._data)
        subprocess.run(["cp", "-a", self._copy, self._data], check=True)
        with (self._data / "postgresql.conf").open("a") as file:
            file.write(_RECOVERY)
        (self._data / "recovery.signal").touch()
        self._server.start()
        wait_until("the standby is promoted", self._is_promoted)

    def _is_promoted(self) -> bool:
        with psycopg.connect(self._server.dsn, autocommit=True) as db:
            return db.execute("SELECT pg_is_in_recovery()").fetchone() == (False,)
