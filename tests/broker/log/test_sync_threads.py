"""Threads that sync side by side: a round is over when all of its files are synced, however its threads are scheduled."""

import asyncio
import os
import threading
from pathlib import Path
from types import FrameType
from typing import Any

from broker.log import sync_threads
from broker.log.file_system import FileSystem
from broker.log.sync_threads import SyncThreads

SCHEDULED_S = 0.05


class HeldUp:
    """Takes the processor from the first thread that has ended in a round, until that may look who is the last.

    As the system may, too: the interpreter changes threads after a call.
    """

    def __init__(self) -> None:
        self.may_go_on: list[threading.Event] = []
        """One per round."""
        self.held: set[int] = set()
        self._lock = threading.Lock()

    def __call__(self, frame: FrameType, event: str, called: Any) -> None:
        """What the interpreter tells of a thread's calls."""
        if event == "c_return" and called is next and frame.f_code.co_filename == sync_threads.__file__:
            number = len(self.may_go_on) - 1
            with self._lock:
                is_first = number not in self.held
                self.held.add(number)
            if is_first:
                self.may_go_on[number].wait()


def test_a_thread_held_up_at_its_end_does_not_end_the_next_round(tmp_path: Path) -> None:
    """A thread that has ended and goes on only when the next round has begun leaves that round to who syncs it."""
    held_up = HeldUp()
    ended_early: list[bool] = []

    async def run() -> None:
        loop = asyncio.get_running_loop()
        threads = SyncThreads(loop, 2, FileSystem(Path("/proc")))
        descriptors = [os.open(tmp_path / str(number), os.O_CREAT | os.O_RDWR) for number in range(2)]

        def begun(files: list[int]) -> asyncio.Future[None]:
            over, may_go_on = loop.create_future(), threading.Event()
            held_up.may_go_on.append(may_go_on)

            def done(error: BaseException | None) -> None:
                assert error is None
                ended_early.append(len(files) == 1 and not may_go_on.is_set())
                over.set_result(None)

            threads.begin(files, [], done)
            return over

        await begun(descriptors)
        second = begun(descriptors[:1])
        held_up.may_go_on[0].set()
        await asyncio.sleep(SCHEDULED_S)  # in which a thread that takes the second round for its own would end it
        held_up.may_go_on[1].set()
        await second
        third = begun(descriptors)
        held_up.may_go_on[2].set()
        await third
        threads.close()
        for descriptor in descriptors:
            os.close(descriptor)

    threading.setprofile(held_up)
    try:
        asyncio.run(asyncio.wait_for(run(), 20))
    finally:
        threading.setprofile(None)
    assert (held_up.held, ended_early) == ({0, 1, 2}, [False, False, False])
