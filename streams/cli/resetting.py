"""Taking an application back to its beginning: its group's offsets, its internal topics, its local state.

Rules: first all is looked at, then all is done, so that a dry run shows exactly what a real one does. Nothing is touched
while a worker of the application runs. The topics that it reads and writes stay as they are. Internal topics that an earlier
program of the name left behind are told of, and go when they are named: by their names alone they could be another
application's. They matter, for a store that takes up such a name again begins with what lies there.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from state.directory import StateDirectory
from streams.cli.topic_tools import groups_of, lag_rows
from streams.connection import Connection
from streams.errors import ConfigError, StreamsError
from streams.topology.topology import Topology

INTERNAL = re.compile(
    r".+-(changelog|repartition|subscription-(registration|response)-topic"
    r"|KTABLE-FK-JOIN-SUBSCRIPTION-(REGISTRATION|RESPONSE)-\d+-topic)"
)
"""What names of internal topics look like. Source: Kafka's StreamsResetter."""


@dataclass(frozen=True)
class Reset:
    """What a reset would do, or did."""

    group: str
    offsets: tuple[str, ...]
    topics: tuple[str, ...]
    state: Path | None
    left: tuple[str, ...] = ()
    """Topics that stay, with names like internal ones of this application."""

    def row(self, *, done: bool) -> dict[str, object]:
        """The same for programs."""
        state = None if self.state is None else str(self.state)
        found = {"group": self.group, "done": done, "offsets": self.offsets, "topics": self.topics, "state": state}
        return {**found, "left": self.left}

    def lines(self) -> list[str]:
        """What it comes to, a line per thing."""
        lines = [f"offset of {place} forgotten: read from its beginning" for place in self.offsets]
        lines += [f"topic {name} deleted" for name in self.topics]
        lines += [f"state in {self.state} deleted"] if self.state else []
        return lines or [f"{self.group} is at its beginning: nothing to reset"]

    def hint(self) -> str:
        """What to do about topics that stay."""
        options = " ".join(f"--internal-topic {name}" for name in self.left)
        return (
            f"{', '.join(self.left)}: no part of this program. What an earlier program of this name left behind is deleted "
            f"with {options}"
        )


def plan(connection: Connection, topology: Topology, named: Collection[str] = ()) -> Reset:
    """What has to be done; `named` are internal topics that the program does not have any more.

    Raises: StreamsError while a worker runs; ConfigError when one of those cannot be this application's.
    """
    config = connection.config
    group = config.application_id
    info = groups_of(connection).describe(group)
    if info.members:
        raise StreamsError(f"{group} is running ({', '.join(info.members)}): stop it, then reset it")
    internal = {*topology.repartition_topics, *topology.changelog_topics}
    there = set(connection.admin.topics())
    alike = {name for name in there - internal if name.startswith(f"{group}-") and INTERNAL.fullmatch(name)}
    alike -= {*topology.source_topics}
    if strangers := [name for name in named if name not in alike | internal]:
        raise ConfigError(f"{', '.join(strangers)}: there is no internal topic of {group} with this name")
    state = Path(config.state_dir) / group
    return Reset(
        group,
        tuple(f"{row['topic']}[{row['partition']}] ({row['committed']:,})" for row in lag_rows(connection, group)),
        tuple(sorted(there & (internal | set(named)))),
        state if state.exists() else None,
        tuple(sorted(alike - set(named))),
    )


def execute(connection: Connection, reset: Reset) -> None:
    """Do it. Raises: StreamsError, StateError for what is in use after all."""
    groups_of(connection).delete(reset.group)
    connection.admin.delete(reset.topics)
    if reset.state is not None:
        tasks = StateDirectory(reset.state.parent, reset.group)
        for task in tasks.tasks():
            tasks.remove(task)
        shutil.rmtree(reset.state)
