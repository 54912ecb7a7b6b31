"""`stop_application` on the real broker: one worker fails, and the workers of all machines stop."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from streams import App
from streams.clients.kafka import KafkaClients
from streams.errors import ProcessingError, StopApplication, StreamsError
from streams.record import TopicPartition

pytestmark = pytest.mark.broker


@pytest.mark.parametrize("guarantee", ["at_least_once", "exactly_once_v2"])
def test_all_machines_stop(broker_url: str, tmp_path: Path, guarantee: str) -> None:
    """Who failed says why, the others commit what they have and say that they were told; no input is lost."""
    apps = [inverting(broker_url, tmp_path / name, guarantee) for name in "abc"]
    runs = [app.running().__enter__() for app in apps]
    until(lambda: all(len(run.status().tasks) == 1 for run in runs))
    apps[0].write(f"{guarantee}-numbers", [(str(key), 1) for key in range(20)])
    runs[0].catch_up(timeout_s=60)
    apps[0].write(f"{guarantee}-numbers", [("bad", 0)])
    ends = [ended(run) for run in runs]
    assert [type(end) for end in ends] == [StopApplication] * 3
    assert [type(end.__cause__) for end in ends if end.__cause__ is not None] == [ProcessingError]
    assert committed(apps[0]) == 20


def test_a_worker_alone_stops(broker_url: str, tmp_path: Path) -> None:
    """It is the one that tells and the one that hears; started again it works, and fails again."""
    app = inverting(broker_url, tmp_path / "alone", "at_least_once", name="alone")
    app.write("alone-numbers", [("bad", 0)])
    for _ in range(2):
        with pytest.raises(StopApplication, match="ZeroDivisionError"):
            app.run()


def inverting(broker_url: str, state_dir: Path, guarantee: str, name: str = "") -> App:
    """Divides each number by itself, and has all stop at a zero."""
    app = App(
        name or f"all-{guarantee}",
        broker=broker_url,
        state_dir=str(state_dir),
        uncaught="stop_application",
        processing_guarantee=guarantee,
        commit_interval_ms=50,
        heartbeat_interval_ms=100,
    )
    numbers = app.topic(f"{name or guarantee}-numbers", key=str, value=int, partitions=3)
    ones = app.topic(f"{name or guarantee}-ones", key=str, value=int, partitions=1)
    app.stream(numbers).map_values(lambda number: number // number, value=int).to(ones)
    return app


def committed(app: App) -> int:
    """The sum of the group's offsets."""
    clients = KafkaClients(app.config)
    (topic,) = app.build().source_topics
    consumer = clients.consumer(group=app.config.application_id)
    found = consumer.committed([TopicPartition(topic, number) for number in range(3)])
    clients.close()
    return sum(entry.offset for entry in found.values())


def ended(run: Any) -> BaseException:
    """What a run has ended with by itself."""
    until(lambda: over(run))
    with pytest.raises(StopApplication) as caught:
        run.stop()
    return caught.value


def over(run: Any) -> bool:
    """Whether something has ended it."""
    try:
        run.check()
    except StreamsError:
        return True
    return False


def until(holds: Callable[[], bool]) -> None:
    """Wait for something."""
    patience = threading.Event()
    for _ in range(6_000):
        if holds():
            return
        patience.wait(0.01)
    pytest.fail("it did not happen")
