"""What becomes of output that the broker refuses after it was sent: the production handler decides, as before sending.

Rules: a sink's own policy counts where the topic tells which sink it was; where several write to a topic under policies
of their own, the application's counts. What tasks cannot do without, changelogs and the messages of foreign-key joins,
is never left out. The input record is not known any more, so that a dead letter has the result, in bytes.
Source: Kafka's RecordCollectorImpl.recordSendError; that leaves a changelog's records out, too, and the store goes on
with what is lost when it moves.
"""

from __future__ import annotations

from collections import defaultdict

from streams.clients.base import Instead
from streams.errors import ProductionError
from streams.record import Record
from streams.runtime.dead_letters import letter
from streams.runtime.error_handlers import ErrorHandlers
from streams.topology.topology import Role, SinkNode, Topology

NOT_LEFT_OUT = (Role.FOREIGN_KEY_REGISTRATION_SINK, Role.FOREIGN_KEY_RESPONSE_SINK)


class RefusedOutput:
    """See the module. An `OnRefused`: it is called beside the processing thread."""

    def __init__(self, topology: Topology, handlers: ErrorHandlers) -> None:
        self._handlers = handlers
        self._needed = set(topology.changelog_topics)
        sinks: dict[str | None, list[SinkNode]] = defaultdict(list)
        for node in topology.nodes.values():
            if isinstance(node, SinkNode):
                topic = None if node.topic is None else topology.full_name(node.topic)
                sinks[topic].append(node)
                if node.role in NOT_LEFT_OUT and topic is not None:
                    self._needed.add(topic)
        self._sinks = {topic: nodes[0].name for topic, nodes in sinks.items() if _agree(nodes)}
        """The sink of a topic, or of topics that are chosen by record (None)."""
        self._known = set(sinks)

    def __call__(self, topic: str, record: Record, error: Exception) -> Instead | None:
        """Go on without a record, or with a dead letter in its place. Raises: ProductionError."""
        if topic in self._needed:
            raise ProductionError(
                f"a record for {topic} cannot be written, and state would lose it: {error}",
                node="changelog",
                value=record.key,
            ) from error
        node = self._sinks.get(topic if topic in self._known else None, topic)
        dead = self._handlers.production(node, topic, record, error)
        return None if dead is None else Instead(dead.topic, letter(None, record, dead.error))


def _agree(nodes: list[SinkNode]) -> bool:
    """Whether one policy counts for all of them."""
    return all(node.node.on_error == nodes[0].node.on_error for node in nodes)
