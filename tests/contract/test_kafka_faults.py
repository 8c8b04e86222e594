"""A broker that is away, comes back, hangs, or holds what others wrote: clear errors, and the same store goes on."""

from __future__ import annotations

import itertools
import os
import signal
import threading
import time
import uuid
from collections.abc import Callable, Iterator

import kafka
import pytest

from daemons import wait_until
from fix_kafka import Broker
from missing import find_free_ports
from shared.errors import BadInput, Retry, Stop
from shared.groups import Position
from shared.log.kafka import KafkaLog
from shared.log.kafka.clients import PATIENCE_SECONDS
from shared.log.listing import list_groups
from shared.log.spine import Reader, Writer
from spines import append, claimed, read_events, read_texts, writer_of
from stopping import is_stopped

HASTY = {"bootstrap_timeout_ms": 1_000}
BOUND = 2 * PATIENCE_SECONDS + 5


@pytest.fixture
def stream() -> str:
    return f"s-{uuid.uuid4().hex[:12]}"


@pytest.fixture
def log(kafka_bootstrap: str, stream: str) -> Iterator[KafkaLog]:
    log = KafkaLog(kafka_bootstrap, stream)
    yield log
    log.close()


def until_it_works(action: Callable[[], object]) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            action()
        except Retry:
            assert time.monotonic() < deadline
        else:
            return


def read_for_ever(reader: Reader) -> None:
    while True:
        reader.read(0.25)


def append_for_ever(writer: Writer, text: str) -> None:
    while True:
        append(writer, text)
        writer.flush()


def test_without_a_broker_opening_asks_to_try_again_and_leaves_nothing_behind(stream: str) -> None:
    before = set(threading.enumerate())
    with pytest.raises(Retry, match="broker"):
        KafkaLog(f"127.0.0.1:{find_free_ports(1)}", stream, HASTY)

    assert set(threading.enumerate()) <= before  # what a test before this one has begun may end meanwhile


def test_what_is_no_address_is_bad_input_or_to_be_tried_again(stream: str) -> None:
    with pytest.raises((BadInput, Retry)):
        KafkaLog("nobody.invalid:1", stream, HASTY)


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_a_broker_that_restarts_interrupts_and_the_same_stores_go_on(own_kafka: Broker, stream: str) -> None:
    log = KafkaLog(own_kafka.bootstrap, stream)
    other = KafkaLog(own_kafka.bootstrap, stream)
    writer = claimed(log, stream, 1)
    append(writer, "a")
    anchor = writer.flush()
    reader = Reader(other.spine, stream, Position())
    assert len(reader.read(5)) == 1
    assert other.reports() == {}

    own_kafka.kill()
    began = time.monotonic()
    append(writer, "lost, or not")
    with pytest.raises(Retry):
        writer.flush()
    with pytest.raises(Retry):
        read_for_ever(reader)
    with pytest.raises(Retry):
        other.reports()
    with pytest.raises(Retry):
        other.report("one", b"x")
    assert time.monotonic() - began < 4 * BOUND

    own_kafka.start()
    leases = itertools.count(2)  # a claim that was not answered in time may stand all the same
    until_it_works(lambda: writer.claim(next(leases), anchor))
    append(writer, "b")
    writer.flush()
    until_it_works(lambda: other.report("one", b"x"))
    assert other.reports() == {"one": b"x"}
    assert read_texts(other, stream) in ([["a"], ["b"]], [["a"], ["lost, or not"], ["b"]])
    log.close()
    other.close()


@pytest.mark.slow
def test_a_broker_that_hangs_is_given_up_and_what_was_sent_meanwhile_counts_once_or_never(
    own_kafka: Broker, stream: str
) -> None:
    log = KafkaLog(own_kafka.bootstrap, stream)
    writer = claimed(log, stream, 1)
    append(writer, "a")
    anchor = writer.flush()
    pid = own_kafka.pid
    assert pid

    os.kill(pid, signal.SIGSTOP)
    wait_until("the broker stands still", lambda: is_stopped(pid))
    append(writer, "late")  # on the wire already, when the broker wakes up
    with pytest.raises(Retry):
        writer.flush()
    os.kill(pid, signal.SIGCONT)

    heir = writer_of(log, stream)
    leases = itertools.count(2)
    until_it_works(lambda: heir.claim(next(leases), anchor))
    append(heir, "b")
    heir.flush()
    texts = read_texts(log, stream)
    assert texts in ([["a"], ["b"]], [["a"], ["late"], ["b"]])
    assert claimed(log, stream, 99).position.number == len(texts)
    log.close()


def test_a_record_too_large_for_the_topic_stops(kafka_bootstrap: str, stream: str, log: KafkaLog) -> None:
    admin = kafka.KafkaAdminClient(bootstrap_servers=kafka_bootstrap)
    resource = kafka.admin.ConfigResource(kafka.admin.ConfigResourceType.TOPIC, f"{stream}.spine")
    resource.configs = {"max.message.bytes": "1000"}
    admin.alter_configs([resource])
    admin.close()
    writer = claimed(log, stream, 1)

    with pytest.raises(Stop, match="size"):
        append_for_ever(writer, "x" * 5000)  # the broker goes by the new setting a little later than it answers


def test_marks_of_somebodys_transactions_are_stepped_over(kafka_bootstrap: str, stream: str, log: KafkaLog) -> None:
    writer = claimed(log, stream, 1)
    append(writer, "a")
    writer.flush()
    producer = kafka.KafkaProducer(bootstrap_servers=kafka_bootstrap, transactional_id=stream)
    producer.init_transactions()
    for end in (producer.commit_transaction, producer.abort_transaction):
        producer.begin_transaction()
        producer.send(f"{stream}.spine", b"theirs", partition=0).get(10)
        end()
    producer.close()
    # The broker writes a transaction's mark after its answer.
    wait_until("the last mark is there", lambda: log.spine.bounds()[1] == 6)

    assert [line.offset for line in list_groups(log.spine, stream)] == [0, 1, 2, 4, 5]  # 3 and 5 are marks
    assert read_texts(log, stream) == [["a"]]
    reader = Reader(log.spine, stream, Position())
    writer.claim(2, Position())
    append(writer, "b")
    writer.flush()
    assert [event.header.number for event in read_events(reader)] == [1, 2]  # type: ignore[union-attr]
