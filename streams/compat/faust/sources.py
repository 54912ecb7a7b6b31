"""The topics that agents read: each is read once, whatever the number of agents and of handles they have on it.

Rule: an agent's records have the types of its own handle, as in Faust. Handles that agree share what was decoded; where
they do not, the topic is read as bytes, and each handle decodes them for its own agents.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from streams.compat.faust.serdes import FaustSerde
from streams.compat.faust.topics import Topic
from streams.dsl.builder import StreamsBuilder
from streams.dsl.kstream import KStream
from streams.serdes.primitives import BYTES

Form = tuple[Any, Any, Any, Any]
"""What a handle says of keys and values."""


class Sources:
    """See the module. `topics` are all that will be read."""

    def __init__(self, builder: StreamsBuilder, topics: Sequence[Topic]) -> None:
        self.topics = topics
        self._builder = builder
        self._forms: dict[tuple[str, ...], list[Form]] = {}
        self._sources: dict[tuple[str, ...], KStream] = {}
        self._decoded: list[tuple[tuple[str, ...], Form, KStream]] = []
        for topic in topics:
            forms = self._forms.setdefault(topic.topics, [])
            if (form := _form(topic)) not in forms:
                forms.append(form)

    def read(self, topic: Topic) -> KStream:
        """The records of a topic, as the handle says."""
        differ = len(self._forms[topic.topics]) > 1
        key, value = (BYTES, BYTES) if differ else (topic.key_serde, topic.value_serde)
        source = self._sources.get(topic.topics)
        if source is None:
            source = self._sources[topic.topics] = self._builder.stream(topic.topics, key=key, value=value)
        return self._decode(source, topic) if differ else source

    def _decode(self, source: KStream, topic: Topic) -> KStream:
        form = _form(topic)
        for names, known, stream in self._decoded:
            if names == topic.topics and known == form:
                return stream
        key, value = _reader(topic.key_serde), _reader(topic.value_serde)
        decoded = source.map(lambda k, v: (key(k), value(v)), key=topic.key_serde, value=topic.value_serde)
        self._decoded.append((topic.topics, form, decoded))
        return decoded


def _form(topic: Topic) -> Form:
    return topic.key_serializer, topic.key_type, topic.value_serializer, topic.value_type


def _reader(serde: FaustSerde) -> Callable[[bytes | None], Any]:
    return lambda data: None if data is None else serde.deserialize(data)
