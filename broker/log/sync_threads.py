"""Threads that sync files side by side: what a round of group commit costs beside the disk's own work.

An executor makes a future, a condition and a work item per file, and as many more to wait for them: a seventh of what a
broker computes for writes to four partitions that are read at once. Here each thread sleeps on a lock of its own, a round
wakes as many as it has files for, and the last to end tells the event loop, once.

Where the file system is better synced as a whole, one thread does that.

Rules: one round at a time. A thread sees descriptors and folders, nothing else.
"""

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import TypeAlias

from broker.log.file_system import File, FileSystem, sync_alone
from broker.log.open_files import is_lack

Done: TypeAlias = Callable[[BaseException | None], None]
"""Called on the event loop when a round is over, with the first error there was, of the disk rather than of descriptors."""


class _Round:
    """What one round has left to do, and who has ended.

    Its own for each: a thread that ends may be held up before it has looked whether it is the last, while the last one
    ends and the next round begins. It must not take the counts of that one for its own.
    """

    __slots__ = ("at_work", "done", "ended", "errors", "files")

    def __init__(self, files: Iterable[File | Sequence[File]], most: int, done: Done) -> None:
        self.files = deque(files)
        """What is synced by itself, and sequences of what is synced together."""
        self.at_work = max(1, min(len(self.files), most))
        self.done = done
        self.errors: list[BaseException] = []
        self.ended = count(1)


class SyncThreads:
    """See the module. `most` is how many files are synced at once."""

    def __init__(self, loop: asyncio.AbstractEventLoop, most: int, file_system: FileSystem) -> None:
        self._loop = loop
        self._most = most
        self._file_system = file_system
        self._sleeping: list[threading.Lock] = []
        self._threads: list[threading.Thread] = []
        self._round = _Round((), 0, _nobody)
        self._under_way = threading.Lock()
        """Held from the begin of a round until its last thread has ended."""
        self._closing = False

    def begin(self, descriptors: Sequence[int], directories: Sequence[Path], done: Done) -> None:
        """Begin a round: all of these are synced when `done` is called, unless it is given an error."""
        self._under_way.acquire()
        files: list[File] = [*descriptors, *directories]
        together = self._file_system.is_best_synced_whole(files)
        self._round = _Round([files] if together else files, self._most, done)
        while len(self._threads) < self._round.at_work:
            self._add_thread()
        for sleeping in self._sleeping[: self._round.at_work]:
            sleeping.release()

    def wait(self) -> None:
        """Until the threads have ended the round that is under way, if there is one."""
        with self._under_way:
            pass

    def close(self) -> None:
        """End the threads, after the round that is under way."""
        self.wait()
        self._closing = True
        for sleeping in self._sleeping:
            sleeping.release()
        for thread in self._threads:
            thread.join()
        self._file_system.close()

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
        while True:
            sleeping.acquire()
            if self._closing:
                return
            current = self._round
            try:
                while current.files:
                    self._sync(current.files.popleft())
            except IndexError:  # another thread was quicker
                pass
            except BaseException as error:
                current.errors.append(error)
            if next(current.ended) == current.at_work:
                self._finish(current)

    def _sync(self, what: File | Sequence[File]) -> None:
        if isinstance(what, int | Path):
            sync_alone(what)
        else:
            self._file_system.sync(what)

    def _finish(self, ended: _Round) -> None:
        self._under_way.release()
        with suppress(RuntimeError):  # the loop is closed, and nobody waits any more
            self._loop.call_soon_threadsafe(ended.done, min(ended.errors, key=is_lack, default=None))


def _nobody(_: BaseException | None) -> None:
    """No round has begun."""
