"""A migration as a company runs it: TLS everywhere, a user and a role for each program, passwords in files."""

from __future__ import annotations

import random
import secrets
import uuid
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from certificates import Authority
from command import Command, Said
from comparing import TABLES, assert_equal
from daemons import Daemon, Migration, wait_until
from fix_migration import BAD_INPUT, Begin
from fix_roles import PROGRAMS, Roles, new_roles
from fix_secure import SecureKafka
from switching import PostgresSide, SqliteSide


class Company:
    """The servers, and the password files of each program."""

    def __init__(self, migration: Migration, roles: Roles, kafka: SecureKafka, folder: Path) -> None:
        self.migration, self.roles, self.kafka, self._folder = migration, roles, kafka, folder
        kafka.run(self._call_plainly("grants", "kafka", "--prefix", roles.prefix).out)
        for role in PROGRAMS:
            self.file("postgres", role).write_text(roles.password + "\n")
            self.change_kafka_password(role)
        self.change_kafka_password("topics")
        self.topics = Daemon("topics", migration.settings, folder)

    def file(self, server: str, role: str) -> Path:
        return self._folder / f"{server}-{role}"

    def change_kafka_password(self, role: str) -> None:
        password = secrets.token_hex(8)
        self.file("kafka", role).write_text(password)
        self.kafka.set_password(self.roles.name(role), password)

    def change_postgres_password(self, role: str) -> None:
        password = secrets.token_hex(8)
        self.file("postgres", role).write_text(password)
        with psycopg.connect(self.roles.superuser, autocommit=True) as db:
            db.execute(f"ALTER ROLE {self.roles.name(role)} PASSWORD '{password}'".encode())
            db.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = %s", (self.roles.name(role),)
            )

    def settings(self, role: str) -> dict[str, str]:
        given = {name: str(value) for name, value in conninfo_to_dict(self.roles.dsn(role)).items()}
        del given["password"]
        return {
            "target": make_conninfo(**given),
            "target_password_file": str(self.file("postgres", role)),
            "kafka_sasl_user": self.roles.name(role),
            "kafka_sasl_password_file": str(self.file("kafka", role)),
        }

    def start(self) -> None:
        self.migration.capture.start(**self.settings("capture"))
        self.migration.sink.start(**self.settings("sink"))
        self.topics.start(
            target="",
            kafka_sasl_user=self.roles.name("topics"),
            kafka_sasl_password_file=str(self.file("kafka", "topics")),
        )
        self.migration.wait_in_step()

    def call(self, role: str, *words: str) -> Said:
        return self._call_plainly(*words, **self.settings(role))

    def _call_plainly(self, *words: str, **settings: str) -> Said:
        said = Command(self._folder, **{**self.migration.settings, **settings})(*words)
        assert said.code == 0, said.out + said.errors + self.migration.capture.output + self.migration.sink.output
        return said


@pytest.fixture
def company(
    begin: Begin, secure_postgres: str, secure_kafka: SecureKafka, authority: Authority, tmp_path: Path
) -> Iterator[Company]:
    with new_roles(secure_postgres, tmp_path) as roles:
        migration = begin(
            roles.superuser,
            secure_kafka.log,
            bulk=500,
            kafka_security_protocol="SASL_SSL",
            kafka_cafile=str(authority.pem),
            kafka_replication="1",
            stream=f"tls-{uuid.uuid4().hex[:8]}",
        )
        company = Company(migration, roles, secure_kafka, tmp_path)
        company.start()
        yield company
        migration.kill()
        company.topics.kill()


def _ended_over(daemon: Daemon, *words: str, **settings: str) -> None:
    daemon.stop()
    daemon.start(**settings)
    daemon.assert_ended(BAD_INPUT, *words)


def test_there_and_back_over_tls_while_every_password_is_changed(company: Company, tmp_path: Path) -> None:
    migration, choose = company.migration, random.Random(1)
    sqlite, postgres = SqliteSide(migration.source), PostgresSide(company.roles.dsn("application"))
    sqlite.transact(choose, 1, 1)
    migration.wait_in_step()
    assert "EQUAL" in company.call("operator", "verify").out
    assert company.call("status", "status", "--json").json["synced"]

    company.change_postgres_password("sink")
    for role in ("capture", "sink", "operator"):
        company.change_kafka_password(role)
    company.kafka.broker.stop()
    company.kafka.broker.start(*company.kafka.properties)
    sqlite.transact(choose, 1, 2)
    migration.wait_in_step()

    assert "write pause" in company.call("operator", "cutover").out
    postgres.transact(choose, 1, 3)
    wait_until("the way back flows, so capture has connections to lose", lambda: sqlite.has(1, 3))
    before = len(migration.capture.says("goes on"))
    company.change_postgres_password("capture")
    wait_until("capture is back with it", lambda: len(migration.capture.says("goes on")) > before)
    assert "write pause" in company.call("operator", "rollback", "--unverified").out
    sqlite.transact(choose, 1, 4)
    migration.wait_in_step()
    assert_equal(migration.source, migration.dsn, *TABLES)
    receipts = f"{migration.stream}.receipt"
    wait_until("the table topic has all four receipts", lambda: company.kafka.records(receipts) == 4)
    postgres.close()
    assert "Traceback" not in migration.capture.output + migration.sink.output + company.topics.output


def test_a_server_that_is_an_impostor_and_a_user_without_rights_are_named(company: Company, tmp_path: Path) -> None:
    sink, own = company.migration.sink, company.settings("sink")
    other = Authority(tmp_path, "impostor").pem
    target = make_conninfo(own["target"], sslrootcert=str(other))
    _ended_over(sink, "certificate verify failed", **{**own, "target": target})
    _ended_over(sink, "the broker's certificate is not to be trusted", **own, kafka_cafile=str(other))
    company.file("kafka", "sink").write_text("wrong")
    _ended_over(sink, "Authentication failed", **own)
    _ended_over(company.migration.capture, "the broker refuses", "topic tls-", **company.settings("status"))


def test_check_asks_the_broker_whether_topics_may_be_made(company: Company, tmp_path: Path) -> None:
    settings = {**company.migration.settings, **company.settings("capture"), "target": ""}
    said = Command(tmp_path, **{**settings, "stream": "not-granted"})("check", "--json")
    assert said.code == 2
    found = [result for result in said.json if result["check"] == "log"]
    assert [(result["outcome"], result["where"]) for result in found] == [("refuse", "not-granted.spine")]
    assert found[0]["remedy"].startswith("Allow it, or run: kafka-topics --create --topic not-granted.spine")
