"""Threads that sync files side by side: what a round of group commit costs beside the disk's own work.

An executor makes a future, a condition and a work item per file, and as many more to wait for them: a seventh of what a
broker computes for writes to four partitions that are read at once. Here each thread sleeps on a lock of its own, a round
wakes as many as it has files for, and the last to end tells the event loop, once.

Rules: one round at a time. A thread sees descriptors and folders, nothing else.
"""

import asyncio
import os
import threading
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import TypeAlias

from broker.log.checkpoints import sync_partition_directory

Done: TypeAlias = Callable[[BaseException | None], None]
"""Called on the event loop when a round is over, with the first error there was."""


class SyncThreads:
    """See the module. `most` is how many files are synced at once."""

    def __init__(self, loop: asyncio.AbstractEventLoop, most: int) -> None:
        self._loop = loop
        self._most = most
        self._sleeping: list[threading.Lock] = []
        self._threads: list[threading.Thread] = []
        self._files: deque[int | Path] = deque()
        self._errors: list[BaseException] = []
        self._at_work = 0
        self._ended = count(1)
        self._done: Done = _nobody
        self._round = threading.Lock()
        """Held from the begin of a round until its last thread has ended."""
        self._closing = False

    def begin(self, descriptors: Sequence[int], directories: Sequence[Path], done: Done) -> None:
        """Begin a round: all of these are synced when `done` is called, unless it is given an error."""
        self._round.acquire()
        self._files.extend(descriptors)
        self._files.extend(directories)
        self._errors, self._done, self._ended = [], done, count(1)
        self._at_work = max(1, min(len(self._files), self._most))
        while len(self._threads) < self._at_work:
            self._add_thread()
        for sleeping in self._sleeping[: self._at_work]:
            sleeping.release()

    def wait(self) -> None:
        """Until the threads have ended the round that is under way, if there is one."""
        with self._round:
            pass

    def close(self) -> None:
        """End the threads, after the round that is under way."""
        self.wait()
        self._closing = True
        for sleeping in self._sleeping:
            sleeping.release()
        for thread in self._threads:
            thread.join()

    def _add_thread(self) -> None:
        sleeping = threading.Lock()
        sleeping.acquire()
        thread = threading.Thread(
            target=self._work, args=(sleeping,), name=f"flusher-{len(self._threads)}", daemon=True
        )
        self._sleeping.append(sleeping)
        self._threads.append(thread)
        thread.start()

    def _work(self, sleeping: threading.Lock) -> None:
        files = self._files
        while True:
            sleeping.acquire()
            if self._closing:
                return
            try:
                while files:
                    _sync(files.popleft())
            except IndexError:  # another thread was quicker
                pass
            except BaseException as error:
                self._errors.append(error)
            if next(self._ended) == self._at_work:
                self._finish()

    def _finish(self) -> None:
        done, error = self._done, self._errors[0] if self._errors else None
        self._files.clear()
        self._round.release()
        with suppress(RuntimeError):  # the loop is closed, and nobody waits any more
            self._loop.call_soon_threadsafe(done, error)


def _sync(file: int | Path) -> None:
    if isinstance(file, int):
        os.fdatasync(file)
        return
    with suppress(FileNotFoundError):  # deleted meanwhile
        sync_partition_directory(file)


def _nobody(_: BaseException | None) -> None:
    """No round has begun."""
