"""Certificates made on the spot: an authority, and servers on loopback that it vouches for."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from missing import give_up

_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2")
_LOOPBACK = "subjectAltName=DNS:localhost,IP:127.0.0.1"


class Authority:
    """``pem`` is what clients are given to check servers with."""

    def __init__(self, folder: Path, name: str = "authority") -> None:
        if not shutil.which("openssl"):
            give_up("no openssl", "install it")
        self._folder = folder
        self.pem, self._key = folder / f"{name}.pem", folder / f"{name}.key"
        _request("-x509", "-subj", f"/CN={name}", "-keyout", str(self._key), "-out", str(self.pem))

    def vouch(self, name: str, alternatives: str = _LOOPBACK) -> tuple[Path, Path]:
        """A server's certificate and its key."""
        pem, key = self._folder / f"{name}.pem", self._folder / f"{name}.key"
        signed = ("-x509", "-CA", str(self.pem), "-CAkey", str(self._key))
        served = ("-subj", f"/CN={name}", "-addext", alternatives, "-addext", "basicConstraints=CA:FALSE")
        _request(*signed, *served, "-keyout", str(key), "-out", str(pem))
        return pem, key


def _request(*words: str) -> None:
    done = subprocess.run(["openssl", "req", *_KEY, *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
