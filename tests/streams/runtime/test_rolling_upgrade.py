"""Workers of two versions of a program side by side, while one after the other is replaced, on the real broker."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from streams import App
from streams.pytest_plugin import RunningBroker
from streams.runtime.worker_states import WorkerState
from tests.streams.runtime.running_programs import until

pytestmark = pytest.mark.broker

QUICK = {"commit_interval_ms": 50, "metadata_max_age_ms": 200}
KEYS = [f"k{number}" for number in range(40)]


class Versions:
    """Two versions of a program that counts words; the newer one reads a topic more in front, and another one no longer."""

    def __init__(self, name: str, broker: RunningBroker, home: Path, **settings: Any) -> None:
        self._name = name
        self._broker, self._home, self._settings = broker, home, {**QUICK, **settings}

    def app(self, worker: str) -> App:
        return App(
            self._name,
            broker=self._broker.url,
            state_dir=str(self._home / worker),
            application_server=f"{worker}:1",
            **self._settings,
        )

    def old(self, worker: str) -> App:
        app = self.app(worker)
        self._counting(app)
        app.stream(self._topic(app, "dropped")).to(self._topic(app, "dropped-out"))
        return app

    def new(self, worker: str) -> App:
        app = self.app(worker)
        app.stream(self._topic(app, "added", 1)).group_by_key().count(name="added-total")
        self._counting(app)
        return app

    def _counting(self, app: App) -> None:
        counted = app.stream(self._topic(app, "words")).group_by_key().count(name="total")
        counted.to_stream().to(app.topic(f"{self._name}-counts", key=str, value=int, partitions=4))

    def _topic(self, app: App, name: str, partitions: int = 4) -> Any:
        return app.topic(f"{self._name}-{name}", key=str, value=str, partitions=partitions)

    def say(self, name: str) -> None:
        app = self.app("writer")
        app.write(self._topic(app, name), [(key, "x") for key in KEYS])

    def counts(self) -> Counter[str]:
        app = self.app("reader")
        return Counter(
            {record.key: record.value for record in app.read(app.topic(f"{self._name}-counts", key=str, value=int))}
        )


def known(key: str, *apps: App) -> bool:
    """Whether all workers say alike where a key is, and it is there."""
    found = [app.metadata_for_key("total", key) for app in apps]
    there = [at.local for at in found]
    return len({at[:3] for at in found}) == 1 and there == [
        at.active == app.config.application_server for at, app in zip(found, apps, strict=True)
    ]


@pytest.mark.parametrize("standbys", [0, 1])
def test_workers_are_replaced_one_by_one(streams_broker: RunningBroker, tmp_path: Path, standbys: int) -> None:
    """Parts have other numbers in the newer program, and other topics: nobody ends, and each word counts once."""
    versions = Versions(f"rolling-{standbys}", streams_broker, tmp_path, num_standby_replicas=standbys)
    versions.say("dropped")
    versions.say("words")
    said = 1
    one, two = versions.old("1"), versions.new("2")
    with one.running() as first:
        until(lambda: versions.counts() == Counter(KEYS), first)
        with two.running() as second:
            both = (first, second)
            until(lambda: second.status().tasks and second.status().state is WorkerState.RUNNING, *both)
            until(lambda: all(known(key, one, two) for key in KEYS), *both)
            for name in ("dropped", "words", "added"):
                versions.say(name)
            said += 1
            until(lambda: versions.counts() == Counter(KEYS * said), *both)
            with versions.new("3").running() as third:
                until(lambda: third.status().state is WorkerState.RUNNING, *both, third)
                first._stop()
                versions.say("words")
                said += 1
                until(lambda: versions.counts() == Counter(KEYS * said), second, third)
                until(lambda: len(second.status().tasks) + len(third.status().tasks) == 5, second, third)
