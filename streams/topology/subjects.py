"""Under which subjects of a schema registry a program's own topics and stores keep their schemas.

Rules: a serde that was bound before (`app.topic`, `subject=`) stays as it is; every other one is bound where it is used, to
`TOPIC-key` or `TOPIC-value`. The topic of a store is its changelog, whether it keeps one or not; that of a table which its
source topic serves as changelog, and of a global store, is the topic it is filled from. A foreign-key join has names of its
own: `-pk`, `-fk` and `-vh` behind its registration topic.
Source: the topic that Kafka Streams hands to a serializer, and Confluent's TopicNameStrategy.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

from state.serde import Serde
from streams.graph.nodes import Serdes
from streams.serdes.registered import bound_to
from streams.serdes.schema_registry import MemoryRegistry, SchemaRegistry
from streams.topology.internal_topics import changelog_name

__all__ = ["Subjects"]

SerdeT = TypeVar("SerdeT", bound=Serde[Any] | None)


class Subjects:
    """Binds serdes of a topology; `registry` is asked when the first schema is written or read.

    `_bound` are those that had a subject already: one serde in two places stays one, since what is read by it need not be
    written anew there.
    """

    def __init__(self, application_id: str, registry: Callable[[], SchemaRegistry]) -> None:
        self.application_id = application_id
        self._elsewhere = registry
        self._in_memory: MemoryRegistry | None = None
        self._bound: dict[int, tuple[Any, Any]] = {}

    def registry(self) -> SchemaRegistry:
        """Where the schemas are."""
        return self._in_memory or self._elsewhere()

    def keep_in_memory(self) -> None:
        """Have the schemas in memory, for a topology that is only tried out; called before any is registered."""
        self._in_memory = self._in_memory or MemoryRegistry()

    def of_topic(self, serdes: Serdes, topic: str | None) -> Serdes:
        """The serdes of a topic by its full name; None: of several, so that they can be read only."""
        return Serdes(self.key(serdes.key, topic), self.value(serdes.value, topic))

    def of_store(self, serdes: Serdes, store: str, filled_from: str | None = None) -> Serdes:
        """The serdes of a store; `filled_from` is the topic that serves as its changelog."""
        return self.of_topic(serdes, filled_from or changelog_name(self.application_id, store))

    def key(self, serde: SerdeT, topic: str | None) -> SerdeT:
        """The serde of a topic's keys."""
        return self._bind(serde, topic and f"{topic}-key")

    def value(self, serde: SerdeT, topic: str | None) -> SerdeT:
        """The serde of a topic's values."""
        return self._bind(serde, topic and f"{topic}-value")

    def _bind(self, serde: SerdeT, subject: str | None) -> SerdeT:
        if getattr(serde, "subject", None) is None:
            return bound_to(serde, subject, self.registry)
        _, bound = self._bound.setdefault(id(serde), (serde, bound_to(serde, subject, self.registry)))
        return cast("SerdeT", bound)
