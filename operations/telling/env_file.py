"""The application's env file: a few lines of it are ours, and are replaced whole or not at all.

Applications import this module too: it needs nothing but the standard library.
"""

from __future__ import annotations

import errno
import os
import re
import stat
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from shared.errors import BadInput

URL, PRIMARY, EPOCH = "DATABASE_URL", "SWITCHBACK_PRIMARY", "SWITCHBACK_EPOCH"

_LINE = re.compile(rb"(?P<head>[ \t]*(?:export[ \t]+)?(?P<name>[A-Za-z_][A-Za-z0-9_.]*)[ \t]*=[ \t]*)(?P<value>.*)")
_PLAIN = re.compile(r"[A-Za-z0-9_./:@%+,=?~-]*")
_ENDS = b"\r\n"


def write_env_file(path: Path, values: Mapping[str, str]) -> None:
    """Set these names, the others and everything else stay byte for byte as they are; BadInput where that fails.

    A new file is readable for its owner alone, an existing one keeps its mode and owner.  A link stays a link.
    """
    with _about(path):
        place = path.resolve()
        before = place.read_bytes() if place.exists() else None
        after = _replaced(before or b"", values)
        if after != before:
            draft = _draft(place, after)
            try:
                draft.replace(place)
            finally:
                draft.unlink(missing_ok=True)
            _sync_folder(place.parent)


def check_env_file(path: Path, values: Mapping[str, str]) -> None:
    """Do all of it but the last step; BadInput where that fails already."""
    with _about(path):
        place = path.resolve()
        _draft(place, _replaced(place.read_bytes() if place.exists() else b"", values)).unlink()
        if place.is_mount():
            raise OSError(errno.EBUSY, os.strerror(errno.EBUSY))


def read_env_file(path: Path) -> dict[str, str]:
    """All names in it and their values, quotes taken off; of a name that is there twice, the last."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise BadInput(f"the env file cannot be read: {error.strerror}", where=str(path)) from error
    lines = [match for line in content.splitlines() if (match := _LINE.fullmatch(line))]
    return {match["name"].decode(): _unquoted(match["value"].decode("utf-8", "replace")) for match in lines}


def _replaced(content: bytes, values: Mapping[str, str]) -> bytes:
    missing = dict(values)
    lines = content.splitlines(keepends=True)
    for number, line in enumerate(lines):
        match = _LINE.fullmatch(line.rstrip(_ENDS))
        name = match["name"].decode() if match else ""
        if match and name in values:
            missing.pop(name, None)
            lines[number] = match["head"] + _quoted(name, values[name]) + line[len(line.rstrip(_ENDS)) :]
    end = b"\r\n" if lines and lines[0].endswith(b"\r\n") else b"\n"
    if missing and lines and not lines[-1].endswith((b"\n", b"\r")):
        lines[-1] += end
    return b"".join([*lines, *(name.encode() + b"=" + _quoted(name, value) + end for name, value in missing.items())])


def _quoted(name: str, value: str) -> bytes:
    """In single quotes where a shell or an env file's reader would see more in it than a text."""
    if not value.isprintable() or "'" in value:
        what = f"{name} has a character that cannot stand in an env file"
        raise BadInput(what, remedy="In an address, write it as % and two hex digits")
    return (value if _PLAIN.fullmatch(value) else f"'{value}'").encode()


def _unquoted(value: str) -> str:
    value = value.strip()
    if value[:1] in {"'", '"'} and (end := value.find(value[0], 1)) > 0:
        return value[1:end]
    return value.partition(" #")[0].rstrip()


def _draft(place: Path, content: bytes) -> Path:
    """A file beside it with that content, for renaming."""
    there = place.stat() if place.exists() else None
    descriptor, name = tempfile.mkstemp(dir=place.parent, prefix=f".{place.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            if there:
                _like(file.fileno(), there)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        Path(name).unlink()
        raise
    return Path(name)


def _like(descriptor: int, there: os.stat_result) -> None:
    """Owner and group first: whoever reads the file today must be able to read the new one."""
    mine = os.fstat(descriptor)
    if (mine.st_uid, mine.st_gid) != (there.st_uid, there.st_gid):
        os.fchown(descriptor, there.st_uid, there.st_gid)
    os.fchmod(descriptor, stat.S_IMODE(there.st_mode))


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _about(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        what = f"the env file cannot be written: {error.strerror}"
        remedy = "It is replaced by renaming, so the folder must be writable and the file no mount of its own"
        raise BadInput(what, where=str(path), remedy=remedy) from error
