"""Whether the group may have gone on without this member: then others write what it has still to send.

A process that was stopped, or cut off, for longer than its session lasts wakes up among others who have its tasks, and
what it has buffered for their changelogs would land behind what they wrote meanwhile. Kafka fences that with
transactions only; here it is held back until the group has answered, and dropped if that has gone on. Lives on the
network loop: the member says what it hears, the sender asks before it sends.

Rules: a member that was heard has its session from when it asked, by this clock, which is earlier than the group counts
from; what is over stays so until partitions are assigned anew; doubt lasts for `patience_s` at most, for a coordinator
that is away drops nobody.
"""

from __future__ import annotations

import math


class Lease:
    """See the module. Times are the loop's, in seconds."""

    def __init__(self, session_s: float, patience_s: float) -> None:
        self.over = False
        """Whether the group has dropped this member, or it has left, and it was assigned nothing since."""
        self._session_s = session_s
        self._patience_s = patience_s
        self._until = math.inf
        self._doubt_until: float | None = None

    def begin(self, now: float) -> None:
        """Partitions are assigned."""
        self.over = False
        self.renew(now)

    def renew(self, asked_at: float) -> None:
        """The group has answered that this is a member, as it was asked at that time."""
        self._until = asked_at + self._session_s
        self._doubt_until = None

    def end(self) -> None:
        """Others may have the partitions."""
        self.over = True

    def doubtful(self, now: float) -> bool:
        """Whether the session may have ended without a word, and it is not known yet."""
        if now < self._until:
            return False
        if self._doubt_until is None:
            self._doubt_until = now + self._patience_s
        return now < self._doubt_until
