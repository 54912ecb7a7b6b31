"""Appending and reading one partition."""

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broker.errors import BrokerError, ErrorCode
from broker.log.config import LogConfig
from broker.log.directory import LogDirectory
from broker.log.partition_log import PartitionLog
from broker.protocol.compression import Codec
from broker.protocol.record_batch import headers_in, parse_header
from broker.protocol.records import build_marker, build_pairs, decode_records

from .conftest import NOW_MS, TOPIC_ID, batch, values_from

MakeLog = Callable[..., PartitionLog]


def code_of(call: Callable[[], object]) -> ErrorCode:
    with pytest.raises(BrokerError) as caught:
        call()
    return caught.value.code


def test_offsets_are_assigned_in_order(make_log: MakeLog) -> None:
    """Each batch begins where the last one ended, on disk too."""
    log = make_log()
    first = log.append(batch("a", "b"), now_ms=NOW_MS)
    second = log.append(batch("c"), now_ms=NOW_MS)
    assert (first.base_offset, first.last_offset, second.base_offset) == (0, 1, 2)
    (data,) = log.read(0, 1 << 20).records
    assert [(header.base_offset, header.leader_epoch) for _, header in headers_in(data)] == [(0, 0), (2, 0)]
    assert values_from(log) == ["a", "b", "c"]


def test_read_returns_the_batch_that_holds_the_offset(make_log: MakeLog) -> None:
    """A read from the middle of a batch returns the whole batch; clients drop what they did not ask for."""
    log = make_log()
    log.append(batch("a", "b", "c"), now_ms=NOW_MS)
    (data,) = log.read(1, 1 << 20).records
    assert parse_header(data).base_offset == 0


def test_read_keeps_to_the_limit_but_returns_one_batch(make_log: MakeLog) -> None:
    """Whole batches within the limit, or one larger batch unless the caller has something already."""
    log = make_log()
    size = len(batch("a"))
    for _ in range(5):
        log.append(batch("a"), now_ms=NOW_MS)
    assert log.read(0, 3 * size + 5).size == 3 * size
    assert log.read(0, 10).size == size
    assert log.read(0, 10, minimum_one=False).size == 0


@pytest.mark.parametrize("interval", [0, 150, 1 << 20])
def test_reads_of_every_length(make_log: MakeLog, interval: int) -> None:
    """From every batch, and for every limit, exactly the whole batches that fit, however dense the index is."""
    log = make_log(index_interval_bytes=interval)
    sizes = [len(batch("x" * (number * 7 % 90))) for number in range(9)]
    for number in range(9):
        log.append(batch("x" * (number * 7 % 90)), now_ms=NOW_MS)
    for first in range(9):
        for limit in range(sum(sizes[first:]) + 2):
            fitting = [sum(sizes[first:end]) for end in range(first, 10) if sum(sizes[first:end]) <= limit]
            assert log.read(first, limit, minimum_one=False).size == fitting[-1]


def test_read_outside_the_log(make_log: MakeLog) -> None:
    """The end is readable and empty; beyond it, or before the start, is out of range."""
    log = make_log()
    log.append(batch("a", "b"), now_ms=NOW_MS)
    log.delete_records(1)
    assert log.read(2, 100).records == []
    assert code_of(lambda: log.read(3, 100)) is ErrorCode.OFFSET_OUT_OF_RANGE
    assert code_of(lambda: log.read(0, 100)) is ErrorCode.OFFSET_OUT_OF_RANGE


@settings(max_examples=40, deadline=None)
@given(
    sizes=st.lists(st.integers(1, 6), min_size=1, max_size=40),
    reads=st.lists(st.tuples(st.floats(0, 1), st.integers(0, 2000)), max_size=10),
    interval=st.sampled_from([0, 100, 4096]),
    segment_bytes=st.sampled_from([300, 1000, 1 << 20]),
)
def test_reads_equal_a_list_of_batches(
    tmp_path_factory: pytest.TempPathFactory,
    sizes: list[int],
    reads: list[tuple[float, int]],
    interval: int,
    segment_bytes: int,
) -> None:
    """Whatever the segments and index, a read returns the batches a plain list would."""
    directory = LogDirectory.open(tmp_path_factory.mktemp("d"), on_message=print)
    config = LogConfig(index_interval_bytes=interval, segment_bytes=segment_bytes)
    log = directory.create("t", 0, TOPIC_ID, config)
    spans: list[tuple[int, int]] = []
    for size in sizes:
        result = log.append(batch(*("x" * size)), now_ms=NOW_MS)
        spans.append((result.base_offset, result.last_offset))
    for where, limit in reads:
        offset = int(where * (log.log_end_offset - 1))
        got = [
            (header.base_offset, header.last_offset)
            for data in log.read(offset, limit).records
            for _, header in headers_in(data)
        ]
        following = [span for span in spans if span[1] >= offset]
        assert got
        assert got == following[: len(got)]
    assert "".join(values_from(log)) == "x" * log.log_end_offset
    directory.close()


def test_rolls_by_size_time_and_index(make_log: MakeLog) -> None:
    """A new segment begins when the old one is full, old, or its index is."""
    by_size = make_log(segment_bytes=100)
    by_time = make_log(segment_ms=1000)
    by_index = make_log(segment_index_bytes=8, index_interval_bytes=0)
    for number in range(4):
        for log in (by_size, by_time, by_index):
            log.append(batch("a", timestamp=NOW_MS + 600 * number), now_ms=NOW_MS + 600 * number)
    assert [segment.base_offset for segment in by_size.segments] == [0, 1, 2, 3]
    assert [segment.base_offset for segment in by_time.segments] == [0, 2]
    assert [segment.base_offset for segment in by_index.segments] == [0, 2]


@pytest.mark.parametrize("codec", list(Codec))
def test_timestamp_lookup(make_log: MakeLog, codec: Codec) -> None:
    """The first record that is not older, out of any batch, compressed or not; none after the newest."""
    log = make_log(segment_bytes=400, index_interval_bytes=0)
    for number in range(12):
        log.append(batch("a", "b", timestamp=1000 + 10 * number, codec=codec), now_ms=NOW_MS)
    assert log.offset_for_timestamp(0) == (1000, 0)
    assert log.offset_for_timestamp(1045) == (1050, 10)
    assert log.offset_for_timestamp(1111) is None
    assert log.offset_of_max_timestamp() == (1110, 22, 0)


def test_timestamp_lookup_of_late_records(make_log: MakeLog) -> None:
    """Records out of order of time are found by offset, as Kafka finds them."""
    log = make_log(index_interval_bytes=0)
    for timestamp in (500, 100, 900, 300):
        log.append(batch("a", timestamp=timestamp), now_ms=NOW_MS)
    assert log.offset_for_timestamp(200) == (500, 0)
    assert log.offset_for_timestamp(600) == (900, 2)
    assert log.offset_of_max_timestamp() == (900, 2, 0)


@pytest.mark.parametrize("kind", ["CreateTime", "LogAppendTime"])
def test_timestamp_lookup_behind_the_start(make_log: MakeLog, kind: str) -> None:
    """Where the log begins inside a batch, its first record that is still there is found."""
    log = make_log(message_timestamp_type=kind)
    log.append(batch("a", "b", "c"), now_ms=NOW_MS)
    log.append(batch("d"), now_ms=NOW_MS)
    log.delete_records(1)
    assert log.offset_for_timestamp(0) == (NOW_MS, 1)


def test_largest_timestamp_of_records_without_one(make_log: MakeLog) -> None:
    """The first record is found where none has a timestamp, and nothing in an empty log."""
    log = make_log()
    assert log.offset_of_max_timestamp() is None
    for _ in range(2):
        log.append(batch("a", timestamp=-1), now_ms=NOW_MS)
    assert log.offset_of_max_timestamp() == (-1, 0, 0)


def test_log_append_time(make_log: MakeLog) -> None:
    """The topic's clock replaces the client's, in the answer and in every record."""
    log = make_log(message_timestamp_type="LogAppendTime")
    result = log.append(batch("a", timestamp=5), now_ms=NOW_MS)
    (data,) = log.read(0, 1 << 20).records
    header = parse_header(data)
    assert result.log_append_time_ms == header.max_timestamp == NOW_MS
    assert [record.timestamp for record in decode_records(data, header)] == [NOW_MS]


@pytest.mark.parametrize("codec", ["uncompressed", "gzip", "snappy", "lz4", "zstd"])
def test_compression_of_the_topic(make_log: MakeLog, codec: str) -> None:
    """A topic with a codec of its own stores batches with it, whatever the client sent."""
    log = make_log(compression_type=codec)
    log.append(batch("a", "b", codec=Codec.GZIP), now_ms=NOW_MS)
    (data,) = log.read(0, 1 << 20).records
    assert parse_header(data).codec.name == {"uncompressed": "NONE"}.get(codec, codec.upper())
    assert values_from(log) == ["a", "b"]


def test_compacted_topic_wants_keys(make_log: MakeLog) -> None:
    """A record without key refuses its batch and is named."""
    log = make_log(cleanup_policy=("compact",))
    with pytest.raises(BrokerError) as caught:
        log.append(build_pairs([(b"k", b"1"), (None, b"2")], timestamp_ms=NOW_MS), now_ms=NOW_MS)
    assert caught.value.code is ErrorCode.INVALID_RECORD
    assert [index for index, _ in caught.value.record_errors] == [1]
    assert log.log_end_offset == 0


def test_too_old_records(make_log: MakeLog) -> None:
    """With a limit to the past, older records are refused by index."""
    log = make_log(message_timestamp_before_max_ms=1000)
    assert (
        code_of(lambda: log.append(batch("a", timestamp=NOW_MS - 2000), now_ms=NOW_MS)) is ErrorCode.INVALID_TIMESTAMP
    )
    log.append(batch("a", timestamp=NOW_MS - 900), now_ms=NOW_MS)


def test_delete_records(make_log: MakeLog) -> None:
    """The start moves, whole segments below go, -1 empties the log, and above the high watermark nothing can go."""
    log = make_log(segment_bytes=100)
    for number in range(4):
        log.append(batch(str(number)), now_ms=NOW_MS)
    assert log.delete_records(2) == 2
    assert values_from(log) == ["2", "3"]
    assert len(log.segments) == 2
    assert code_of(lambda: log.delete_records(5)) is ErrorCode.OFFSET_OUT_OF_RANGE
    assert log.delete_records(-1) == 4
    assert log.append(batch("4"), now_ms=NOW_MS).base_offset == 4
    assert values_from(log) == ["4"]


def test_delete_records_of_a_compacted_topic(make_log: MakeLog) -> None:
    """Compacted topics refuse with POLICY_VIOLATION."""
    assert code_of(lambda: make_log(cleanup_policy=("compact",)).delete_records(0)) is ErrorCode.POLICY_VIOLATION


def test_retention_by_age_rolls_and_empties(make_log: MakeLog) -> None:
    """When everything is too old, the active segment goes too and offsets go on."""
    log = make_log(retention_ms=1000, segment_bytes=100)
    for number in range(3):
        log.append(batch(str(number), timestamp=NOW_MS), now_ms=NOW_MS)
    assert log.apply_retention(NOW_MS + 500) == 0
    assert log.apply_retention(NOW_MS + 2000) == 3
    assert (log.log_start_offset, log.log_end_offset, log.size) == (3, 3, 0)
    log.append(batch("later"), now_ms=NOW_MS)
    assert values_from(log) == ["later"]


def test_retention_by_size(make_log: MakeLog) -> None:
    """The oldest segments go as long as what stays is not smaller than the limit."""
    size = len(batch("0"))
    log = make_log(retention_bytes=2 * size, retention_ms=-1, segment_bytes=size)
    for number in range(5):
        log.append(batch(str(number)), now_ms=NOW_MS)
    assert log.apply_retention(NOW_MS) == 3
    assert values_from(log) == ["3", "4"]


def test_read_committed(make_log: MakeLog) -> None:
    """Readers of committed data stop at the first open transaction and learn whom to skip."""
    log = make_log()
    log.append(batch("plain"), now_ms=NOW_MS)
    log.append(batch("lost", producer=(1, 0, 0), transactional=True), now_ms=NOW_MS)
    log.append(batch("kept", producer=(2, 0, 0), transactional=True), now_ms=NOW_MS)
    assert (log.last_stable_offset, log.high_watermark) == (1, 3)
    assert values_from(log, committed=True) == ["plain"]
    marker = build_marker(1, 0, commit=False, coordinator_epoch=0, timestamp_ms=NOW_MS)
    log.append(marker, now_ms=NOW_MS, client=False)
    assert log.last_stable_offset == 2
    log.append(build_marker(2, 0, commit=True, coordinator_epoch=0, timestamp_ms=NOW_MS), now_ms=NOW_MS, client=False)
    assert log.last_stable_offset == log.high_watermark == 5
    assert log.read(0, 1 << 20, committed=True).aborted == [(1, 1)]
    assert log.read(0, 1 << 20).aborted == []
    assert log.read(4, 1 << 20, committed=True).aborted == []


def test_markers_of_an_old_coordinator_are_fenced(make_log: MakeLog) -> None:
    """A coordinator that lost its epoch cannot end transactions."""
    log = make_log()
    log.append(batch("a", producer=(1, 3, 0), transactional=True), now_ms=NOW_MS)
    log.append(build_marker(1, 3, commit=True, coordinator_epoch=5, timestamp_ms=1), now_ms=NOW_MS, client=False)
    old = build_marker(1, 3, commit=True, coordinator_epoch=4, timestamp_ms=1)
    fenced = code_of(lambda: log.append(old, now_ms=NOW_MS, client=False))
    assert fenced is ErrorCode.TRANSACTION_COORDINATOR_FENCED


def test_several_batches_of_the_broker(make_log: MakeLog) -> None:
    """Coordinators append several batches at once; a torn buffer is refused."""
    log = make_log(cleanup_policy=("compact",))
    two = build_pairs([(b"a", None)], timestamp_ms=1) + build_pairs([(b"b", b"x"), (b"c", b"")], timestamp_ms=2)
    result = log.append(two, now_ms=NOW_MS, client=False)
    assert (result.base_offset, result.last_offset) == (0, 2)
    assert code_of(lambda: log.append(b"", now_ms=NOW_MS, client=False)) is ErrorCode.CORRUPT_MESSAGE


def test_epochs_end_where_the_next_began(make_log: MakeLog, directory: LogDirectory) -> None:
    """A client of an older epoch learns where that epoch ended; unknown epochs are undefined."""
    log = make_log()
    log.append(batch("a", "b"), now_ms=NOW_MS)
    log.leader_epoch = 4
    log.append(batch("c"), now_ms=NOW_MS)
    assert log.end_offset_for_epoch(0) == (0, 2)
    assert log.end_offset_for_epoch(2) == (0, 2)
    assert log.end_offset_for_epoch(4) == (4, 3)
    assert log.end_offset_for_epoch(9) == (-1, -1)


def test_listeners_hear_of_every_move(make_log: MakeLog) -> None:
    """Whoever waits for data is told when the high watermark moves."""
    log = make_log()
    heard: list[int] = []
    log.on_advance = lambda moved: heard.append(moved.high_watermark)
    log.append(batch("a", "b"), now_ms=NOW_MS)
    log.append(batch("c"), now_ms=NOW_MS)
    assert heard == [2, 3]


def test_config_is_checked() -> None:
    """An unknown setting names the nearest, a bad value what was expected."""
    with pytest.raises(Exception, match=r"did you mean 'retention.ms'"):
        LogConfig.from_mapping({"retention.msec": "1"})
    with pytest.raises(Exception, match="must be a number"):
        LogConfig.from_mapping({"retention.ms": "a day"})
    config = LogConfig.from_mapping({"cleanup.policy": "compact, delete", "preallocate": "true"})
    assert config.compacts
    assert config.deletes
    assert config.shown()["cleanup.policy"] == "compact,delete"


def test_records_of_an_open_transaction_can_be_deleted(make_log: MakeLog) -> None:
    """The last stable offset is never below the log start: readers of committed data go on where the log begins."""
    log = make_log()
    log.append(batch("open", "open", producer=(1, 0, 0), transactional=True), now_ms=NOW_MS)
    log.append(batch("a"), now_ms=NOW_MS)
    assert log.delete_records(1) == 1
    log.append(batch("b"), now_ms=NOW_MS)
    assert (log.log_start_offset, log.last_stable_offset, log.high_watermark) == (1, 1, 4)
    assert values_from(log, committed=True) == []
