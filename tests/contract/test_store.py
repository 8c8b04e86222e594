"""What every backend's store of records does."""

from __future__ import annotations

import threading
import time
from contextlib import closing

import pytest

from shared.errors import NoLog, SpineBroken
from shared.log.contract import LogBackend, Record, StoredRecord
from shared.log.opening import open_log
from spines import LogPlace

PATIENCE = 30.0
"""A fetch ends with its first record: only a broker that stands still takes so long."""
HEADERS = [("v", b"1"), ("kind", b"barrier"), ("empty", b"")]


def send(log: LogBackend, *values: bytes) -> int:
    for value in values:
        log.spine.send(Record(HEADERS, value))
    return log.spine.flush()


def fetch_all(log: LogBackend, offset: int = 0) -> list[StoredRecord]:
    end = log.spine.bounds()[1]
    found: list[StoredRecord] = []
    while offset < end:
        found += log.spine.fetch(offset, PATIENCE)
        offset = found[-1].offset + 1
    return found


def fetch_for_ever(log: LogBackend, offset: int) -> None:
    while log.spine.fetch(offset, 0.3) == []:
        pass


def test_an_empty_store_has_no_records(log: LogBackend) -> None:
    assert log.spine.bounds() == (0, 0)
    assert log.spine.fetch(0, 0.05) == []


def test_nothing_sent_is_nothing_to_flush(log: LogBackend) -> None:
    assert log.spine.flush() == -1


def test_records_come_back_in_order_with_their_headers(log: LogBackend, other: LogBackend) -> None:
    last = send(log, b"a", b"", b"\x00\xff")

    found = fetch_all(other)

    assert last == 2
    assert found == [StoredRecord(n, HEADERS, value) for n, value in enumerate([b"a", b"", b"\x00\xff"])]


def test_flush_returns_the_last_offset_however_often_it_is_called(log: LogBackend) -> None:
    assert [send(log, b"a"), log.spine.flush(), send(log, b"b", b"c"), log.spine.flush()] == [0, 0, 2, 2]


def test_a_store_sees_at_once_what_another_has_flushed(log: LogBackend, other: LogBackend) -> None:
    for number in range(200):
        send(log, b"%d" % number)
        found = other.spine.fetch(number, PATIENCE)
        assert [record.value for record in found] == [b"%d" % number]


def test_a_store_sees_its_own_records(log: LogBackend) -> None:
    for number in range(20):
        assert log.spine.fetch(number, 0) == []
        send(log, b"x")
        assert len(log.spine.fetch(number, PATIENCE)) == 1


@pytest.mark.parametrize("start", [0, 3, 499, 500, 501, 1199])
def test_reading_may_begin_anywhere_and_jump(log: LogBackend, other: LogBackend, start: int) -> None:
    send(log, *(b"%d" % number for number in range(1200)))
    other.spine.fetch(700, PATIENCE)

    found = fetch_all(other, start)

    assert [record.offset for record in found] == list(range(start, 1200))
    assert [record.value for record in found] == [b"%d" % number for number in range(start, 1200)]


def test_a_fetch_brings_some_megabytes_and_goes_on_behind_them(log: LogBackend, other: LogBackend) -> None:
    send(log, *(bytes([number]) * 900_000 for number in range(30)))

    first = other.spine.fetch(0, PATIENCE)
    found = fetch_all(other)

    assert 1 <= len(first) <= 10
    assert [record.value[0] for record in found] == list(range(30))
    assert {len(record.value) for record in found} == {900_000}


def test_a_fetch_waits_for_the_first_record(log: LogBackend, other: LogBackend) -> None:
    sender = threading.Timer(0.3, send, (log, b"late"))
    sender.start()

    found = other.spine.fetch(0, 30)
    sender.join()

    assert [record.value for record in found] == [b"late"]


def test_a_fetch_behind_the_end_is_an_error(log: LogBackend, other: LogBackend) -> None:
    send(log, b"a")

    with pytest.raises(SpineBroken):
        fetch_for_ever(other, 2)


def test_a_fetch_before_the_first_record_kept_is_an_error(place: LogPlace, log: LogBackend, other: LogBackend) -> None:
    send(log, b"a", b"b", b"c")
    place.expire(2)

    with pytest.raises(SpineBroken, match="2"):
        fetch_for_ever(other, 1)
    assert other.spine.bounds() == (2, 3)
    assert [record.value for record in other.spine.fetch(2, PATIENCE)] == [b"c"]


def test_where_everything_expired_the_old_offsets_are_an_error(
    place: LogPlace, log: LogBackend, other: LogBackend
) -> None:
    send(log, b"a", b"b")
    place.expire(2)

    assert other.spine.bounds() == (2, 2)
    assert other.spine.fetch(2, 0.05) == []
    with pytest.raises(SpineBroken):
        fetch_for_ever(other, 1)


def test_offsets_go_on_after_everything_expired(place: LogPlace, log: LogBackend, other: LogBackend) -> None:
    send(log, b"a", b"b")
    place.expire(2)

    assert send(other, b"c") == 2


def test_the_control_stream_is_a_store_of_its_own(log: LogBackend, other: LogBackend) -> None:
    log.control.send(Record(HEADERS, b"intent"))
    log.control.flush()
    send(log, b"a", b"b")

    assert [record.value for record in other.control.fetch(0, PATIENCE)] == [b"intent"]
    assert other.control.bounds() == (0, 1)


def test_records_survive_closing(place: LogPlace, log: LogBackend) -> None:
    send(log, b"a")
    place.close()

    assert [record.value for record in place.open().spine.fetch(0, PATIENCE)] == [b"a"]


def test_the_latest_report_of_each_replica_is_kept(place: LogPlace, log: LogBackend, other: LogBackend) -> None:
    assert other.reports() == {}
    for number in range(5):
        log.report("one", b"%d" % number)
    log.report("two", b"x")

    assert other.reports() == {"one": b"4", "two": b"x"}
    log.report("one", b"5")
    assert other.reports() == {"one": b"5", "two": b"x"}
    assert place.open().reports() == {"one": b"5", "two": b"x"}


def test_two_programs_may_open_a_new_log_at_once(place: LogPlace) -> None:
    found: list[LogBackend] = []
    threads = [threading.Thread(target=lambda: found.append(place.open())) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(found) == 4
    send(found[0], b"a")
    assert [log.spine.fetch(0, PATIENCE)[0].value for log in found] == [b"a"] * 4


def test_closing_leaves_no_thread_behind(place: LogPlace) -> None:
    before = set(threading.enumerate())
    log = place.open()
    send(log, b"a")
    log.spine.fetch(0, PATIENCE)
    log.report("one", b"x")
    place.close()

    deadline = time.monotonic() + 10
    while set(threading.enumerate()) - before and time.monotonic() < deadline:
        time.sleep(0.01)
    assert set(threading.enumerate()) - before == set()


def test_a_log_that_is_not_to_be_made_is_only_opened_where_it_is_there(place: LogPlace) -> None:
    for _ in range(2):  # the first question makes nothing
        with pytest.raises(NoLog, match="there is no log yet"):
            open_log(place.url, place.stream, make=False)
    place.open()
    with closing(open_log(place.url, place.stream, make=False)) as log:
        assert log.control.bounds() == (0, 0)
