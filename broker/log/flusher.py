"""Group commit: threads that sync what many appends wrote, while the event loop goes on.

Appends mark their log dirty. At the end of the loop's round all dirty logs go to the threads together; when the disk has
them, their high watermarks move and those who wait are woken; what was appended meanwhile makes up the next round. The busier
the broker, the more appends share one sync. A round's files are synced by one sync of the whole file system, where that is
sound and little else waits to be written (`file_system.py`); else side by side, for a journaling file system writes its
journal once for all that wait at the same time, and once for each that comes alone.

Modes: `group-commit` as described; `interval` commits at once and syncs now and then; `os` commits at once and leaves
syncing to the operating system. A sync that fails takes the appends of its round back: they were neither acknowledged nor
seen, and producers retry them. Where that is not possible, because the disk refuses it or because they were acknowledged
already, the process halts, unless the disk is only full: a second sync would succeed without having the bytes.

A round never has more files open than the pool of them may have: it syncs some of its logs after the others. Where a file
cannot be opened because the process has too many open, nothing is lost but time: the round waits until it can.

Rules: state belongs to the event loop; the threads see a list of descriptors and nothing else; one round at a time, and
it is over when the last of its syncs is, whatever became of the others.
"""

import asyncio
import errno
import logging
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

from broker.errors import BrokerError, ErrorCode
from broker.halting import halt
from broker.log.checkpointing import Checkpoint
from broker.log.file_system import FileSystem
from broker.log.log_reader import Mark
from broker.log.open_files import OpenFiles, is_lack
from broker.log.partition_log import Committer, PartitionLog
from broker.log.segment import Segment
from broker.log.sync_threads import SyncThreads

logger = logging.getLogger(__name__)

GROUP_COMMIT = "group-commit"
INTERVAL = "interval"
OPERATING_SYSTEM = "os"
MODES = (GROUP_COMMIT, INTERVAL, OPERATING_SYSTEM)
SIDE_BY_SIDE = 4
"""Files that are synced at once: most of what the disk can gather, with few threads to wake."""
LACK_RETRY_S = 0.1
LACK_TOLD_EVERY = 100
DISK_IS_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


class Logs(Protocol):
    """What the flusher needs of a data directory."""

    path: Path
    files: OpenFiles

    def use_committer(self, committer: Committer) -> None:
        """Let every log, present and to come, report its appends to `committer`."""

    def begin_checkpoint(self) -> Checkpoint:
        """A checkpoint of all logs."""


class _Work(NamedTuple):
    """One log's part of a round."""

    log: PartitionLog
    mark: Mark
    segments: list[Segment]
    descriptors: list[int]

    def unpin(self) -> None:
        """Its files are synced, or will not be."""
        for segment in self.segments:
            segment.unpin()


class Flusher:
    """See the module. `durable` is how a request waits for the disk."""

    def __init__(
        self, logs: Logs, loop: asyncio.AbstractEventLoop, *, mode: str = GROUP_COMMIT, interval_ms: int = 1000
    ) -> None:
        assert mode in MODES, mode
        self.mode = mode
        self.rounds = 0
        self._logs = logs
        self._checkpoint: asyncio.Future[None] | None = None
        self._loop = loop
        self._interval = interval_ms / 1000
        self._threads = SyncThreads(loop, SIDE_BY_SIDE, FileSystem(logs.path))
        self._dirty: dict[PartitionLog, None] = {}
        self._next_round: asyncio.Future[None] | None = None
        self._under_way: asyncio.Future[None] | None = None
        self._scheduled = False
        self._lacks = 0
        self._done = loop.create_future()
        self._done.set_result(None)
        logs.use_committer(self)

    def appended(self, log: PartitionLog) -> None:
        """A log has grown."""
        if self.mode != GROUP_COMMIT:
            log.commit(log.end_mark())
            if self.mode == OPERATING_SYSTEM:
                return
        self._dirty[log] = None
        if self._under_way is None:
            self._schedule()

    def _schedule(self) -> None:
        """Have a round begin, if none is about to: soon, or when the interval is over."""
        if self._scheduled:
            return
        self._scheduled = True
        if self.mode == INTERVAL:
            self._loop.call_later(self._interval, self._start_round)
        else:
            self._loop.call_soon(self._start_round)

    def durable(self, log: PartitionLog, end_offset: int) -> asyncio.Future[None]:
        """Done when everything before `end_offset` is as safe as the mode promises; many callers share one future.

        Fails with BrokerError(KAFKA_STORAGE_ERROR), if the disk did not take it.
        """
        if end_offset <= log.high_watermark:
            return self._done
        if log in self._dirty:
            if self._next_round is None:
                self._next_round = self._new_future()
            return self._next_round
        return self._under_way or self._done

    def _new_future(self) -> asyncio.Future[None]:
        future = self._loop.create_future()
        future.add_done_callback(_look_at_failure)
        return future

    def _start_round(self) -> None:
        self._scheduled = False
        if not self._dirty or self._under_way is not None:
            return
        self._under_way = self._next_round or self._new_future()
        self._next_round = None
        dirty, self._dirty = self._dirty, {}
        self.rounds += 1
        self._sync_next(deque(dirty))

    def _sync_next(self, left: deque[PartitionLog]) -> None:
        """Begin to sync those logs of a round that there are descriptors for; at least one."""
        work: list[_Work] = []
        opened, capacity = 0, self._logs.files.capacity
        try:
            while left and (opened < capacity or not work):
                if not left[0].deleted:
                    work.append(_take(left[0]))
                    opened += len(work[-1].descriptors)
                left.popleft()
        except OSError as error:
            if not work:
                self._cannot_begin(left, error)
                return  # else those that are open go first
        directories = [part.log.directory for part in work if part.log.directory_dirty]
        for part in work:
            part.log.directory_dirty = False
        descriptors = [descriptor for part in work for descriptor in part.descriptors]
        self._threads.begin(descriptors, directories, lambda error: self._synced(work, left, error))

    def _cannot_begin(self, left: deque[PartitionLog], error: OSError) -> None:
        if not is_lack(error):
            self._take_back(left, error)
            self._settle(error)
            return
        if self._lacks % LACK_TOLD_EVERY == 0:
            logger.error(
                "appends wait for files that cannot be opened to be synced, until others are closed: %s", error
            )
        self._lacks += 1
        self._loop.call_later(LACK_RETRY_S, self._sync_next, left)

    def _synced(self, work: Sequence[_Work], left: deque[PartitionLog], error: BaseException | None) -> None:
        """Some of a round's logs are on the disk, or were refused; those that are left are next."""
        for part in work:
            part.unpin()
        if isinstance(error, OSError) and is_lack(error):  # a folder could not be opened
            left.extendleft(part.log for part in work)
            for part in work:
                part.log.directory_dirty = True
            self._cannot_begin(left, error)
            return
        if error is None:
            self._lacks = 0
            for part in work:
                part.log.recovery_point = max(part.log.recovery_point, part.mark.offset)
                part.log.commit(part.mark)
            if left:
                self._sync_next(left)
                return
        else:
            self._take_back([*(part.log for part in work), *left], error)
        self._settle(error)

    def _take_back(self, logs: Sequence[PartitionLog], error: BaseException) -> None:
        logger.error(
            "the disk failed to sync %d partitions; what was not acknowledged is taken back: %s", len(logs), error
        )
        if self.mode != GROUP_COMMIT:
            _halt_unless_passing(error, "acknowledged records may not be on disk")
        behind, self._dirty = self._dirty, {}  # what is appended in answer to the failure is for the next round
        for log in dict.fromkeys(logs) | behind:
            log.directory_dirty = True  # whatever of it was lost
            try:
                log.take_back()
            except OSError as refused:
                halt(
                    f"{log.name}: the disk failed to sync ({error}), and to take back what it did not sync ({refused})"
                )

    def _settle(self, error: BaseException | None) -> None:
        waiting, self._under_way = self._under_way, None
        assert waiting is not None
        if error is None:
            waiting.set_result(None)
        else:
            failure = BrokerError(ErrorCode.KAFKA_STORAGE_ERROR, f"the disk did not take the last appends: {error}")
            waiting.set_exception(failure)
            if self._next_round is not None:
                self._next_round.set_exception(failure)
                self._next_round = None
        if self._dirty:  # after the fetches that this round woke: syncing threads would take the interpreter from them
            self._schedule()

    def checkpoint(self) -> None:
        """Write down how far logs are synced, in a thread of its own; one at a time."""
        if self._checkpoint is not None and not self._checkpoint.done():
            return
        checkpoint = self._logs.begin_checkpoint()
        self._checkpoint = self._loop.run_in_executor(None, checkpoint.sync)
        self._checkpoint.add_done_callback(lambda done: self._checkpointed(checkpoint, done))

    @staticmethod
    def _checkpointed(checkpoint: Checkpoint, done: asyncio.Future[None]) -> None:
        error = done.exception()
        if error is None:
            checkpoint.finish()
        else:
            _halt_unless_passing(error, "a checkpoint failed, so what it was to vouch for may not be on disk")
            logger.warning("a checkpoint could not be written and is tried again later: %s", error)

    async def drain(self) -> None:
        """Wait until nothing is dirty, whatever the mode."""
        while self._dirty or self._under_way is not None:
            if self._under_way is None:
                self._start_round()
            waiting = self._under_way
            if waiting is not None:
                await asyncio.wait([waiting])

    async def close(self) -> None:
        """Sync what is left and end the threads."""
        if self._checkpoint is not None:
            await asyncio.wait([self._checkpoint])
        await self.drain()
        self._threads.close()


def _take(log: PartitionLog) -> _Work:
    """A log's part of a round, its files open. Raises: OSError, with none of them kept."""
    work = _Work(log, log.end_mark(), [], [])
    try:
        for segment in log.segments_since(log.recovery_point):
            work.descriptors.append(segment.pin())
            work.segments.append(segment)
    except OSError:
        work.unpin()
        raise
    return work


def _halt_unless_passing(error: BaseException, what: str) -> None:
    """A full disk and a lack of descriptors pass, and keep nothing that was synced from being there."""
    if isinstance(error, OSError) and error.errno not in DISK_IS_FULL and not is_lack(error):
        halt(f"{what}: {error}")


def _look_at_failure(future: asyncio.Future[None]) -> None:
    """A round nobody waits for may fail without asyncio's complaint: its logs have been told."""
    if not future.cancelled():
        future.exception()
