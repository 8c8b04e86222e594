"""The commands ``switchback grants postgres`` and ``switchback grants kafka``: what an administrator has to allow."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from operations.flags import with_settings
from shared.settings import Settings

app = typer.Typer(help="Print what an administrator has to allow; nothing is connected to.", no_args_is_help=True)

Prefix = Annotated[str, typer.Option("--prefix", help="what the roles' names begin with")]


@app.command("postgres")
@with_settings("target")
def grants_postgres(
    settings: Settings,
    *,
    prefix: Prefix = "switchback",
    schema: Annotated[str, typer.Option("--schema", help="the schema of the tables in the target")] = "public",
    tables_owner: Annotated[str, typer.Option("--tables-owner", help="who owns tables that are there already")] = "",
    application: Annotated[str, typer.Option("--application", help="the application's role, to be let in")] = "",
) -> None:
    """Print the SQL that makes roles with the least rights for each program."""
    from operations.grants.postgres import Naming, postgres_grants  # noqa: PLC0415  (each command loads what it needs)

    sys.stdout.write(postgres_grants(settings, Naming(prefix, schema, tables_owner, application)))


@app.command("kafka")
@with_settings()
def grants_kafka(
    settings: Settings,
    *,
    prefix: Prefix = "switchback",
    command_config: Annotated[
        str, typer.Option("--command-config", help="a file that says how an administrator reaches the broker")
    ] = "admin.properties",
) -> None:
    """Print the commands that make the topics and allow each program what it needs there."""
    from operations.grants.kafka import kafka_grants  # noqa: PLC0415
    from operations.grants.postgres import Naming  # noqa: PLC0415

    sys.stdout.write(kafka_grants(settings, Naming(prefix), command_config))
