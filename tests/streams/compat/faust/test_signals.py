"""Signals of an application, what tasks ask it, and its settings where they are changed after it was made."""

import asyncio
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from streams import App
from streams.background import Running
from streams.compat import faust
from streams.pytest_plugin import RunningBroker


def test_settings_may_wait_for_the_first_who_asks() -> None:
    """The three signals are called in their order, once, and what they set counts for all that comes after."""
    app = faust.App("app", broker="kafka://unused:9092", store="memory://")
    called: list[str] = []

    @app.on_configured.connect
    def configure(sender: faust.App, conf: Any, **_: Any) -> None:
        called.append("on")
        assert sender is app
        conf.broker = "kafka://other:9093"
        conf.value_serializer = "raw"

    app.on_before_configured.connect()(lambda _app: called.append("before"))
    app.on_after_configured.connect(lambda _app: called.append("after"))
    assert called == []
    assert app.topic("a").value_serializer == "raw"
    assert called == ["before", "on", "after"]
    assert app.config.broker == "kafka://other:9093"
    assert called == ["before", "on", "after"]


def test_settings_may_be_changed_on_the_application() -> None:
    """As long as it does not run: the runtime is asked anew. Durations, guarantees and zones are what they are in App()."""
    app = faust.App("app", broker="kafka://unused:9092", web_port=6066)
    assert app.config.processing_guarantee == "at_least_once"
    app.conf.broker = "kafka://late:9092"
    app.conf.processing_guarantee = faust.types.ProcessingGuarantee.EXACTLY_ONCE
    app.conf.broker_commit_interval = timedelta(seconds=2)
    app.task(lambda: None)
    config = app.application().config
    assert (config.broker, config.exactly_once, config.commit_interval_ms) == ("kafka://late:9092", True, 2000)
    assert app.conf.web_port == 6066
    app.conf.processing_guarantee = "twice"
    with pytest.raises(faust.ImproperlyConfigured, match="expected one of at_least_once, exactly_once, got 'twice'"):
        app.application()


@pytest.mark.parametrize("name", ["on_partitions_assigned", "on_partitions_revoked", "on_produce_message"])
def test_signals_that_are_not_here_say_so(name: str) -> None:
    """Each with what to do instead."""
    with pytest.raises(faust.NotHere, match=f"app.{name} of Faust is not in"):
        getattr(faust.App("app"), name)


@pytest.fixture
def app(streams_broker: RunningBroker, tmp_path: Path) -> faust.App:
    """An application on a broker, with three records to read."""
    writer = App(f"{tmp_path.name}-writer", broker=streams_broker.url)
    records = [("a", b"1"), ("b", b"2"), ("a", b"3")]
    writer.write(writer.topic(f"{tmp_path.name}-in", key=str, value=bytes, partitions=1), records)
    return faust.App(tmp_path.name, broker=streams_broker.url, topic_partitions=1, datadir=tmp_path)


@pytest.mark.broker
def test_signals_of_a_worker(app: faust.App) -> None:
    """It says when it has its partitions, and before it ends; tables can be read both times, and failures are logged."""
    totals, heard = app.Table("totals", default=int), []

    @app.agent(app.topic(f"{app.conf.id}-in", key_type=str, value_type=int))
    async def total(stream: Any) -> None:
        async for key, value in stream.items():
            totals[key] += value

    async def hear(what: str, sender: faust.App, **_: Any) -> None:
        assert sender is app
        heard.append((what, app.rebalancing, dict(totals)))

    @app.on_rebalance_complete.connect
    async def fail(_app: faust.App) -> None:
        raise ValueError("as it should")

    app.on_rebalance_complete.connect(partial(hear, "complete"))
    app.on_before_shutdown.connect(partial(hear, "shutdown"))
    assert app.rebalancing
    with Running(app.application()) as run:
        run.catch_up(timeout_s=30)
    assert [what for what, _, _ in heard] == ["complete", "shutdown"]
    assert heard[0][1] is False
    assert heard[1][2] == {"a": 4, "b": 2}


@pytest.mark.broker
def test_a_task_sleeps_until_the_worker_ends(app: faust.App) -> None:
    """`app.sleep` in a loop until `app.should_stop`, as Faust's own examples have it."""
    beats: list[int] = []
    ended = asyncio.Event()

    @app.task
    async def beat(given: faust.App) -> None:
        try:
            while not given.should_stop:
                await given.sleep(timedelta(milliseconds=5))
                beats.append(1)
        finally:
            ended.set()

    @app.agent(app.topic(f"{app.conf.id}-in", value_type=int))
    async def read(stream: Any) -> None:
        async for _ in stream:
            while len(beats) < 3:  # noqa: ASYNC110  there is nothing to be told
                await asyncio.sleep(0.005)

    with Running(app.application()) as run:
        run.catch_up(timeout_s=30)
    assert len(beats) >= 3
    assert ended.is_set()
