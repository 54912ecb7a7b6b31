"""A program of the pipeline on a thread of this process, and how far its group has come."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

from streams import App
from streams.clients.base import Clients
from streams.record import TopicPartition
from streams.running import Listener, run


class Part(Listener):
    """Runs an App on a thread of its own; `check` raises what stopped it."""

    def __init__(self, app: App) -> None:
        self.name = app.name
        self._application = app.application()
        self._worker: Any = None
        self._error: BaseException | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=app.name, daemon=True)
        self._thread.start()

    @property
    def topics(self) -> Sequence[str]:
        """The topics it reads, its own repartition topics included."""
        return self._application.topology.source_topics

    def running(self, worker: Any) -> None:
        """Called by the run itself, when it has a worker."""
        self._worker = worker
        if self._stop.is_set():
            worker.stop()

    def check(self) -> None:
        """Raises: what stopped the program, if anything did."""
        if self._error is not None:
            raise self._error

    def stop(self) -> None:
        """Ask it to commit and leave."""
        self._stop.set()
        if self._worker is not None:
            self._worker.stop()

    def join(self) -> None:
        """Wait until it has left."""
        self._thread.join()

    def _run(self) -> None:
        try:
            run(self._application, self)
        except BaseException as error:
            self._error = error


class Progress:
    """What a program's group has still to read."""

    def __init__(self, part: Part, clients: Clients) -> None:
        self._topics = part.topics
        self._admin = clients.admin()
        self._consumer = clients.consumer(group=part.name)
        self._partitions: list[TopicPartition] = []

    def done(self) -> bool:
        """Whether all that is there is committed."""
        if not self._partitions and not self._find_partitions():
            return False
        begins = self._consumer.beginning_offsets(self._partitions)
        ends = self._consumer.end_offsets(self._partitions)
        committed = self._consumer.committed(self._partitions)
        return all(
            begins[partition] == end or (partition in committed and committed[partition].offset >= end)
            for partition, end in ends.items()
        )

    def close(self) -> None:
        """Disconnect."""
        self._admin.close()
        self._consumer.close()

    def _find_partitions(self) -> bool:
        """Whether all topics exist; the program makes its own when it starts."""
        found = self._admin.describe(self._topics)
        if found.keys() >= set(self._topics):
            self._partitions = [
                TopicPartition(topic.name, number) for topic in found.values() for number in range(topic.partitions)
            ]
        return bool(self._partitions)
