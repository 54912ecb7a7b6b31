"""Compaction: what is left of a log equals what a naive model keeps, at every crash point."""

import asyncio
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broker.log import cleaner
from broker.log.checkpoints import read_offsets, write_offsets
from broker.log.config import LogConfig
from broker.log.directory import LogDirectory
from broker.log.partition_log import PartitionLog
from broker.log.swap import finish_swaps
from broker.protocol.compression import Codec
from broker.protocol.record_batch import TRANSACTIONAL_BIT, headers_in, parse_header
from broker.protocol.records import Record, assemble, build_batch, build_marker, encode_record, records_in

from .conftest import NOW_MS, TOPIC_ID

MakeLog = Callable[..., PartitionLog]
COMPACT = {"cleanup_policy": ("compact",), "segment_bytes": 400, "min_cleanable_dirty_ratio": 0.0}
RETENTION_MS = 1000


def keyed(
    *pairs: tuple[str, str | None], producer: tuple[int, int, int] = (-1, -1, -1), codec: Codec = Codec.NONE
) -> bytes:
    records = [
        Record(offset, NOW_MS, key.encode(), None if value is None else value.encode())
        for offset, (key, value) in enumerate(pairs)
    ]
    return build_batch(
        records,
        codec=codec,
        producer_id=producer[0],
        producer_epoch=producer[1],
        base_sequence=producer[2],
        attributes=TRANSACTIONAL_BIT if producer[0] >= 0 else 0,
    )


def compact(log: PartitionLog, now_ms: int = NOW_MS, first_dirty: int = 0) -> bool:
    plan = cleaner.plan(log, first_dirty, now_ms)
    if plan is None:
        return False
    steps = cleaner.swap(log, plan, cleaner.run_plan(plan))
    while True:
        try:
            next(steps)()
        except StopIteration as done:
            return bool(done.value)


def records_of(log: PartitionLog) -> list[tuple[int, str, str | None]]:
    """(offset, key, value) of every record stored, batch by batch, transactions disregarded."""
    found, offset = [], log.log_start_offset
    while offset < log.high_watermark:
        data = b"".join(log.read(offset, 1 << 20).records)
        if not data:
            break
        found += [
            (record.offset, (record.key or b"").decode(), None if record.value is None else record.value.decode())
            for record in records_in(data)
        ]
        offset = [header.last_offset + 1 for _, header in headers_in(data)][-1]
    return found


def naive(
    records: list[tuple[int, str, str | None]], closed_end: int, *, horizon_passed: bool
) -> list[tuple[int, str, str | None]]:
    """The last record of each key among the closed segments, and everything behind them."""
    last = {key: offset for offset, key, _ in records if offset < closed_end}
    return [
        (offset, key, value)
        for offset, key, value in records
        if offset >= closed_end or (last[key] == offset and not (horizon_passed and value is None))
    ]


pairs = st.tuples(st.sampled_from(["a", "b", "c", "d" * 40]), st.none() | st.text("xyz", max_size=3))


@settings(max_examples=60, deadline=None)
@given(
    batches=st.lists(
        st.tuples(st.lists(pairs, min_size=1, max_size=4), st.sampled_from(list(Codec))), min_size=2, max_size=25
    ),
    split=st.floats(0, 1),
)
def test_equals_a_naive_model(
    tmp_path_factory: pytest.TempPathFactory,
    batches: list[tuple[list[tuple[str, str | None]], Codec]],
    split: float,
) -> None:
    """Compacted in two rounds with appends between, a log holds what the model holds, at the same offsets, and restarts so."""
    path = tmp_path_factory.mktemp("d")
    directory = LogDirectory.open(path, on_message=print)
    log = directory.create("t", 0, TOPIC_ID, LogConfig(**COMPACT, delete_retention_ms=RETENTION_MS))
    written: list[tuple[int, str, str | None]] = []
    for number, (content, codec) in enumerate(batches):
        if number == int(split * len(batches)):
            compact(log)
        base = log.append(keyed(*content, codec=codec), now_ms=NOW_MS).base_offset
        written += [(base + index, key, value) for index, (key, value) in enumerate(content)]
    compact(log)
    closed = log.segments.active.base_offset
    assert records_of(log) == naive(written, closed, horizon_passed=False)
    compact(log, NOW_MS + RETENTION_MS)
    compact(log, NOW_MS + RETENTION_MS + 1)
    assert records_of(log) == naive(written, closed, horizon_passed=True)
    end = log.log_end_offset
    directory.close()
    again = LogDirectory.open(path, on_message=print)
    restarted = again.get("t", 0)
    assert restarted is not None
    assert (records_of(restarted), restarted.log_end_offset) == (naive(written, closed, horizon_passed=True), end)
    again.close()


def test_offsets_and_sequences_stay(make_log: MakeLog) -> None:
    """A batch that lost records keeps its offsets and sequences; a live producer's last batch stays, if only empty."""
    log = make_log(**COMPACT)
    log.append(keyed(("a", "1"), ("b", "2"), ("c", "3"), producer=(7, 0, 0)), now_ms=NOW_MS)
    log.append(keyed(("a", "4"), ("b", "5"), ("c", "6")), now_ms=NOW_MS, client=False)
    log.roll(NOW_MS)
    log.append(keyed(("z", "9")), now_ms=NOW_MS)
    log.append(build_marker(7, 0, commit=True, coordinator_epoch=0, timestamp_ms=NOW_MS), now_ms=NOW_MS, client=False)
    log.roll(NOW_MS)
    assert compact(log)
    header = parse_header(log.read(0, 1).records[0])
    assert (header.base_offset, header.last_offset, header.record_count) == (0, 2, 0)
    assert (header.producer_id, header.last_sequence) == (7, 2)


def test_aborted_data_goes_before_its_marker(make_log: MakeLog) -> None:
    """Aborted records go at once; the marker one round and one horizon later; the index entry with the data's last reader."""
    log = make_log(**COMPACT, delete_retention_ms=RETENTION_MS)
    log.append(keyed(("a", "lost"), producer=(1, 0, 0)), now_ms=NOW_MS)
    log.append(build_marker(1, 0, commit=False, coordinator_epoch=0, timestamp_ms=NOW_MS), now_ms=NOW_MS, client=False)
    log.append(keyed(("a", "1")), now_ms=NOW_MS)
    log.append(keyed(("b", "2")), now_ms=NOW_MS)
    log.producers.expire(NOW_MS + 1)
    log.roll(NOW_MS)
    assert compact(log)
    assert records_of(log) == [(2, "a", "1"), (3, "b", "2")]
    assert [header.is_control for _, header in headers_in(log.read(0, 9999).records[0])] == [True, False, False]
    assert len(log.aborted_transactions(0, 9)) == 1
    assert compact(log)
    assert log.aborted_transactions(0, 9) == []
    assert compact(log, NOW_MS + RETENTION_MS)
    assert [header.is_control for _, header in headers_in(log.read(0, 9999).records[0])] == [False, False]


def test_committed_data_of_a_producer_that_aborted_before(make_log: MakeLog) -> None:
    """An older aborted transaction of the same producer does not take the newer one's records."""
    log = make_log(**COMPACT)
    for number, commit in enumerate((False, True)):
        log.append(keyed(("a", str(number)), producer=(1, 0, number)), now_ms=NOW_MS)
        marker = build_marker(1, 0, commit=commit, coordinator_epoch=0, timestamp_ms=NOW_MS)
        log.append(marker, now_ms=NOW_MS, client=False)
        log.roll(NOW_MS)
    assert compact(log, first_dirty=2)
    assert (2, "a", "1") in records_of(log)


def test_open_transactions_and_young_records_are_left(make_log: MakeLog) -> None:
    """Nothing beyond the last stable offset, in the active segment or younger than the lag is touched."""
    log = make_log(**COMPACT)
    log.append(keyed(("a", "1")), now_ms=NOW_MS)
    log.append(keyed(("a", "2"), producer=(1, 0, 0)), now_ms=NOW_MS)
    log.roll(NOW_MS)
    assert not compact(log)
    lagging = make_log(**COMPACT, min_compaction_lag_ms=5000)
    lagging.append(keyed(("a", "1")), now_ms=NOW_MS)
    lagging.roll(NOW_MS)
    assert not compact(lagging, NOW_MS + 4000)
    assert compact(lagging, NOW_MS + 6000)


def test_small_segments_are_merged(make_log: MakeLog) -> None:
    """Segments that shrank are put together up to the segment size, and time look-ups go on."""
    log = make_log(**COMPACT)
    for number in range(60):
        log.append(keyed(("a", str(number)), ("b", str(number))), now_ms=NOW_MS)
    before = len(log.segments)
    compact(log)
    compact(log)
    assert len(log.segments) < before / 2
    assert log.offset_for_timestamp(NOW_MS) is not None


def test_a_crash_at_any_file_of_a_swap(tmp_path: Path) -> None:
    """Whichever step of a swap was the last, the log is the old one or the new one, never a mixture."""
    directory = LogDirectory.open(tmp_path / "data", on_message=print)
    log = directory.create("t", 0, TOPIC_ID, LogConfig(**COMPACT))
    for number in range(20):
        log.append(keyed(("a", str(number)), (str(number), "x")), now_ms=NOW_MS)
    plan = cleaner.plan(log, 0, NOW_MS)
    assert plan is not None
    cleaner.run_plan(plan)
    old = records_of(log)
    new = naive(old, log.segments.active.base_offset, horizon_passed=False)
    folder = tmp_path / "data" / "t-0"
    for step in range(12):
        copy = tmp_path / f"copy{step}"
        shutil.copytree(folder, copy)
        interrupted_swaps(copy, plan, step)
        finish_swaps(copy)
        assert not [path.name for path in copy.iterdir() if path.suffix in {".swap", ".cleaned"}]
        shutil.copytree(copy, tmp_path / f"data{step}" / "t-0")
        opened = LogDirectory.open(tmp_path / f"data{step}", on_message=print)
        again = opened.get("t", 0)
        assert again is not None
        found = records_of(again)
        first_new = plan.groups[0][-1].end_offset
        assert found in (old, new, [r for r in new if r[0] < first_new] + [r for r in old if r[0] >= first_new])
        opened.close()
    directory.close()


def interrupted_swaps(folder: Path, plan: cleaner.Plan, steps: int) -> None:
    """Do the first renames of the first group's swap, as `cleaner.swap` orders them, and stop."""
    base = f"{plan.groups[0][0].base_offset:020d}"
    suffixes = (".txnindex", ".timeindex", ".index", ".log")
    moves = [(f"{base}{s}.cleaned", f"{base}{s}.swap") for s in suffixes]
    for source in plan.groups[0]:
        name = f"{source.base_offset:020d}"
        moves += [(f"{name}{s}", f"{name}{s}.deleted") for s in suffixes]
    moves += [(f"{base}{s}.swap", f"{base}{s}") for s in suffixes]
    moves = [(old, new) for old, new in moves if not old.endswith(".log") or (folder / old).exists()]
    for old, new in moves[: steps * len(moves) // 11]:
        path = folder / old
        if path.exists():
            path.replace(folder / new)


def test_readers_between_the_steps_of_a_swap(make_log: MakeLog) -> None:
    """While a swap waits for the disk the old records are read on, nothing is removed, and a refusal leaves all as it was."""
    log = make_log(**COMPACT)
    for number in range(20):
        log.append(keyed(("a", str(number)), (str(number), "x")), now_ms=NOW_MS)
    old = records_of(log)
    for refused in (0, 1, None):
        plan = cleaner.plan(log, 0, NOW_MS)
        assert plan is not None
        steps = cleaner.swap(log, plan, cleaner.run_plan(plan))
        for number in range(2):
            wait_for_disk = next(steps)
            log.release()  # files are opened anew, by the names they have now
            assert records_of(log) == old
            assert log.apply_retention(NOW_MS + 10**12) == 0
            if number == refused:
                with pytest.raises(OSError, match="refused"):
                    steps.throw(OSError("refused"))
                break
            wait_for_disk()
        else:
            next(steps)()
            assert list(steps) == []
        log.release()
        assert (records_of(log) == old) is (refused is not None)
    assert records_of(log) == naive(old, log.segments.active.base_offset, horizon_passed=False)
    assert not [path for path in log.directory.iterdir() if path.suffix in {".swap", ".cleaned", ".deleted"}]


def test_the_cleaner_remembers_how_far_it_got(tmp_path: Path) -> None:
    """One call compacts the dirtiest log in a thread; the next finds nothing to do, also after a restart."""
    directory = LogDirectory.open(tmp_path, on_message=print)
    log = directory.create("t", 0, TOPIC_ID, LogConfig(cleanup_policy=("compact",), segment_bytes=400))
    for number in range(20):
        log.append(keyed(("a", str(number))), now_ms=NOW_MS)

    async def run() -> None:
        at_work = cleaner.Cleaner(directory, asyncio.get_running_loop())
        running = at_work.look(NOW_MS)
        assert running is not None
        await running
        await asyncio.sleep(0)
        assert len(records_of(log)) < 20
        assert at_work.look(NOW_MS) is None
        assert cleaner.Cleaner(directory, asyncio.get_running_loop()).look(NOW_MS) is None

    asyncio.run(run())
    directory.close()


def compact_with(at_work: cleaner.Cleaner, now_ms: int = NOW_MS) -> bool:
    """Let a cleaner compact what it chooses; whether it chose something."""
    running = at_work.look(now_ms)
    if running is None:
        return False
    running.get_loop().run_until_complete(running)
    return True


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    loop = asyncio.new_event_loop()
    yield loop
    loop.close()


def test_a_topic_that_took_a_name_is_compacted_from_its_start(
    directory: LogDirectory, loop: asyncio.AbstractEventLoop
) -> None:
    """How far its predecessor was compacted is forgotten with it: a key that was deleted does not come back."""
    config = LogConfig(cleanup_policy=("compact",), min_cleanable_dirty_ratio=0.0, delete_retention_ms=RETENTION_MS)
    at_work = cleaner.Cleaner(directory, loop)
    old = directory.create("t", 0, TOPIC_ID, config)
    for number in range(100):
        old.append(keyed(("a", str(number))), now_ms=NOW_MS)
    old.roll(NOW_MS)
    assert compact_with(at_work)
    directory.delete("t", 0)
    assert read_offsets(directory.path / cleaner.CLEANED_UP_TO) == {}
    log = directory.create("t", 0, UUID(int=8), config)
    log.append(keyed(("gone", "1")), now_ms=NOW_MS)
    log.append(keyed(("gone", None)), now_ms=NOW_MS)
    for number in range(200):  # beyond what was noted of the predecessor
        log.append(keyed(("b", str(number))), now_ms=NOW_MS)
    log.roll(NOW_MS)
    assert compact_with(at_work)
    assert records_of(log) == [(1, "gone", None), (201, "b", "199")]
    log.append(keyed(("b", "last")), now_ms=NOW_MS)
    log.roll(NOW_MS)
    assert compact_with(at_work, NOW_MS + RETENTION_MS)
    assert records_of(log) == [(202, "b", "last")]


@pytest.mark.parametrize("partition", [0, 1], ids=["of a log that ends before", "of no log"])
def test_a_noted_offset_that_cannot_be(
    directory: LogDirectory, loop: asyncio.AbstractEventLoop, partition: int
) -> None:
    """What a crash left of a deleted topic, or of records that were cut off, keeps nothing from being compacted."""
    log = directory.create("t", 0, TOPIC_ID, LogConfig(cleanup_policy=("compact",), segment_bytes=400))
    for number in range(20):
        log.append(keyed(("a", str(number))), now_ms=NOW_MS)
    write_offsets(directory.path / cleaner.CLEANED_UP_TO, {("t", partition): 1000})
    assert compact_with(cleaner.Cleaner(directory, loop))
    assert len(records_of(log)) < 20
    assert list(read_offsets(directory.path / cleaner.CLEANED_UP_TO)) == [("t", 0)]


def test_a_batch_that_cannot_be_compacted(
    directory: LogDirectory, loop: asyncio.AbstractEventLoop, caplog: pytest.LogCaptureFixture
) -> None:
    """Its log is left alone, said once, until it is deleted or the broker restarts; other logs are compacted as ever."""
    config = LogConfig(**COMPACT)
    odd, sound = (directory.create("t", partition, TOPIC_ID, config) for partition in range(2))
    header = parse_header(keyed(("a", "1"), ("b", "2")))._replace(base_timestamp=2**63 - 1)
    payload = bytearray()
    for offset, key in enumerate((b"a", b"b")):
        encode_record(payload, Record(offset, 2**63 + 5, key, b"1"), 0, 2**63 - 1)
    odd.append(assemble(header, bytes(payload)), now_ms=NOW_MS, client=False)
    for log, count in ((odd, 30), (sound, 20)):
        for number in range(count):
            log.append(keyed(("a", str(number))), now_ms=NOW_MS)
        log.roll(NOW_MS)
    at_work = cleaner.Cleaner(directory, loop)
    assert [compact_with(at_work) for _ in range(3)] == [True, True, False]
    assert [record[1:] for record in records_of(sound)] == [("a", "19")]
    said = [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]
    assert len(said) == 1
    assert "t-0: compaction failed, and is not tried again before the next start" in said[0]
    assert not list(odd.directory.glob("*.cleaned"))
    directory.delete("t", 0)
    again = directory.create("t", 0, UUID(int=8), config)
    for number in range(20):
        again.append(keyed(("a", str(number))), now_ms=NOW_MS)
    assert compact_with(at_work)


def test_a_log_that_does_not_fit_on_the_disk(
    directory: LogDirectory, loop: asyncio.AbstractEventLoop, full_disk: Callable[[int], None]
) -> None:
    """Smaller ones have their turn, which makes room; then it is compacted too."""
    config = LogConfig(cleanup_policy=("compact",), min_cleanable_dirty_ratio=0.0)
    large, small = (directory.create("t", partition, TOPIC_ID, config) for partition in range(2))
    for number in range(100):
        large.append(keyed((str(number // 2), "x" * 100)), now_ms=NOW_MS)
    for number in range(20):
        small.append(keyed(("a", str(number))), now_ms=NOW_MS)
    for log in (large, small):
        log.roll(NOW_MS)
    at_work = cleaner.Cleaner(directory, loop)
    full_disk(4000)
    assert [compact_with(at_work) for _ in range(2)] == [True, True]
    assert (len(records_of(large)), len(records_of(small))) == (100, 1)
    assert not list(large.directory.glob("*.cleaned"))
    full_disk(1 << 30)
    assert [compact_with(at_work) for _ in range(2)] == [True, False]
    assert (len(records_of(large)), len(records_of(small))) == (50, 1)
