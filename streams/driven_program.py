"""What a TopologyTestDriver is given: the program that it runs, the topics that this may write, what a test sends.

Rules: what cannot be meant is refused in the words of whoever writes the test; nothing here runs anything.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Protocol

from msgspec.structs import replace

from streams.config import ERROR_KINDS, StreamsConfig
from streams.durations import moment_ms
from streams.errors import ConfigError, TopologyError
from streams.record import Headers
from streams.running import Application
from streams.settings import nearest
from streams.topology.nodes import Role, SinkNode, SourceNode
from streams.topology.topology import Topology

__all__ = ["HeadersLike", "Program", "application_of", "expect_written", "headers_of", "time_of", "written_topics"]

HeadersLike = Mapping[str, bytes | None] | Iterable[tuple[str, bytes | None]]


class Builder(Protocol):
    """Builds a topology under a configuration."""

    def build(self, config: StreamsConfig) -> Topology:
        """The topology."""
        ...


class Program(Protocol):
    """An App, as far as a driver looks at it."""

    @property
    def builder(self) -> Builder:
        """What the program was said to."""
        ...

    def application(self) -> Application:
        """All that running needs."""
        ...


def application_of(
    program: Program | Topology, config: StreamsConfig | None, settings: Mapping[str, Any]
) -> Application:
    """What to run, under settings that may differ from the program's own. Raises: TopologyError for what is none."""
    if isinstance(program, Topology):
        config = config or StreamsConfig.of(program.application_id)
        return Application(topology=program, config=config.changed(settings))
    if not hasattr(program, "application"):
        raise TopologyError(
            f"TopologyTestDriver: expected an App or a Topology, got {program!r}; a builder's is builder.build(config)"
        )
    application = program.application()
    if config is None and not settings:
        return application
    config = (config or application.config).changed(settings)
    return replace(application, topology=program.builder.build(config), config=config)


def written_topics(topology: Topology, config: StreamsConfig) -> frozenset[str] | None:
    """Full names of the topics that a program may write to, internal ones and dead letters included.

    None where one may be chosen as the program runs: by the function of a sink, a handler of errors, or a processor, whose
    context sends anywhere (agents of `streams.compat.faust` do).
    """
    policies = [getattr(config, f"{kind}_on_error") for kind in ERROR_KINDS]
    policies += [node.node.on_error for node in topology.nodes.values() if node.node.on_error is not None]
    chosen = any(
        node.role is Role.PROCESS or (isinstance(node, SinkNode) and node.chooser is not None)
        for node in topology.nodes.values()
        if not isinstance(node, SourceNode)
    )
    if chosen or any(policy.handler is not None for policy in policies):
        return None
    letters = {policy.topic for policy in policies if policy.topic}
    return frozenset({*topology.sink_topics, *topology.repartition_topics, *topology.changelog_topics, *letters})


def expect_written(topic: str, known: frozenset[str] | None) -> None:
    """Raises: TopologyError when no program that writes to `known` writes to this topic."""
    if known is not None and topic not in known:
        raise TopologyError(
            f"nothing in the topology writes to topic {topic!r} (it writes to: {', '.join(sorted(known)) or 'none'})"
            f"{nearest(topic, sorted(known))}"
        )


def headers_of(given: HeadersLike) -> Headers:
    """Headers as records have them. Raises: ConfigError for what is none."""
    pairs = given.items() if isinstance(given, Mapping) else given
    found = list(pairs) if isinstance(pairs, Iterable) else [pairs]
    if not all(map(_is_header, found)):
        raise ConfigError(f"headers: expected a mapping or pairs of a name and bytes or None, got {given!r}")
    return tuple((name, value) for name, value in found)


def _is_header(pair: Any) -> bool:
    match pair:
        case (str(), bytes() | None):
            return True
    return False


def time_of(moment: Any) -> int:
    """A record's time in ms. Raises: ConfigError for what is no moment."""
    try:
        return moment_ms(moment, "timestamp")
    except ValueError as problem:
        raise ConfigError(str(problem)) from None
