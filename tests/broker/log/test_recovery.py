"""What a log is after a crash: every whole batch before the first damage, and nothing else."""

import shutil
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broker.log.config import LogConfig
from broker.log.open_files import OpenFiles
from broker.log.partition_log import PartitionLog
from broker.log.recovery import Origin, open_log
from broker.protocol.record_batch import headers_in
from broker.protocol.records import build_marker

from .conftest import NOW_MS, TOPIC_ID, batch, values_from

FILE = "00000000000000000000.log"


def reopen(folder: Path, messages: list[str], *, clean: bool = False, point: int = 0, start: int = 0) -> PartitionLog:
    origin = Origin(folder, "t", 0, TOPIC_ID, LogConfig(index_interval_bytes=60), OpenFiles(), clean, point, start)
    return open_log(origin, messages.append)


def small_log(folder: Path) -> list[tuple[int, list[str]]]:
    """A log of five batches; for each (position behind it, values up to it)."""
    folder.mkdir()
    log = reopen(folder, [], clean=True)
    ends, values = [], []
    for number in range(5):
        names = [f"v{number}.{index}" for index in range(1 + number % 3)]
        log.append(batch(*names, producer=(9, 0, len(values))), now_ms=NOW_MS)
        values += names
        ends.append((log.size, list(values)))
    log.segments.active.release_file()
    return ends


def expected(ends: list[tuple[int, list[str]]], damage: int) -> list[str]:
    """The values of the batches that lie before a damaged byte."""
    return next((values for end, values in reversed(ends) if end <= damage), [])


def test_cut_at_every_byte(tmp_path: Path) -> None:
    """Wherever the last write was torn, the whole batches before it are served and writing goes on behind them."""
    ends = small_log(tmp_path / "log")
    data = (tmp_path / "log" / FILE).read_bytes()
    for cut in range(len(data) + 1):
        folder = tmp_path / "cut"
        shutil.copytree(tmp_path / "log", folder)
        (folder / FILE).write_bytes(data[:cut])
        messages: list[str] = []
        log = reopen(folder, messages)
        assert values_from(log) == expected(ends, cut)
        whole = cut in {0, *(end for end, _ in ends)}
        assert bool(messages) != whole
        next_sequence = len(expected(ends, cut))
        log.append(batch("next", producer=(9, 0, next_sequence)), now_ms=NOW_MS)
        assert values_from(log)[-1] == "next"
        log.segments.active.release_file()
        shutil.rmtree(folder)


def test_flipped_byte_anywhere(tmp_path: Path) -> None:
    """A damaged byte ends the log at its batch; the message names file, position and loss."""
    ends = small_log(tmp_path / "log")
    data = (tmp_path / "log" / FILE).read_bytes()
    for position in range(len(data)):
        begin = max((end for end, _ in ends if end <= position), default=0)
        if position - begin in range(8) or position - begin in range(12, 16):
            continue  # base offset and leader epoch lie outside the CRC: see the next test
        folder = tmp_path / "flip"
        shutil.copytree(tmp_path / "log", folder)
        damaged = bytearray(data)
        damaged[position] ^= 0x55
        (folder / FILE).write_bytes(damaged)
        messages: list[str] = []
        log = reopen(folder, messages)
        assert values_from(log) == expected(ends, position)
        assert len(messages) == 1
        assert FILE in messages[0]
        assert f"byte {begin:,}" in messages[0]
        log.segments.active.release_file()
        shutil.rmtree(folder)


def test_offset_going_back_is_damage(tmp_path: Path) -> None:
    """A batch whose base offset lies below the one before it cannot be served."""
    ends = small_log(tmp_path / "log")
    file = tmp_path / "log" / FILE
    data = bytearray(file.read_bytes())
    data[ends[3][0] : ends[3][0] + 8] = bytes(8)
    file.write_bytes(data)
    messages: list[str] = []
    assert values_from(reopen(tmp_path / "log", messages)) == ends[3][1]
    assert "begins at offset 0" in messages[0]


def test_checks_from_the_recovery_point_only(tmp_path: Path) -> None:
    """What was synced, and written down as synced, is not read again: start-up does not grow with the log."""
    small_log(tmp_path / "log")
    log = reopen(tmp_path / "log", [])
    point = log.log_end_offset
    for segment in log.segments:
        segment.flush_indexes()
    file = tmp_path / "log" / FILE
    data = bytearray(file.read_bytes())
    data[70] ^= 0x55
    file.write_bytes(data)
    messages: list[str] = []
    assert reopen(tmp_path / "log", messages, point=point).log_end_offset == point
    assert messages == []


@settings(max_examples=40, deadline=None)
@given(sizes=st.lists(st.integers(1, 4), min_size=1, max_size=12), data=st.data())
def test_state_after_a_cut_equals_state_never_longer(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int], data: st.DataObject
) -> None:
    """Producers, open transactions, indexes and time look-ups after a cut are those of a log that never was longer."""
    folder = tmp_path_factory.mktemp("cut") / "log"
    folder.mkdir()
    config = LogConfig(index_interval_bytes=60, segment_bytes=600)
    log = open_log(Origin(folder, "t", 0, TOPIC_ID, config, OpenFiles()), print)
    steps, sequences = [], dict.fromkeys(range(3), 0)
    for size in sizes:
        producer = data.draw(st.integers(0, 2))
        if log.producers.open_transactions.get(producer) is not None and data.draw(st.booleans()):
            step = build_marker(producer, 0, commit=size % 2 == 0, coordinator_epoch=0, timestamp_ms=NOW_MS)
        else:
            step = batch(
                *"abcd"[:size], producer=(producer, 0, sequences[producer]), transactional=True, timestamp=NOW_MS + size
            )
            sequences[producer] += size
        log.append(step, now_ms=NOW_MS, client=False)
        steps.append(step)
    kept = data.draw(st.integers(0, len(steps)))
    active = log.segments.active
    first_kept = sum(len(list(headers_in(segment.read(0, segment.size)))) for segment in log.segments.inactive)
    kept = max(kept, first_kept)
    position = sum(len(step) for step in steps[first_kept:kept])
    for segment in log.segments:
        segment.release_file()
    with active.path.open("rb+") as file:
        file.truncate(position)
    recovered = open_log(Origin(folder, "t", 0, TOPIC_ID, config, OpenFiles(), clean=False), print)
    fresh_folder = folder.with_name("fresh")
    fresh_folder.mkdir()
    fresh = open_log(Origin(fresh_folder, "t", 0, TOPIC_ID, config, OpenFiles()), print)
    for step in steps[:kept]:
        fresh.append(step, now_ms=NOW_MS, client=False)
    assert state_of(recovered) == state_of(fresh)
    for opened in (recovered, fresh):
        for segment in opened.segments:
            segment.release_file()


def state_of(log: PartitionLog) -> dict[str, object]:
    end = log.log_end_offset
    return {
        "end": end,
        "stable": log.last_stable_offset,
        "producers": {
            key: (producer.epoch, producer.batches, producer.transaction_start)
            for key, producer in log.producers.producers.items()
        },
        "aborted": log.aborted_transactions(0, end),
        "times": [log.offset_for_timestamp(NOW_MS + late) for late in range(6)],
        "index": [(segment.base_offset, segment.index.entries()) for segment in log.segments if segment.size],
        "epochs": [
            entry for entry in log.epochs.entries if entry[1] < end
        ],  # one that lost all its records stays known
    }


def test_segments_behind_a_damaged_one_are_set_aside(tmp_path: Path) -> None:
    """Nothing is deleted: what cannot be reached by offset any more keeps its bytes under another name."""
    folder = tmp_path / "log"
    folder.mkdir()
    config = LogConfig(segment_bytes=200)
    log = open_log(Origin(folder, "t", 0, TOPIC_ID, config, OpenFiles()), print)
    for number in range(6):
        log.append(batch(f"value {number}", producer=(1, 0, number)), now_ms=NOW_MS)
    paths = [segment.path for segment in log.segments]
    bytes_before = paths[2].read_bytes()
    for segment in log.segments:
        segment.release_file()
    damaged = bytearray(paths[1].read_bytes())
    damaged[100] ^= 1
    paths[1].write_bytes(damaged)
    messages: list[str] = []
    log = open_log(Origin(folder, "t", 0, TOPIC_ID, config, OpenFiles(), clean=False), messages.append)
    assert values_from(log) == ["value 0", "value 1", "value 2"]
    assert paths[2].with_name(paths[2].name + ".damaged").read_bytes() == bytes_before
    assert len(messages) == 2
    log.segments.active.release_file()


def synced_log(folder: Path) -> list[str]:
    """Twelve batches, two aborted transactions among them, closed; offsets below 8 count as written down."""
    folder.mkdir()
    log = reopen(folder, [], clean=True)
    for number in range(6):
        transactional = number in {1, 4}
        producer = (9, 0, number // 3) if transactional else (-1, -1, -1)
        stamp = NOW_MS + number
        log.append(batch(f"v{number}", timestamp=stamp, producer=producer, transactional=transactional), now_ms=NOW_MS)
        if transactional:
            marker = build_marker(9, 0, commit=False, coordinator_epoch=0, timestamp_ms=stamp)
            log.append(marker, now_ms=NOW_MS, client=False)
    log.close()
    values = values_from(log, committed=True)
    log.release()
    return values


@pytest.mark.parametrize("suffix", ["index", "timeindex", "txnindex"])
def test_zeros_behind_what_was_synced(tmp_path: Path, suffix: str) -> None:
    """Sectors of zeros, which a power failure leaves behind an index's synced entries, are no entries."""
    folder = tmp_path / "log"
    synced_log(folder)
    path = (folder / FILE).with_suffix(f".{suffix}")
    before = path.read_bytes()
    path.write_bytes(before + bytes(340))
    log = reopen(folder, [], point=log_end(folder))
    log.close()
    assert path.read_bytes() == before
    assert log.offset_of_max_timestamp() == (NOW_MS + 5, 7, 0)
    assert [entry.first_offset for entry in log.aborted_transactions(0, 8)] == [1, 5]


def test_zeros_in_place_of_the_last_entry_of_a_rolled_segment(tmp_path: Path) -> None:
    """A segment that was checkpointed whole gets an entry when it is rolled: lost in a power failure, it is made anew."""
    folder = tmp_path / "log"
    folder.mkdir()
    log = reopen(folder, [], clean=True)
    for number in range(6):
        log.append(batch("x" * 20, timestamp=NOW_MS + number), now_ms=NOW_MS)
    log.append(batch("late", timestamp=NOW_MS + 9), now_ms=NOW_MS)
    log.roll(NOW_MS)
    point = log.log_end_offset
    log.append(batch("y"), now_ms=NOW_MS)
    log.close()
    log.release()
    path = (folder / FILE).with_suffix(".timeindex")
    before = path.read_bytes()
    path.write_bytes(before[:-12] + bytes(12))
    log = reopen(folder, [], point=point)
    log.close()
    log.release()
    assert path.read_bytes() == before


def log_end(folder: Path) -> int:
    return reopen(folder, [], clean=True).log_end_offset


def test_aborted_transactions_are_written_behind_those_that_are_safe(tmp_path: Path) -> None:
    """An index of aborted transactions grows in place: at no moment is less of it on the disk than was synced."""
    folder = tmp_path / "log"
    synced_log(folder)
    path = (folder / FILE).with_suffix(".txnindex")
    before, inode = path.read_bytes(), path.stat().st_ino
    log = reopen(folder, [], clean=True)
    with path.open("rb") as seen:
        log.append(batch("x", producer=(9, 0, 2), transactional=True), now_ms=NOW_MS)
        marker = build_marker(9, 0, commit=False, coordinator_epoch=0, timestamp_ms=NOW_MS)
        log.append(marker, now_ms=NOW_MS, client=False)
        log.close()
        grown = seen.read()
    assert (path.stat().st_ino, grown[: len(before)]) == (inode, before)
    assert len(grown) > len(before)


@pytest.mark.parametrize("contents", [b"", bytes(30), b"0\n1\n"])
def test_leader_epochs_that_did_not_reach_the_disk(tmp_path: Path, contents: bytes) -> None:
    """A file of leader epochs that is empty, zero or half is rebuilt from the log, and the next epoch is a new one."""
    folder = tmp_path / "log"
    synced_log(folder)
    (folder / "leader-epoch-checkpoint").write_bytes(contents)
    messages: list[str] = []
    log = reopen(folder, messages, point=8)
    assert (log.epochs.entries, log.leader_epoch) == ([(0, 0)], 1)
    assert "rebuilt" in messages[0]


def test_broken_snapshots_go(tmp_path: Path) -> None:
    """A producer snapshot that never reached the disk whole is removed, and the state comes from the log."""
    folder = tmp_path / "log"
    synced_log(folder)
    (snapshot,) = folder.glob("*.snapshot")
    snapshot.write_bytes(bytes(snapshot.stat().st_size))
    log = reopen(folder, [], point=8)
    assert not snapshot.exists()
    assert log.producers.producers.keys() == {9}
