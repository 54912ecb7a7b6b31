"""An application's health, from inside and from outside."""

import threading
from pathlib import Path

import pytest

from streams import App
from streams.cli.health import group_health
from streams.pytest_plugin import RunningBroker


@pytest.mark.broker
def test_an_applications_health(streams_broker: RunningBroker, tmp_path: Path) -> None:
    """Nobody runs; all is processed; a record that hangs; and well again when it is through."""
    app = App("well", broker=streams_broker.url, state_dir=str(tmp_path), commit_interval_ms=50)
    numbers = app.topic("well-numbers", key=str, value=int, partitions=1)
    gate, states = threading.Event(), []
    app.stream(numbers).for_each(lambda _key, number: number < 0 and gate.wait(60))
    app.on_state(lambda new, _old: states.append(new.value))
    app.write(numbers, [("a", 1)])
    with app.connect() as connection:
        before = group_health(connection, app.build())
        assert (before.healthy, before.reason) == (False, "no worker runs")
        with app.running() as run:
            run.catch_up(timeout_s=60)
            assert group_health(connection, app.build()).reason == "all is processed"
            assert run.health().healthy
            assert run.health().ready
            app.write(numbers, [("a", -1)])
            ill = group_health(connection, app.build(), within_s=0.5)
            assert (ill.healthy, ill.lag) == (False, 1)
            assert ill.reason == "1 records behind, and nothing was committed for 0.5 s"
            gate.set()
            run.catch_up(timeout_s=60)
            assert group_health(connection, app.build()).healthy
    assert states == ["rebalancing", "running", "pending shutdown", "not running"]
