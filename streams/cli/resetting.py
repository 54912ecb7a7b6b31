"""Taking an application back to its beginning: its group's offsets, its internal topics, its local state.

Rules: first all is looked at, then all is done, so that a dry run shows exactly what a real one does. Nothing is touched
while a worker of the application runs. The topics that it reads and writes stay as they are.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from state.directory import StateDirectory
from streams.cli.topic_tools import groups_of, lag_rows
from streams.connection import Connection
from streams.errors import StreamsError
from streams.topology.topology import Topology


@dataclass(frozen=True)
class Reset:
    """What a reset would do, or did."""

    group: str
    offsets: tuple[str, ...]
    topics: tuple[str, ...]
    state: Path | None

    def row(self, *, done: bool) -> dict[str, object]:
        """The same for programs."""
        state = None if self.state is None else str(self.state)
        return {"group": self.group, "done": done, "offsets": self.offsets, "topics": self.topics, "state": state}

    def lines(self) -> list[str]:
        """What it comes to, a line per thing."""
        lines = [f"offset of {place} forgotten: read from its beginning" for place in self.offsets]
        lines += [f"topic {name} deleted" for name in self.topics]
        lines += [f"state in {self.state} deleted"] if self.state else []
        return lines or [f"{self.group} is at its beginning: nothing to reset"]


def plan(connection: Connection, topology: Topology) -> Reset:
    """What has to be done. Raises: StreamsError while a worker runs."""
    config = connection.config
    group = config.application_id
    info = groups_of(connection).describe(group)
    if info.members:
        raise StreamsError(f"{group} is running ({', '.join(info.members)}): stop it, then reset it")
    internal = {*topology.repartition_topics, *topology.changelog_topics}
    state = Path(config.state_dir) / group
    return Reset(
        group,
        tuple(f"{row['topic']}[{row['partition']}] ({row['committed']:,})" for row in lag_rows(connection, group)),
        tuple(sorted(internal.intersection(connection.admin.topics()))),
        state if state.exists() else None,
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
