"""Every error the streams library raises, as a tree.

StreamsError
├── ConfigError                 a setting is unknown, of the wrong type or out of range
├── TopologyError               the program cannot be built; names the node and the remedy
├── SchemaError                 a schema is unknown to the registry, or cannot evolve to what the program says
├── RecordError                 one record cannot be handled; a handler decides continue, dead-letter or fail
│   ├── DeserializationError    its bytes are not what the serde expects
│   ├── ProcessingError         user code raised
│   └── ProductionError         a result cannot be serialized, or the broker refuses it
├── ClientError                 the broker answers with an error
│   ├── BrokerUnreachable       it cannot be reached, or does not answer in time: it may come back
│   ├── GroupOccupied           other applications, or Kafka Streams in Java, are members of the group
│   └── OffsetOutOfRange        the next record to read exists no longer (retention), or not yet
├── TaskMigrated                the task now belongs to another worker: drop it and rejoin
│   ├── NameTaken               another member of the group has this one's name
│   └── ProducerFenced          another producer has the transactional id, it expired, or the transaction timed out
├── TransactionAbortable        this transaction cannot be committed: abort it and go on with the next
├── RebalanceInProgress         nothing was committed, since the group is between two generations: commit later
├── StoreNotReady               a store cannot be read now: its task is restored, or the worker has not started
├── StoreMoved                  a store left this worker while it was being read, or none of it is there
├── StopApplication             all workers of the application are to stop, since one of them ended with an error
├── Interrupted                 the worker was asked to stop while user code was being tried again
└── ChangelogLost               a changelog was deleted or made anew, and state would begin empty

Rules: a message says what was expected, what came, and what to do. Programmer errors are assertions.
Stores raise `state.errors.StateError` and its children, which this package passes on unchanged.
"""

from __future__ import annotations

__all__ = [
    "BrokerUnreachable",
    "ChangelogLost",
    "ClientError",
    "ConfigError",
    "DeserializationError",
    "GroupOccupied",
    "Interrupted",
    "NameTaken",
    "OffsetOutOfRange",
    "ProcessingError",
    "ProducerFenced",
    "ProductionError",
    "RebalanceInProgress",
    "RecordError",
    "SchemaError",
    "StopApplication",
    "StoreMoved",
    "StoreNotReady",
    "StreamsError",
    "TaskMigrated",
    "TopologyError",
    "TransactionAbortable",
]


_OUTSIDE = {"reader", "writer"}
"""Nodes of records that no task has: those that are read and written from outside, which have no `on_error`."""


class StreamsError(Exception):
    """Base of all errors of this library."""


class ConfigError(StreamsError):
    """A setting is unknown, of the wrong type or out of range."""


class TopologyError(StreamsError):
    """The program cannot be built. The message names the node and the remedy."""


class SchemaError(StreamsError):
    """A schema is unknown to the registry, or cannot evolve from the subject's latest version."""


class RecordError(StreamsError):
    """One record cannot be handled.

    Carries where it came from; `value` is the offending value as it was (bytes or object), cut only when shown. What to do
    is a note, which tracebacks end with: the message also goes to logs and dead letters of records that are set aside.
    """

    cure = "fix what makes the result"

    def __init__(
        self,
        message: str,
        *,
        node: str = "",
        topic: str = "",
        partition: int = -1,
        offset: int = -1,
        value: object = None,
    ) -> None:
        self.node = node
        self.topic = topic
        self.partition = partition
        self.offset = offset
        self.value = value
        where = f"{topic}[{partition}]@{offset}" if topic else "a record made by this task"
        super().__init__(f"{message}\n  node: {node}\n  record: {where}\n  value: {shown(value)}")
        if node not in _OUTSIDE:
            self.add_note(
                f"  {self.cure}, or set such records aside: on_error=dead_letter(TOPIC), --set on_error=dead_letter:TOPIC"
            )


class DeserializationError(RecordError):
    """The bytes of a key or value are not what its serde expects."""

    cure = "declare the type that was written, or fix whoever writes it"


class ProcessingError(RecordError):
    """User code raised while it handled this record; the cause is chained."""

    cure = "fix the function"


class ProductionError(RecordError):
    """A result cannot be serialized, or the broker refuses it for good."""


class ClientError(StreamsError):
    """The broker cannot be reached, or answers with an error that will not go away by waiting."""


class BrokerUnreachable(ClientError):  # noqa: N818  says what is the matter
    """The broker cannot be reached, or did not answer in time: what was asked may be asked again when it is back."""


class GroupOccupied(ClientError):  # noqa: N818  says what is the matter
    """The group has members that divide partitions otherwise; those of Kafka Streams stay for a while after they ended."""


class OffsetOutOfRange(ClientError):  # noqa: N818  Kafka's name
    """The next record to read exists no longer (retention), or not yet (a log that lost its end)."""

    def __init__(self, topic: str, partition: int, offset: int) -> None:
        self.topic = topic
        self.partition = partition
        self.offset = offset
        super().__init__(
            f"{topic}[{partition}] has no offset {offset:,}: retention deleted it, or the topic was made anew"
        )


class TaskMigrated(StreamsError):  # noqa: N818  Kafka's name
    """The task now belongs to another worker (fenced): drop it and rejoin, never retry."""


class NameTaken(TaskMigrated):
    """Another member of the group has this one's name; `member_id` is the one it had."""

    def __init__(self, message: str, member_id: str) -> None:
        super().__init__(message)
        self.member_id = member_id


class ProducerFenced(TaskMigrated):
    """Another producer took over the transactional id, it expired, or the transaction timed out: this one is of no more use."""


class TransactionAbortable(StreamsError):  # noqa: N818  Kafka's name
    """The transaction cannot be committed: abort it; the producer goes on with the next."""


class RebalanceInProgress(StreamsError):  # noqa: N818  Kafka's name
    """Nothing was committed, since the group is between two generations: still the owner; poll, and commit later."""


class StoreNotReady(StreamsError):  # noqa: N818  says what is the matter
    """A store cannot be read now, and can before long: ask again."""


class StoreMoved(StreamsError):  # noqa: N818  Kafka: InvalidStateStoreException, "migrated to another instance"
    """A store left this worker while it was being read, or it is elsewhere: begin again, or ask who has it."""


class StopApplication(StreamsError):  # noqa: N818  says what is to be done
    """A worker ended with an error, and the policy is that all stop; where it ended, the error is the cause."""


class Interrupted(StreamsError):  # noqa: N818  no error of anybody's
    """The worker was asked to stop while a record was tried again, or before the end it was to come to: the rest is done later."""


class ChangelogLost(StreamsError):  # noqa: N818  says what is the matter
    """A changelog was deleted or made anew, though its store has been in use: to go on would lose the state silently."""

    def __init__(self, topic: str, store: str, reason: str) -> None:
        super().__init__(
            f"the changelog {topic} of store {store} {reason}: the store would begin empty in the middle of the input. "
            "Bring the topic back from a copy; or begin anew with `streams reset`; or, to go on with an empty store, "
            "delete its directory under state_dir"
        )


def shown(value: object, limit: int = 200) -> str:
    """A value as one line of an error message, cut to `limit` characters."""
    if isinstance(value, str | bytes) and len(value) > limit:
        return (
            f"{repr(value[:limit])[:limit]}... ({len(value):,} {'bytes' if isinstance(value, bytes) else 'characters'})"
        )
    text = repr(value)
    return text if len(text) <= limit else f"{text[:limit]}... ({len(text):,} characters)"
