"""What is known while operators are made: the topology, the task, and what was made already.

Rules: a maker gets what follows its node, already made, and returns a stage (stateless) or an operator. Makers open
nothing and run nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from msgspec import Struct, field

from streams.graph.nodes import ForeignKeyJoin, Process, Serdes, StreamJoin, TableJoin
from streams.operators.base import Emit, Operator, OperatorContext
from streams.operators.foreign_key_join import TableSerdes
from streams.operators.getters import Getter
from streams.operators.pending_joins import JoinTime
from streams.operators.suppress import Suppress
from streams.topology.nodes import ProcessorNode
from streams.topology.topology import Topology
from streams.topology.value_getters import getter_of, joiner_of

__all__ = ["Made", "Maker", "Making"]

Made = Emit | Operator


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
        return getter_of(self.topology.graph, self.topology.stores, self.suppresses, table, self.context.attempted)

    def joiner(
        self, node: ProcessorNode, join: StreamJoin | TableJoin | ForeignKeyJoin
    ) -> Callable[[Any, Any, Any], Any]:
        """The joiner of a node as function(key, left, right), with its retries."""
        return self.context.attempted(node.name, joiner_of(join.joiner, with_key=join.with_key))

    def join_time(self, node: str) -> JoinTime:
        """The time that both sides of a stream join share."""
        return self.join_times.setdefault(node, JoinTime())

    def table_serdes(self, node: str) -> TableSerdes:
        """The serdes of what a logical node passes on."""
        return self.complete(self.topology.graph[node].serdes)

    def complete(self, serdes: Serdes) -> TableSerdes:
        """Serdes with the default in the place of None."""
        default = self.topology.default_serdes
        key, value = serdes.key or default.key, serdes.value or default.value
        assert key is not None, "a topology has default serdes"
        assert value is not None, "a topology has default serdes"
        return TableSerdes(key, value)


Maker = Callable[[Making, ProcessorNode, Emit, Mapping[str, Emit]], Made]
"""maker(making, node, what its results go to, the same by child)"""
