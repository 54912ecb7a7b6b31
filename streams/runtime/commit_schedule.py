"""When a worker commits: by interval, by bytes, and when somebody asks for it; one commit at a time, beside processing.

Rules: the interval counts from a commit's begin, so that results wait no longer than that and one commit. A commit is
waited for only when memory for what comes after it runs out. Time is the monotonic clock's: the one on the wall may be
set back, and then nothing would be due for as long.
"""

from __future__ import annotations

from streams.clients.base import Clock
from streams.config import StreamsConfig
from streams.runtime.committer import Committer
from streams.runtime.task_manager import TaskManager

RETRY_MS = 50
"""After how long a commit is tried again that met a group between two generations."""
LOOK_MS = 20
"""After how long it is looked whether a commit is through, where nothing has come meanwhile."""


class CommitSchedule:
    """See the module. `clock` is monotonic, in ms."""

    def __init__(self, config: StreamsConfig, clock: Clock) -> None:
        self._interval_ms = config.commit_interval_ms
        self._max_bytes = config.statestore_uncommitted_max_bytes
        self._clock = clock
        self._due_ms = clock() + self._interval_ms

    def soon(self) -> None:
        """Have the next commit begin at once; from any thread."""
        self._due_ms = 0

    def wait_s(self, tasks: TaskManager, committer: Committer) -> float | None:
        """How long until the next commit begins, or one may be through, as far as time decides that."""
        if committer.under_way:
            return LOOK_MS / 1000
        return (self._due_ms - self._clock()) / 1000 if tasks.commit_needed else None

    def calls(self, tasks: TaskManager, committer: Committer) -> bool:
        """Whether a commit is due, or one that is under way can go on."""
        if committer.under_way:
            return committer.can_go_on or self._too_much(tasks)
        return self._clock() >= self._due_ms or tasks.commit_requested or self._too_much(tasks)

    def attend(self, tasks: TaskManager, committer: Committer) -> None:
        """Begin a commit, or go on with one."""
        if committer.under_way:
            tasks.go_on_with_commit(wait=self._too_much(tasks))
        else:
            self._due_ms = self._clock() + self._interval_ms
            tasks.begin_commit()
        if tasks.commit_postponed:
            self._due_ms = self._clock() + min(self._interval_ms, RETRY_MS)

    def _too_much(self, tasks: TaskManager) -> bool:
        return tasks.uncommitted_bytes > self._max_bytes
