"""Headers as records carry them: ASCII, one name each, so that any Kafka tool can tell what is what."""

from __future__ import annotations

from collections.abc import Sequence
from typing import get_args

import msgspec

from shared.groups import Header, Kind
from shared.versions import as_number
from shared.wire import CONTENT_TYPE

VERSION = b"1"
_KINDS = frozenset(get_args(Kind))


class Newer(Exception):
    """A newer version of this product wrote the record, for ``stream``."""

    def __init__(self, version: int, stream: str) -> None:
        super().__init__(f"record version {version} is not known")
        self.version = version
        self.stream = stream


class Unreadable(ValueError):
    """The record was not written by this product."""


def to_headers(header: Header) -> list[tuple[str, bytes]]:
    """The header as (name, ASCII bytes) pairs."""
    return [
        ("v", VERSION),
        ("kind", header.kind.encode()),
        ("content-type", CONTENT_TYPE.encode()),
        ("stream", header.stream.encode()),
        ("incarnation", header.incarnation.encode()),
        ("writer", header.writer.encode()),
        ("lease", b"%d" % header.lease),
        ("group", b"%d" % header.number),
        ("epoch", b"%d" % header.epoch),
        ("first-seq", b"%d" % header.first_seq),
        ("last-seq", b"%d" % header.last_seq),
        ("frame", b"%d" % header.frame),
        ("last", b"%d" % header.last),
        ("more", b"%d" % header.more),
        ("meta", msgspec.json.encode(header.meta)),
    ]


def from_headers(pairs: Sequence[tuple[str, bytes | None]]) -> Header:
    """The header of a record; raises Unreadable, with the reason, where there is none, and Newer."""
    given = {name: value for name, value in pairs if value is not None}
    version = given.get("v")
    if version is None:
        message = "not a record of Switchback"
        raise Unreadable(message)
    if as_number(version) > int(VERSION):
        raise Newer(as_number(version), (given.get("stream") or b"").decode(errors="replace"))
    if version != VERSION:
        message = f"record version {version.decode(errors='replace')[:20]!r} is not known"
        raise Unreadable(message)
    try:
        return _header(given)
    except (KeyError, ValueError, msgspec.DecodeError) as error:
        message = f"damaged headers: {error}"
        raise Unreadable(message) from error


def _header(given: dict[str, bytes]) -> Header:
    kind = given["kind"].decode()
    if kind not in _KINDS:
        message = f"kind {kind}"
        raise ValueError(message)
    last, more = given["last"] == b"1", given["more"] == b"1"
    if last and more:
        message = "the group's last frame goes on"
        raise ValueError(message)
    return Header(
        stream=given["stream"].decode(),
        incarnation=given["incarnation"].decode(),
        writer=given["writer"].decode(),
        lease=int(given["lease"]),
        number=int(given["group"]),
        kind=kind,  # type: ignore[arg-type]  # one of them, as just checked
        epoch=int(given["epoch"]),
        first_seq=int(given["first-seq"]),
        last_seq=int(given["last-seq"]),
        frame=int(given["frame"]),
        last=last,
        more=more,
        meta=msgspec.json.decode(given["meta"], type=dict),
    )
