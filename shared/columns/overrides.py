"""The operator's ``types``: whether each names a column that there is, and a type that can keep its values.  Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from shared.columns.choice import choose_type
from shared.columns.codecs import codec_for
from shared.errors import BadInput
from shared.nearest import nearest
from shared.tables import Table


def wrong_overrides(types: Mapping[str, str], tables: Sequence[Table], left_out: Sequence[str]) -> Iterator[BadInput]:
    """What is wrong with each; one for a column of a table that is ``left_out`` does no harm."""
    columns = {f"{table.name}.{column.name}": (table, column) for table in tables for column in table.columns}
    for name, pg_type in types.items():
        where = f'types."{name}" = "{pg_type}"'
        if name in columns:
            table, column = columns[name]
            try:
                codec_for(column, choose_type(table, column, pg_type))
            except BadInput as error:
                yield BadInput(error.what, where=where, remedy=error.remedy)
        elif not any(name.startswith(f"{table}.") for table in left_out):
            yield BadInput("no column has this name", where=where, remedy=nearest(name, list(columns)))
