"""Group commit: what is acknowledged or seen is on disk."""

import asyncio
import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from broker.errors import BrokerError, ErrorCode
from broker.log.checkpoints import read_offsets
from broker.log.config import LogConfig
from broker.log.directory import LogDirectory
from broker.log.flusher import Flusher
from broker.log.partition_log import PartitionLog

from .conftest import NOW_MS, TOPIC_ID, batch, values_from


def open_directory(path: Path) -> tuple[LogDirectory, PartitionLog]:
    directory = LogDirectory.open(path, on_message=print)
    return directory, directory.create("t", 0, TOPIC_ID, LogConfig(segment_bytes=200))


@contextmanager
def no_descriptors() -> Iterator[None]:
    """The process can open no more files for a while: the lowest number that is free is over the limit."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    free = os.open(os.devnull, os.O_RDONLY)
    os.close(free)
    resource.setrlimit(resource.RLIMIT_NOFILE, (free, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_visible_when_durable(tmp_path: Path) -> None:
    """Nothing is readable before the sync, everything after it, and those who wait for reads are told once."""
    directory, log = open_directory(tmp_path)
    heard: list[int] = []
    directory.on_advance = lambda moved: heard.append(moved.high_watermark)

    async def run() -> None:
        flusher = Flusher(directory, asyncio.get_running_loop())
        result = log.append(batch("a"), now_ms=NOW_MS)
        log.append(batch("b"), now_ms=NOW_MS)
        assert (log.high_watermark, values_from(log)) == (0, [])
        await flusher.durable(log, result.last_offset + 1)
        assert (log.high_watermark, heard) == (2, [2])
        assert flusher.durable(log, 2).done()
        await flusher.close()

    asyncio.run(run())
    directory.close()


def test_many_appends_share_a_sync(tmp_path: Path) -> None:
    """Appends of one round of the loop, in any partition, cost one round of the flusher."""
    directory, log = open_directory(tmp_path)
    other = directory.create("t", 1, TOPIC_ID, LogConfig())

    async def run() -> None:
        flusher = Flusher(directory, asyncio.get_running_loop())
        for number in range(50):
            log.append(batch(str(number)), now_ms=NOW_MS)
            other.append(batch(str(number)), now_ms=NOW_MS)
        await asyncio.gather(flusher.durable(log, 50), flusher.durable(other, 50))
        assert flusher.rounds == 1
        assert (log.high_watermark, other.high_watermark) == (50, 50)
        await flusher.close()

    asyncio.run(run())
    directory.close()


def test_the_next_round_lets_those_go_first_whom_the_last_one_woke(tmp_path: Path) -> None:
    """What was appended during a round is synced when the loop has done what the end of that round called for."""
    directory, log = open_directory(tmp_path)
    other = directory.create("t", 1, TOPIC_ID, LogConfig())
    rounds_begun: list[int] = []

    async def run() -> None:
        loop = asyncio.get_running_loop()
        flusher = Flusher(directory, loop)
        directory.on_advance = lambda _: loop.call_soon(lambda: rounds_begun.append(flusher.rounds))
        log.append(batch("a"), now_ms=NOW_MS)
        await asyncio.sleep(0)
        assert flusher.rounds == 1, "under way"
        other.append(batch("b"), now_ms=NOW_MS)
        await flusher.durable(other, 1)
        await asyncio.sleep(0)
        await flusher.close()

    asyncio.run(run())
    directory.close()
    assert rounds_begun == [1, 2]


@pytest.mark.parametrize("mode", ["interval", "os"])
def test_relaxed_modes_commit_at_once(tmp_path: Path, mode: str) -> None:
    """In the relaxed modes nobody waits for the disk; `interval` syncs by itself later."""
    directory, log = open_directory(tmp_path)

    async def run() -> None:
        flusher = Flusher(directory, asyncio.get_running_loop(), mode=mode, interval_ms=1)
        log.append(batch("a"), now_ms=NOW_MS)
        assert log.high_watermark == 1
        assert flusher.durable(log, 1).done()
        await flusher.drain()
        assert flusher.rounds == (1 if mode == "interval" else 0)
        await flusher.close()

    asyncio.run(run())
    directory.close()


def test_a_failing_disk_takes_the_round_back(tmp_path: Path) -> None:
    """A sync that fails is an error to producers, who retry; consumers never saw the records."""
    directory, log = open_directory(tmp_path)

    async def run() -> None:
        flusher = Flusher(directory, asyncio.get_running_loop())
        log.append(batch("kept", producer=(1, 0, 0)), now_ms=NOW_MS)
        await flusher.durable(log, 1)
        log.append(batch("lost", producer=(1, 0, 1)), now_ms=NOW_MS)
        descriptor = log.segments.active.descriptor
        saved = os.dup(descriptor)
        reading, writing = os.pipe()
        os.dup2(reading, descriptor)  # a pipe cannot be synced: fdatasync fails as on a broken disk
        waiting = flusher.durable(log, 2)
        await asyncio.sleep(0)
        flusher._threads.wait()
        os.dup2(saved, descriptor)
        with pytest.raises(BrokerError) as caught:
            await waiting
        assert caught.value.code is ErrorCode.KAFKA_STORAGE_ERROR
        assert (log.log_end_offset, log.high_watermark) == (1, 1)
        result = log.append(batch("again", producer=(1, 0, 1)), now_ms=NOW_MS)
        await flusher.durable(log, result.last_offset + 1)
        assert values_from(log) == ["kept", "again"]
        for opened in (saved, reading, writing):
            os.close(opened)
        await flusher.close()

    asyncio.run(run())
    directory.close()


def test_one_sync_of_many_that_fails(tmp_path: Path) -> None:
    """Files of a round are synced side by side; one that fails takes all of it back, after the others have ended."""
    directory, log = open_directory(tmp_path)
    logs = [log, *(directory.create("t", number, TOPIC_ID, LogConfig()) for number in range(1, 7))]

    async def run() -> None:
        flusher = Flusher(directory, asyncio.get_running_loop())
        for each in logs:
            each.append(batch("lost"), now_ms=NOW_MS)
        descriptor = logs[4].segments.active.descriptor
        saved = os.dup(descriptor)
        reading, writing = os.pipe()
        os.dup2(reading, descriptor)
        waiting = [flusher.durable(each, 1) for each in logs]
        await asyncio.sleep(0)
        flusher._threads.wait()
        os.dup2(saved, descriptor)
        answers = await asyncio.gather(*waiting, return_exceptions=True)
        assert {answer.code for answer in answers if isinstance(answer, BrokerError)} == {ErrorCode.KAFKA_STORAGE_ERROR}
        assert [each.log_end_offset for each in logs] == [0] * len(logs)
        for each in logs:
            each.append(batch("again"), now_ms=NOW_MS)
        await asyncio.gather(*(flusher.durable(each, 1) for each in logs))
        assert [values_from(each) for each in logs] == [["again"]] * len(logs)
        for opened in (saved, reading, writing):
            os.close(opened)
        await flusher.close()

    asyncio.run(run())
    directory.close()


def test_what_answers_a_failure_is_synced(tmp_path: Path) -> None:
    """Who hears that the disk refused may append to another log at once, and that is committed by the next round."""
    directory, log = open_directory(tmp_path)
    other = directory.create("t", 1, TOPIC_ID, LogConfig())
    directory.on_taken_back = lambda _: other.append(batch("answer"), now_ms=NOW_MS)

    async def run() -> None:
        flusher = Flusher(directory, asyncio.get_running_loop())
        log.append(batch("lost"), now_ms=NOW_MS)
        descriptor = log.segments.active.descriptor
        saved = os.dup(descriptor)
        reading, writing = os.pipe()
        os.dup2(reading, descriptor)
        waiting = flusher.durable(log, 1)
        await asyncio.sleep(0)
        flusher._threads.wait()
        os.dup2(saved, descriptor)
        with pytest.raises(BrokerError):
            await waiting
        await flusher.drain()
        assert (log.log_end_offset, other.high_watermark) == (0, 1)
        for opened in (saved, reading, writing):
            os.close(opened)
        await flusher.close()

    asyncio.run(run())
    directory.close()


def test_segments_rolled_between_syncs(tmp_path: Path) -> None:
    """A round covers every segment written since the last one."""
    directory, log = open_directory(tmp_path)

    async def run() -> None:
        flusher = Flusher(directory, asyncio.get_running_loop())
        for number in range(10):
            log.append(batch(str(number)), now_ms=NOW_MS)
        assert len(log.segments) == 5
        await flusher.durable(log, 10)
        assert values_from(log) == [str(number) for number in range(10)]
        await flusher.close()

    asyncio.run(run())
    directory.close()


def test_topics_deleted_under_way(tmp_path: Path) -> None:
    """Deleting a partition whose appends are being synced harms nobody."""
    directory, log = open_directory(tmp_path)

    async def run() -> None:
        flusher = Flusher(directory, asyncio.get_running_loop())
        log.append(batch("a"), now_ms=NOW_MS)
        waiting = flusher.durable(log, 1)
        await asyncio.sleep(0)
        directory.delete("t", 0)
        await waiting
        assert directory.get("t", 0) is None
        await flusher.close()

    asyncio.run(run())
    directory.close()
    assert not list(tmp_path.glob("t-0*"))


def test_checkpoint_while_serving(tmp_path: Path) -> None:
    """A checkpoint is written in a thread while appends go on, and says how far it vouches."""
    directory, log = open_directory(tmp_path)

    async def run() -> None:
        flusher = Flusher(directory, asyncio.get_running_loop())
        log.append(batch("a"), now_ms=NOW_MS)
        flusher.checkpoint()
        result = log.append(batch("b"), now_ms=NOW_MS)
        await flusher.durable(log, result.last_offset + 1)
        await flusher.close()

    asyncio.run(run())
    assert (log.checkpointed, log.high_watermark) == (1, 2)
    assert read_offsets(tmp_path / "recovery-point-offset-checkpoint") == {("t", 0): 1}
    directory.close()


def test_more_files_than_may_be_open(tmp_path: Path) -> None:
    """A round of more files than the pool may have open syncs some of them at a time."""
    directory, log = open_directory(tmp_path)
    directory.files.capacity = 3
    logs = [log, *(directory.create("t", number, TOPIC_ID, LogConfig()) for number in range(1, 20))]
    opened: list[int] = []
    directory.on_advance = lambda _: opened.append(len(directory.files))

    async def run() -> None:
        flusher = Flusher(directory, asyncio.get_running_loop())
        for each in logs:
            each.append(batch("a"), now_ms=NOW_MS)
        await asyncio.gather(*(flusher.durable(each, 1) for each in logs))
        assert flusher.rounds == 1
        await flusher.close()

    asyncio.run(run())
    assert [each.high_watermark for each in logs] == [1] * len(logs)
    assert max(opened) <= 3
    directory.close()


@pytest.mark.parametrize("lacking", ["the file", "the folder"])
def test_a_passing_lack_of_descriptors(tmp_path: Path, lacking: str) -> None:
    """Where a file or a folder cannot be opened to be synced, those who wait do so until it can."""
    directory, log = open_directory(tmp_path)
    other = directory.create("t", 1, TOPIC_ID, LogConfig())

    async def run() -> None:
        flusher = Flusher(directory, asyncio.get_running_loop())
        file_system: Any = flusher._threads._file_system
        file_system.little_kb = -1  # one by one
        for each in (other, log):
            each.append(batch("first"), now_ms=NOW_MS)
        if lacking == "the file":
            await flusher.durable(log, 1)
            for each in (other, log):
                each.append(batch("a"), now_ms=NOW_MS)
            log.segments.active.release_file()
        end = log.log_end_offset
        waiting = flusher.durable(log, end)
        with no_descriptors():
            await asyncio.sleep(0.05)
            assert (waiting.done(), log.high_watermark) == (False, end - 1)
            other.append(batch("b"), now_ms=NOW_MS)
        await flusher.drain()
        assert waiting.exception() is None
        assert (log.high_watermark, other.high_watermark) == (end, end + 1)
        await flusher.close()

    asyncio.run(run())
    assert log.directory_dirty is False
    directory.close()


def test_a_checkpoint_without_descriptors(tmp_path: Path) -> None:
    """A checkpoint that cannot open its files is tried again later, as on a full disk."""
    directory, _ = open_directory(tmp_path)

    async def run() -> None:
        loop = asyncio.get_running_loop()
        flusher = Flusher(directory, loop)
        await loop.run_in_executor(None, int)
        with no_descriptors():
            flusher.checkpoint()
            assert flusher._checkpoint is not None
            await asyncio.wait([flusher._checkpoint])
            await asyncio.sleep(0)
        flusher.checkpoint()
        await flusher.close()

    asyncio.run(run())
    assert read_offsets(tmp_path / "recovery-point-offset-checkpoint") == {("t", 0): 0}
    directory.close()
