"""What is over as soon as it has begun: over a MemoryBroker nothing has to be waited for."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from streams.clients.base import Before
from streams.errors import StreamsError


class Done:
    """The outcome of a call. A `Pending`."""

    def __init__(self, work: Callable[[], None]) -> None:
        self._error: StreamsError | None = None
        try:
            work()
        except StreamsError as error:
            self._error = error

    def done(self) -> bool:
        """Always."""
        return True

    def result(self) -> None:
        """Raises what the call raised."""
        if self._error is not None:
            raise self._error


def passed(after: Sequence[Before]) -> None:
    """Say that each was reached. Raises: what went wrong with one."""
    for pending, reached in after:
        pending.result()
        reached()
