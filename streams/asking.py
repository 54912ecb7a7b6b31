"""Question and answer through topics: a record goes in, and what the application makes of it comes back.

Rules: the question carries a header of its own, which every step that makes one record from one (process, agents, joins,
map and filter) passes on; the answer is the first record of the reply topic that has it. Nothing is kept anywhere else, so
that any worker may answer. A step that forgets headers (aggregates, repartitioned tables) gives no answer.
"""

from __future__ import annotations

import time
from typing import Any
from uuid import uuid4

from streams.errors import StreamsError
from streams.reading import Records
from streams.record import Record

HEADER = "streams-question"
LONGEST_POLL_S = 0.5


class Question:
    """A value that is to be answered."""

    def __init__(self, key: Any, value: Any) -> None:
        self._id = uuid4().bytes
        self.record = Record(key, value, headers=((HEADER, self._id),))

    def answer(self, replies: Records, timeout_s: float) -> Any:
        """The value that comes back. `replies` reads on from before the question was written.

        Raises: StreamsError when nothing has come within `timeout_s`.
        """
        deadline = time.monotonic() + timeout_s
        while (left_s := deadline - time.monotonic()) > 0:
            for reply in replies.poll(min(LONGEST_POLL_S, left_s)):
                if (HEADER, self._id) in reply.headers:
                    return reply.value
        raise StreamsError(
            f"no answer within {timeout_s:g} s: does the application run, write to that topic for every question, and pass "
            "headers on?"
        )
