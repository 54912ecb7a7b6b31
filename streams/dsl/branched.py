"""A stream that is being parted: Kafka's BranchedKStream.

A record goes to the first branch whose predicate holds, to the default branch if none does, and nowhere without one.
Branches are named after the split: its name and the branch's, or its place (1, 2, ...; the default branch 0).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar

from msgspec import Struct

from streams.dsl.handle import expect_arity
from streams.dsl.program import Program
from streams.graph.nodes import Stateless, Verb

__all__ = ["BranchedKStream"]

StreamT = TypeVar("StreamT")


class BranchedKStream(Struct, Generic[StreamT], frozen=True, eq=False):
    """A stream that is being split: each record goes to the first branch that takes it.

    `branches` are the streams made so far, by name: that of the split followed by that of the branch, or by its number.
    """

    program: Program
    node: str
    make_stream: Callable[[str], StreamT]
    branches: dict[str, StreamT]

    def branch(
        self,
        predicate: Callable[[Any, Any], Any],
        *,
        name: str | None = None,
        use: Callable[[StreamT], StreamT | None] | None = None,
    ) -> BranchedKStream[StreamT]:
        """Add a branch of records for which `predicate(key, value)` holds and that no earlier branch took.

        `use(stream)` may continue it right here; what it returns is the branch in the result.
        """
        expect_arity(predicate, "key, value", "branch")
        return self._with(predicate, name, use, str(len(self._split().functions) + 1))

    def default_branch(
        self, *, name: str | None = None, use: Callable[[StreamT], StreamT | None] | None = None
    ) -> dict[str, StreamT]:
        """Add the branch of all other records, and return all branches: streams by name."""
        return self._with(None, name, use, "0").branches

    def no_default_branch(self) -> dict[str, StreamT]:
        """Drop all other records, and return all branches: streams by name."""
        return self.branches

    def _split(self) -> Stateless:
        node = self.program.graph[self.node]
        assert isinstance(node, Stateless)
        return node

    def _with(
        self,
        predicate: Callable[[Any, Any], Any] | None,
        name: str | None,
        use: Callable[[StreamT], StreamT | None] | None,
        place: str,
    ) -> BranchedKStream[StreamT]:
        split = self._split()
        child = f"{self.node}{place if name is None else name}"
        self.program.names.processor(child)  # burned by Kafka
        self.program.add(Stateless(name=child, parents=(self.node,), serdes=split.serdes, verb=Verb.BRANCH))
        self.program.graph = self.program.graph.update(
            self.node, functions=(*split.functions, predicate), branches=(*split.branches, child)
        )
        stream: StreamT | None = self.make_stream(child)
        if use is not None and stream is not None:
            stream = use(stream)
        branches = self.branches if stream is None else {**self.branches, child: stream}
        return BranchedKStream(self.program, self.node, self.make_stream, branches)
