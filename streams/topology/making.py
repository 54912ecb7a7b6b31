"""What is known while operators are made: the topology, the task, and what was made already.

Rules: a maker gets what follows its node, already made, and returns a stage (stateless) or an operator. Makers open
nothing and run nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from msgspec import Struct, field

from state.serde import Serde
from streams.graph.nodes import ForeignKeyJoin, Process, Serdes, StreamJoin, TableJoin
from streams.operators.base import Emit, Operator, OperatorContext
from streams.operators.foreign_key_join import TableSerdes
from streams.operators.getters import Getter
from streams.operators.pending_joins import JoinTime
from streams.operators.suppress import Suppress
from streams.topology.internal_topics import changelog_name
from streams.topology.nodes import ProcessorNode
from streams.topology.topology import Topology
from streams.topology.value_getters import getter_of, joiner_of

__all__ = ["Made", "Maker", "Making"]

Made = Emit | Operator


class ForeignKeySerdes(Struct, frozen=True):
    """What a foreign-key join writes by: both keys, the left value (for its fingerprint), and the right one."""

    primary_key: Serde[Any]
    left_value: Serde[Any]
    foreign_key: Serde[Any]
    right_value: Serde[Any]

    @property
    def left(self) -> TableSerdes:
        """Those of the left table."""
        return TableSerdes(self.primary_key, self.left_value)

    @property
    def right(self) -> TableSerdes:
        """Those of the right table."""
        return TableSerdes(self.foreign_key, self.right_value)


class Making(Struct, frozen=True):
    """What makers need beside their node.

    `processors` are the users' own, by node, made before everything else. `join_times` are shared by the two sides of a
    stream join, `suppresses` are asked for rows by joins downstream: both by logical node.
    """

    topology: Topology
    context: OperatorContext
    processors: dict[str, Any] = field(default_factory=dict)
    join_times: dict[str, JoinTime] = field(default_factory=dict)
    suppresses: dict[str, Suppress] = field(default_factory=dict)

    def make_processor(self, node: ProcessorNode) -> None:
        """Have the user's supplier make the processor of a node."""
        assert isinstance(node.node, Process)
        if not node.node.table:
            self.processors[node.name] = node.node.supplier()

    def getter(self, table: str) -> Getter:
        """A getter of the table of that logical node."""
        topology, everywhere = self.topology, [each.store.name for each in self.topology.global_stores]
        return getter_of(topology.graph, topology.stores, self.suppresses, table, self.context.attempted, everywhere)

    def joiner(
        self, node: ProcessorNode, join: StreamJoin | TableJoin | ForeignKeyJoin
    ) -> Callable[[Any, Any, Any], Any]:
        """The joiner of a node as function(key, left, right), with its retries."""
        return self.context.attempted(node.name, joiner_of(join.joiner, with_key=join.with_key))

    def join_time(self, node: str) -> JoinTime:
        """The time that both sides of a stream join share."""
        return self.join_times.setdefault(node, JoinTime())

    def table_serdes(self, node: str, topic: str) -> TableSerdes:
        """The serdes of what a logical node passes on, for who keeps it under the name of `topic`."""
        return self.complete(self.topology.graph[node].serdes, topic)

    def changelog(self, store: str) -> str:
        """The full name of a store's changelog topic."""
        return changelog_name(self.topology.application_id, store)

    def complete(self, serdes: Serdes, topic: str) -> TableSerdes:
        """Serdes with the default in the place of None; `topic` names the subjects of their schemas."""
        default, subjects = self.topology.default_serdes, self.topology.subjects
        key, value = serdes.key or default.key, serdes.value or default.value
        assert key is not None, "a topology has default serdes"
        assert value is not None, "a topology has default serdes"
        return TableSerdes(subjects.key(key, topic), subjects.value(value, topic))

    def foreign_key_serdes(self, join: ForeignKeyJoin) -> ForeignKeySerdes:
        """The serdes of a foreign-key join. Source: the pseudo-topics of Kafka's subscription serdes."""
        registration, response = map(self.topology.full_name, (join.registration_topic, join.response_topic))
        return ForeignKeySerdes(
            primary_key=self.complete(join.left_serdes, f"{registration}-pk").key,
            left_value=self.complete(join.left_serdes, f"{registration}-vh").value,
            foreign_key=self.complete(join.right_serdes, f"{registration}-fk").key,
            right_value=self.complete(join.right_serdes, response).value,
        )


Maker = Callable[[Making, ProcessorNode, Emit, Mapping[str, Emit]], Made]
"""maker(making, node, what its results go to, the same by child)"""
