"""Threads that sync side by side: a round is over when all of its files are synced, however its threads are scheduled."""

import asyncio
import os
import threading
from itertools import count
from pathlib import Path

import pytest

from broker.log import sync_threads
from broker.log.sync_threads import SyncThreads

SCHEDULED_S = 0.05


def test_a_thread_held_up_at_its_end_does_not_end_the_next_round(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A thread that has ended and goes on only when the next round has begun leaves that round to who syncs it."""
    may_go_on: list[threading.Event] = []
    ended_early: list[bool] = []

    class HeldUp(count):  # type: ignore[type-arg]
        """Counts; the first to end in each round goes on when it may."""

        def __init__(self, start: int) -> None:
            self.event = threading.Event()
            may_go_on.append(self.event)

        def __next__(self) -> int:
            number: int = super().__next__()
            if number == 1:
                self.event.wait()
            return number

    async def run() -> None:
        loop = asyncio.get_running_loop()
        threads = SyncThreads(loop, 2)
        may_go_on.clear()  # from here on one per round

        async def begun(files: list[int]) -> asyncio.Future[None]:
            over: asyncio.Future[None] = loop.create_future()
            number = len(may_go_on)

            def done(error: BaseException | None) -> None:
                assert error is None
                ended_early.append(len(files) == 1 and not may_go_on[number].is_set())
                over.set_result(None)

            threads.begin(files, [], done)
            return over

        descriptors = [os.open(tmp_path / str(number), os.O_CREAT | os.O_RDWR) for number in range(2)]
        await (await begun(descriptors))
        second = await begun(descriptors[:1])
        may_go_on[0].set()
        await asyncio.sleep(SCHEDULED_S)  # in which a thread that takes the second round for its own would end it
        may_go_on[1].set()
        await second
        third = await begun(descriptors)
        may_go_on[2].set()
        await third
        threads.close()
        for descriptor in descriptors:
            os.close(descriptor)

    monkeypatch.setattr(sync_threads, "count", HeldUp)
    asyncio.run(asyncio.wait_for(run(), 20))
    assert ended_early == [False, False, False]
