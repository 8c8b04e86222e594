"""``switchback grants postgres``: the statements that make the roles, and what the roles find there.

Pure: nothing is connected to, so that it can be read before anything exists.  Why the daemons are members of the
owner: the fence and the capture triggers are switched by ALTER TABLE, which PostgreSQL allows to a table's owner
alone.  A function with its owner's rights would not be less: whoever may call it closes and opens the tables.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files

from psycopg import ProgrammingError, sql
from psycopg.conninfo import conninfo_to_dict

from operations.verification import record
from shared.errors import BadInput
from shared.postgres import ledger, reverse
from shared.settings import Settings

ROLES = ("owner", "capture", "sink", "operator", "status")
_TEMPLATES = files(__package__)
_DEFAULT_SCHEMA = "public"


@dataclass(frozen=True, slots=True)
class Naming:
    """What the roles are called, and whom else they are about; "" where there is nobody."""

    prefix: str = "switchback"
    schema: str = _DEFAULT_SCHEMA
    tables_owner: str = ""
    application: str = ""

    def role(self, name: str) -> str:
        """``switchback_sink``."""
        return f"{self.prefix}_{name}"


def postgres_grants(settings: Settings, naming: Naming) -> str:
    """The script for the target's database; BadInput where the target names none."""
    names = {name: sql.Identifier(naming.role(name)) for name in ROLES}
    values: dict[str, sql.Composable] = {
        **names,
        "owner_name": sql.Literal(naming.role("owner")),
        "database": sql.Identifier(_database(settings)),
        "schema": sql.Identifier(naming.schema),
        "tables": sql.SQL("\n".join(part.strip() for part in (ledger.DDL, reverse.DDL, record.DDL))),
        "tables_owner": sql.Identifier(naming.tables_owner),
        "application": sql.Identifier(naming.application),
    }
    parts = ["roles.sql"]
    parts += ["adopted.sql"] if naming.tables_owner else []
    parts += ["application.sql"] if naming.application else []
    script = "".join(_render(part, values) for part in parts)
    return script + "".join(_home(naming, name, values) for name in ROLES[1:])


def _render(template: str, values: dict[str, sql.Composable]) -> str:
    text = _TEMPLATES.joinpath(template).read_text(encoding="utf-8")
    return sql.SQL(text).format(**values).as_string()


def _home(naming: Naming, name: str, values: dict[str, sql.Composable]) -> str:
    """Where the tables are found without naming their schema, if that is not where everybody looks."""
    if naming.schema == _DEFAULT_SCHEMA:
        return ""
    statement = "ALTER ROLE {role} IN DATABASE {database} SET search_path = {schema};\n"
    return sql.SQL(statement).format(role=values[name], **values).as_string()


def _database(settings: Settings) -> str:
    try:
        given = conninfo_to_dict(settings.target.get_secret_value())
    except ProgrammingError:
        given = {}
    if not given.get("dbname"):
        raise BadInput("the target names no database", remedy="Write postgresql://user@host:5432/database")
    return str(given["dbname"])
