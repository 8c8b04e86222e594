"""The names of the table topics: ``<prefix>.<table>``, as Debezium spells them."""

from __future__ import annotations

import re
from collections.abc import Iterable

from shared.errors import BadInput

_OTHER = re.compile(r"[^A-Za-z0-9._-]")
_OWN = ("spine", "control", "progress")
_LONGEST = 249


def topic_names(prefix: str, stream: str, tables: Iterable[str]) -> dict[str, str]:
    """Each table's topic; characters that Kafka does not allow become ``_``.

    Raises BadInput where two tables, or a table and the log itself, would share a topic.
    """
    taken = {f"{stream}.{part}": "the log itself" for part in _OWN}
    names: dict[str, str] = {}
    for table in tables:
        topic = _OTHER.sub("_", f"{prefix}.{table}")
        if topic in taken:
            what = f"table {table} and {taken[topic]} would share the topic {topic}"
            raise BadInput(what, remedy="Set topics_prefix to a name of its own, or leave the table out (exclude)")
        if len(topic) > _LONGEST:
            raise BadInput(f"no topic can be named after table {table}", remedy="Set topics_prefix to a shorter one")
        taken[topic], names[table] = f"table {table}", topic
    return names
