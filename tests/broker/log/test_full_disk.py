"""A disk that takes no more: producers are told to retry, readers are served, and room makes it go on."""

import os
import resource
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from broker.errors import BrokerError, DataDirectoryError, ErrorCode
from broker.log.config import LogConfig
from broker.log.directory import LogDirectory
from broker.log.index import TimeIndex
from broker.log.open_files import OpenFiles
from broker.log.partition_log import PartitionLog
from broker.log.transaction_index import AbortedTransaction, TransactionIndex
from broker.protocol.records import build_marker

from .conftest import NOW_MS, TOPIC_ID, batch, values_from


def test_half_written_batches_are_taken_back(
    make_log: Callable[..., PartitionLog], full_disk: Callable[[int], None]
) -> None:
    """The batch that does not fit is refused with a retriable error and leaves no trace; later it fits."""
    log = make_log()
    log.append(batch("a", producer=(1, 0, 0)), now_ms=NOW_MS)
    whole = log.size
    full_disk(whole + 30)
    with pytest.raises(BrokerError) as caught:
        log.append(batch("b", producer=(1, 0, 1)), now_ms=NOW_MS)
    assert caught.value.code is ErrorCode.KAFKA_STORAGE_ERROR
    assert caught.value.code.retriable
    assert (log.size, log.segments.active.path.stat().st_size) == (whole, whole)
    assert values_from(log) == ["a"]
    full_disk(1 << 30)
    log.append(batch("b", producer=(1, 0, 1)), now_ms=NOW_MS)
    assert values_from(log) == ["a", "b"]


@pytest.fixture
def descriptors() -> Iterator[Callable[[bool], None]]:
    """Lets no file be opened, as a process that has all it may; those that are open serve on."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)

    def let(opened: bool) -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
        if not opened:
            lowest_free = os.dup(0)
            os.close(lowest_free)
            resource.setrlimit(resource.RLIMIT_NOFILE, (lowest_free, before[1]))

    yield let
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def refused(log: PartitionLog, records: bytes) -> ErrorCode:
    with pytest.raises(BrokerError) as caught:
        log.append(records, now_ms=NOW_MS)
    return caught.value.code


def test_an_epoch_that_cannot_be_written_down(tmp_path: Path, descriptors: Callable[[bool], None]) -> None:
    """The first batch of a start is refused as a whole, no two get one offset, and the next start is a new epoch."""
    directory = LogDirectory.open(tmp_path / "data", on_message=print)
    directory.create("t", 0, TOPIC_ID, LogConfig()).append(batch("a"), now_ms=NOW_MS)
    directory.close()
    directory = LogDirectory.open(tmp_path / "data", on_message=print)
    log = directory.logs()[0]
    assert log.segments.active.descriptor
    descriptors(False)
    assert refused(log, batch("b")) is ErrorCode.KAFKA_STORAGE_ERROR
    assert (log.log_end_offset, log.size) == (1, log.segments.active.path.stat().st_size)
    descriptors(True)
    for value in "bcd":
        log.append(batch(value), now_ms=NOW_MS)
    shutil.copytree(directory.path, tmp_path / "killed")
    directory.close()
    for path in ("data", "killed"):
        directory = LogDirectory.open(tmp_path / path, on_message=print)
        again = directory.logs()[0]
        assert (values_from(again), again.log_end_offset, again.leader_epoch) == (["a", "b", "c", "d"], 4, 2)
        directory.close()


def test_a_segment_that_cannot_be_begun(
    make_log: Callable[..., PartitionLog], descriptors: Callable[[bool], None]
) -> None:
    """What would need a new segment is refused with a retriable error, by the broker's own writers too; later it fits."""
    log = make_log(segment_bytes=200)
    log.append(batch("a" * 50), now_ms=NOW_MS)
    descriptors(False)
    assert refused(log, batch("b" * 90)) is ErrorCode.KAFKA_STORAGE_ERROR
    with pytest.raises(BrokerError):
        log.append(batch("b" * 90), now_ms=NOW_MS, client=False)
    descriptors(True)
    log.append(batch("c"), now_ms=NOW_MS)
    log.append(batch("b" * 90), now_ms=NOW_MS)
    assert (values_from(log), len(log.segments)) == (["a" * 50, "c", "b" * 90], 2)


def test_a_marker_whose_index_cannot_be_read(tmp_path: Path, descriptors: Callable[[bool], None]) -> None:
    """An abort that is refused leaves no marker behind: tried again, it is told to readers of committed data."""
    directory = LogDirectory.open(tmp_path, on_message=print)
    log = directory.create("t", 0, TOPIC_ID, LogConfig())
    log.append(batch("lost", producer=(1, 0, 0), transactional=True), now_ms=NOW_MS)
    marker = build_marker(1, 0, commit=False, coordinator_epoch=0, timestamp_ms=NOW_MS)
    descriptors(False)
    with pytest.raises(BrokerError) as caught:
        log.append(marker, now_ms=NOW_MS, client=False)
    assert caught.value.code is ErrorCode.KAFKA_STORAGE_ERROR
    descriptors(True)
    log.append(marker, now_ms=NOW_MS, client=False)
    assert (log.log_end_offset, len(log.aborted_transactions(0, 2))) == (2, 1)
    directory.close()


def test_an_index_that_cannot_be_read(tmp_path: Path, descriptors: Callable[[bool], None]) -> None:
    """A batch whose place cannot be noted is not written either."""
    config = LogConfig(index_interval_bytes=0)
    directory = LogDirectory.open(tmp_path, config, on_message=print)
    log = directory.create("t", 0, TOPIC_ID, config)
    for value in "abc":
        log.append(batch(value), now_ms=NOW_MS)
    directory.close()
    directory = LogDirectory.open(tmp_path, config, on_message=print)
    log = directory.logs()[0]
    log.append(batch("d" * 50), now_ms=NOW_MS)
    log.segments.active.index.rest()
    descriptors(False)
    assert refused(log, batch("e" * 50)) is ErrorCode.KAFKA_STORAGE_ERROR
    descriptors(True)
    log.append(batch("f"), now_ms=NOW_MS)
    assert log.segments.active.path.stat().st_size == log.size
    assert values_from(log) == ["a", "b", "c", "d" * 50, "f"]
    directory.close()


@pytest.mark.parametrize("taken", [0, 20])
def test_an_index_that_fits_in_part(tmp_path: Path, full_disk: Callable[[int], None], taken: int) -> None:
    """What a full disk took only the first bytes of is written when there is room: times and aborted transactions.

    Retention goes by the last time in the file after a restart, and readers of what is committed skip what was aborted.
    """
    times = TimeIndex(tmp_path / "0.timeindex", 0, OpenFiles())
    times.reset()
    aborted = TransactionIndex(tmp_path / "0.txnindex")
    for number in range(1, 9):
        times.append(NOW_MS + number, number)
        aborted.append(AbortedTransaction(1, 10 * number, 10 * number + 1, 0))
        if number == 4:
            times.flush()
            aborted.flush()
    entries = aborted.entries().copy()
    for index in (times, aborted):
        full_disk(index.path.stat().st_size + taken)
        with pytest.raises(OSError, match="File too large"):
            index.flush()
        full_disk(1 << 30)
        index.flush()
    assert TimeIndex(times.path, 0, OpenFiles()).entries() == [(NOW_MS + number, number) for number in range(1, 9)]
    assert TransactionIndex(aborted.path).entries() == entries


def test_a_stop_that_cannot_be_written_down(tmp_path: Path, full_disk: Callable[[int], None]) -> None:
    """It is told in a sentence, and the next start checks the logs: all that was there still is."""
    directory = LogDirectory.open(tmp_path, on_message=print)
    directory.create("t", 0, TOPIC_ID, LogConfig()).append(batch("a"), now_ms=NOW_MS)
    full_disk(5)
    with pytest.raises(DataDirectoryError, match=r"File too large.*the next start checks the logs"):
        directory.close()
    full_disk(1 << 30)
    said: list[str] = []
    directory = LogDirectory.open(tmp_path, on_message=said.append)
    assert values_from(directory.logs()[0]) == ["a"]
    assert [line.partition(":")[0] for line in said] == ["the last stop was not clean"]
    directory.close()


def test_retention_makes_room(make_log: Callable[..., PartitionLog], full_disk: Callable[[int], None]) -> None:
    """Where no room is left for a new segment, the closed ones that are too old go nevertheless, and the last one later."""
    log = make_log(segment_bytes=800, index_interval_bytes=0, retention_ms=1000)
    for number in range(28):
        log.append(batch(str(number)), now_ms=NOW_MS)
    segments = len(log.segments)
    assert (segments > 2, len(log.segments.active.index) > 3) == (True, True)
    full_disk(20)
    assert log.apply_retention(NOW_MS + 5000) == segments - 1
    assert values_from(log)[-1] == "27"
    full_disk(1 << 30)
    assert log.apply_retention(NOW_MS + 5000) == 1
    assert (log.log_start_offset, values_from(log)) == (28, [])
