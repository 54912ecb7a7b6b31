"""What becomes of a record that cannot be read, processed or written: the words of `on_error=`.

    App("rides", on_error=dead_letter("rides.dlq"))                       for everything
    app.topic("rides", value=Ride, on_error="continue")                    what is read from, or written to, one topic
    rides.map_values(price).on_error(retry(TimeoutError, then="fail"))     one step

Rules: a policy is data, the runtime acts on it. The nearest one counts: the step's or topic's, else the application's.
It knows neither tasks nor clients.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from enum import Enum
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from streams.durations import Duration, milliseconds
from streams.errors import RecordError, shown
from streams.numbers import whole_number
from streams.record import Record

__all__ = ["CONTINUE", "FAIL", "Decision", "ErrorHandler", "OnError", "Retry", "dead_letter", "on_error_of", "retry"]

EXPECTED = 'expected "fail", "continue", dead_letter(TOPIC), retry(ERROR, ...) or a function (error, record)'
DEAD_LETTER = "dead_letter:"


class Decision(Enum):
    """What happens in the end."""

    FAIL = "fail"
    CONTINUE = "continue"
    DEAD_LETTER = "dead_letter"


class Retry(Struct, frozen=True):
    """How often, and after which pauses, a function is called again that raised one of `errors`."""

    errors: tuple[type[Exception], ...]
    times: int
    first_ms: int
    longest_ms: int

    def pauses_ms(self) -> Iterator[int]:
        """The pause before each further attempt: doubled each time, up to the longest."""
        for attempt in range(self.times):
            yield min(self.first_ms << attempt, self.longest_ms)


class OnError(Struct, frozen=True):
    """A policy: retries first, if there are some, then the decision, or what `handler(error, record)` decides.

    With a `topic`, a dead letter is written there, also by a task that then fails.
    """

    decision: Decision = Decision.FAIL
    topic: str | None = None
    retry: Retry | None = None
    handler: ErrorHandler | None = None

    def __str__(self) -> str:
        return f"{DEAD_LETTER}{self.topic}" if self.decision is Decision.DEAD_LETTER else self.decision.value

    def with_letters(self, topic: str) -> OnError:
        """The same with a dead letter for what it skips or fails for, unless it says where, or leaves it to a function.

        Source: Kafka's errors.dead.letter.queue.topic.name, which its four handlers that fail or continue write to.
        """
        if self.topic is not None or self.handler is not None:
            return self
        decision = Decision.DEAD_LETTER if self.decision is Decision.CONTINUE else self.decision
        return replace(self, decision=decision, topic=topic)


ErrorHandler = Callable[[RecordError, Record], OnError | str]
"""Asked per record: the error says what went wrong and where (`__cause__` is what was raised), and the record is as it
was when that happened; the answer is a policy without retries."""

FAIL = OnError(Decision.FAIL)
CONTINUE = OnError(Decision.CONTINUE)


def dead_letter(topic: Any) -> OnError:
    """Write the record to a topic of dead letters, by its name or handle, and go on.

    Key, value and timestamp are those of the input record, byte by byte; its headers are kept, and Kafka's are added
    (KIP-1034): `__streams.errors.exception`, `.message`, `.stacktrace`, `.topic`, `.partition`, `.offset`. Under
    exactly-once the letter is part of the transaction. A topic that is missing at the start is made.
    """
    name = getattr(topic, "name", topic)
    if not isinstance(name, str) or not name:
        raise TypeError(f'dead_letter: expected a topic, as in dead_letter("rides.dlq"), got {topic!r}')
    return OnError(Decision.DEAD_LETTER, name)


def retry(
    *errors: type[Exception],
    times: int = 5,
    first: Duration = "100 ms",
    longest: Duration = "10 s",
    then: Any = "fail",
) -> OnError:
    """Call the step's function again when it raises one of `errors`, up to `times`, with pauses that double.

    `then` is what happens when the last attempt failed too, and with all other errors. The task waits meanwhile, so all
    pauses together must stay below `max_poll_interval_ms`. A processor is called again as a whole: what it stored or
    forwarded before it raised stays. Agents and functions with threads are tried again record by record, the records of
    a key in their order, while the worker does something else; an agent over a stream is given the record in its hand
    again, and what it had yielded for it does not count.
    """
    if not errors or not all(isinstance(each, type) and issubclass(each, Exception) for each in errors):
        raise TypeError(f"retry: expected classes of exceptions, as in retry(TimeoutError), got {errors!r}")
    times = whole_number(times, "retry: times", error=ValueError)
    first_ms, longest_ms = milliseconds(first, "first"), milliseconds(longest, "longest")
    if not 0 <= first_ms <= longest_ms:
        raise ValueError(f"retry: expected 0 <= first <= longest, got {first_ms} and {longest_ms} ms")
    last = on_error_of(then)
    if last.retry is not None:
        raise ValueError("retry: `then` is what comes after the last attempt, and cannot be another retry")
    return replace(last, retry=Retry(errors, times, first_ms, longest_ms))


def on_error_of(policy: Any) -> OnError:
    """A policy from whatever `on_error=` was given; as text, a dead-letter topic is `dead_letter:TOPIC`.

    Raises: TypeError, ValueError that say what was expected.
    """
    if isinstance(policy, OnError):
        return policy
    if isinstance(policy, str):
        if policy.startswith(DEAD_LETTER):
            return dead_letter(policy.removeprefix(DEAD_LETTER))
        if policy in {Decision.FAIL.value, Decision.CONTINUE.value}:
            return FAIL if policy == Decision.FAIL.value else CONTINUE
        raise ValueError(f'expected fail, continue or dead_letter:TOPIC, as in "dead_letter:rides.dlq", got {policy!r}')
    if callable(policy):
        return OnError(handler=policy)
    raise TypeError(f"{EXPECTED}, got {shown(policy)}")
