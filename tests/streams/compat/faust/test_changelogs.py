"""Tables whose changelog is a topic of the application's own, on the real broker."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from streams import App
from streams.background import Running
from streams.clients.base import NewTopic
from streams.clients.kafka import KafkaClients
from streams.compat import faust
from streams.pytest_plugin import RunningBroker

pytestmark = pytest.mark.broker


class Ride(faust.Record, include_metadata=False):
    vendor: str
    amount: float


def written(broker: RunningBroker, name: str) -> list[tuple[bytes | None, bytes | None]]:
    """All records of a topic, as bytes."""
    reader = App(f"{name}-reader", broker=broker.url)
    records = reader.read(reader.topic(name, key=bytes, value=bytes))
    return [(record.key, record.value) for record in records]


@pytest.fixture
def program(streams_broker: RunningBroker, tmp_path: Path) -> Callable[..., faust.App]:
    """Keeps the latest ride of each vendor, with a changelog of its own; `reads_back`: it is that which it reads."""
    name = tmp_path.name
    writer = App(f"{name}-writer", broker=streams_broker.url)

    def say(topic: str, *records: tuple[str, bytes]) -> None:
        writer.write(writer.topic(f"{name}-{topic}", key=str, value=bytes, partitions=1), records)

    def make(seen: list[Any], *, reads_back: bool = False) -> faust.App:
        app = faust.App(name, broker=streams_broker.url, topic_partitions=1)
        rows = app.topic(f"{name}-rows", value_type=Ride)
        table = app.Table("latest", value_type=Ride, changelog_topic=rows)

        @app.agent(rows if reads_back else app.topic(f"{name}-rides", value_type=Ride), name="keep")
        async def keep(stream: Any) -> None:
            async for ride in stream:
                seen.append((ride.vendor, table.get(ride.vendor)))
                table[ride.vendor] = ride

        return app

    make.say = say  # type: ignore[attr-defined]
    return make


def run(app: faust.App) -> None:
    """Run it until all is read."""
    with Running(app.application()) as running:
        running.catch_up(timeout_s=30)


def test_the_table_is_kept_in_the_topic_that_it_was_given(
    program: Any, streams_broker: RunningBroker, caplog: pytest.LogCaptureFixture
) -> None:
    """Also in one whose policy is the user's: that is told, and no more. The next worker restores the table from it."""
    name = program([]).conf.id
    admin = KafkaClients(App(f"{name}-admin", broker=streams_broker.url).config).admin()
    admin.create([NewTopic(f"{name}-rows", 1, config={"cleanup.policy": "delete"})])
    ride = b'{"vendor":"a","amount":1.0}'
    seen: list[Any] = []
    for _ in range(2):
        program.say("rides", ("k", ride))
        run(program(seen))
    assert written(streams_broker, f"{name}-rows") == [(b'"a"', ride)] * 2
    assert seen == [("a", None), ("a", Ride("a", 1.0))]
    assert f"{name}-rows has cleanup.policy=delete, and compact is needed" in caplog.text


def test_an_agent_that_reads_the_changelog_of_its_table_does_not_go_round(
    program: Any, streams_broker: RunningBroker, caplog: pytest.LogCaptureFixture
) -> None:
    """Its changes are not written back to what it reads; the table is what the topic says."""
    name, seen = program([]).conf.id, []
    program.say("rows", ('"a"', b'{"vendor":"a","amount":1.0}'))
    run(program(seen, reads_back=True))
    program.say("rows", ('"a"', b'{"vendor":"a","amount":2.0}'))
    run(program(seen, reads_back=True))
    assert len(written(streams_broker, f"{name}-rows")) == 2
    assert seen == [("a", None), ("a", Ride("a", 1.0))]
    assert f"the agent keep reads {name}-rows, the changelog of its table latest" in caplog.text
