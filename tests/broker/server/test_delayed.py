"""Those who wait for a log: released in order, once, with the truth."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from broker.errors import ErrorCode
from broker.log.config import LogConfig
from broker.log.directory import LogDirectory
from broker.log.flusher import Flusher
from broker.log.partition_log import PartitionLog
from broker.protocol.records import build_pairs
from broker.server.delayed import Delayed


class Waiter:
    """Counts how often it was woken."""

    def __init__(self) -> None:
        self.count = 0
        self.event = asyncio.Event()

    def woken(self) -> None:
        self.count += 1
        self.event.set()


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[LogDirectory]:
    directory = LogDirectory.open(tmp_path, LogConfig(), on_message=print)
    yield directory
    directory.close()


def append(log: PartitionLog) -> int:
    return log.append(build_pairs([(b"k", b"v")], timestamp_ms=1), now_ms=1, client=False).last_offset + 1


def test_answers_wait_for_the_disk(directory: LogDirectory) -> None:
    """Under group commit callbacks come after the sync, in order of offset."""

    async def scenario() -> None:
        loop = asyncio.get_running_loop()
        delayed, flusher = Delayed(loop), Flusher(directory, loop)
        directory.on_advance = delayed.advanced
        log = directory.create("t", 0, uuid4(), LogConfig())
        answers: list[tuple[int, ErrorCode]] = []
        for _ in range(3):
            end = append(log)
            delayed.when_committed(log, end, lambda error, end=end: answers.append((end, error)))
        assert not answers
        await flusher.drain()
        assert answers == [(1, ErrorCode.NONE), (2, ErrorCode.NONE), (3, ErrorCode.NONE)]
        delayed.when_committed(log, 3, lambda error: answers.append((0, error)))
        assert answers[-1] == (0, ErrorCode.NONE)
        await flusher.close()

    asyncio.run(scenario())


def test_appends_that_are_taken_back_are_told(directory: LogDirectory) -> None:
    """When the disk refuses, who waits for the lost offsets gets a storage error."""

    async def scenario() -> None:
        loop = asyncio.get_running_loop()
        delayed, flusher = Delayed(loop), Flusher(directory, loop)
        directory.on_advance = delayed.advanced
        log = directory.create("t", 0, uuid4(), LogConfig())
        answers: list[ErrorCode] = []
        delayed.when_committed(log, append(log), answers.append)
        log.take_back()
        assert answers == [ErrorCode.KAFKA_STORAGE_ERROR]
        await flusher.close()

    asyncio.run(scenario())


class Unsynced:
    """A committer that leaves it to the test what the disk takes."""

    def appended(self, log: PartitionLog) -> None:
        pass


def test_a_repeated_batch_behind_what_is_taken_back(directory: LogDirectory) -> None:
    """Who waits for an offset is told of the batch it was given for, however answers lie in the queue."""

    async def scenario() -> None:
        delayed = Delayed(asyncio.get_running_loop())
        directory.use_committer(Unsynced())
        directory.on_advance = delayed.advanced
        log = directory.create("t", 0, uuid4(), LogConfig())
        answers: list[tuple[str, ErrorCode]] = []

        def send(name: str, offset: int) -> None:
            delayed.when_committed(log, offset, lambda error: answers.append((name, error)))

        send("first", append(log))
        synced = log.end_mark()
        send("second", append(log))
        send("first again", 1)  # as an idempotent producer's retry is answered
        log.commit(synced)
        log.take_back()
        assert answers[0] == ("first", ErrorCode.NONE)
        assert dict(answers) == {
            "first": ErrorCode.NONE,
            "second": ErrorCode.KAFKA_STORAGE_ERROR,
            "first again": ErrorCode.NONE,
        }
        append(log)
        log.commit(log.end_mark())
        assert len(answers) == 3

    asyncio.run(scenario())


def test_who_waits_from_within_an_answer(directory: LogDirectory) -> None:
    """An append that an answer leads to is not of those that were taken back."""

    async def scenario() -> None:
        delayed = Delayed(asyncio.get_running_loop())
        directory.use_committer(Unsynced())
        directory.on_advance = delayed.advanced
        log = directory.create("t", 0, uuid4(), LogConfig())
        answers: list[ErrorCode] = []
        delayed.when_committed(log, append(log), lambda _: delayed.when_committed(log, append(log), answers.append))
        log.commit(log.end_mark())
        assert answers == []
        log.commit(log.end_mark())
        assert answers == [ErrorCode.NONE]

    asyncio.run(scenario())


def test_fetches_are_woken_once_a_turn(directory: LogDirectory) -> None:
    """Many appends in one turn of the loop wake a fetch once; after `stop` not at all."""

    async def scenario() -> None:
        delayed, waiter = Delayed(asyncio.get_running_loop()), Waiter()
        directory.on_advance = delayed.advanced
        log = directory.create("t", 0, uuid4(), LogConfig())
        delayed.wait(waiter, [log])
        for _ in range(5):
            append(log)
        await waiter.event.wait()
        assert waiter.count == 1
        append(log)
        delayed.stop(waiter, [log])
        await asyncio.sleep(0)
        assert waiter.count == 1

    asyncio.run(scenario())
