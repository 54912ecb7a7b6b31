"""What an application reads of transactions: all of its consumers follow `isolation_level`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from streams import App
from streams.clients.kafka import KafkaClients
from streams.pytest_plugin import RunningBroker

pytestmark = pytest.mark.broker


def totals(name: str, broker: RunningBroker, home: Path, level: str) -> App:
    """Adds up a topic, each with the rate of a global table."""
    app = App(name, broker=broker.url, state_dir=str(home), commit_interval_ms=50, isolation_level=level)
    rates = app.global_table(app.topic(f"{name}-rates", key=str, value=int, partitions=1))
    sales = app.stream(app.topic(f"{name}-sales", key=str, value=int, partitions=1))
    sold = sales.join(rates, lambda sale, rate: sale * rate, on=lambda key, _value: key)
    sold.group_by_key().reduce(lambda total, one: total + one, name="totals").to_stream().to(
        app.topic(f"{name}-totals", key=str, value=int, partitions=1)
    )
    return app


@pytest.fixture
def half_done(streams_broker: RunningBroker) -> Iterator[KafkaClients]:
    """Clients of somebody who writes in transactions."""
    clients = KafkaClients(App("others", broker=streams_broker.url).config)
    yield clients
    clients.close()


@pytest.mark.parametrize(("level", "total"), [("read_committed", 2 * (1 + 4)), ("read_uncommitted", 3 * (1 + 2 + 4))])
def test_what_never_was_committed(
    streams_broker: RunningBroker, half_done: KafkaClients, tmp_path: Path, level: str, total: int
) -> None:
    """At least once, another's aborted records count unless the level says otherwise; its global table's, too."""
    name = f"sold-{level}"
    app = totals(name, streams_broker, tmp_path, level)
    app.write(f"{name}-rates", [("a", 2)])
    app.write(f"{name}-sales", [("a", 1)])
    producer = half_done.producer(transactional_id=name)
    producer.begin()
    producer.send(f"{name}-rates", 0, [b"a"], [(3).to_bytes(8)], [0])
    producer.send(f"{name}-sales", 0, [b"a"], [(2).to_bytes(8)], [0])
    producer.flush()
    producer.abort_transaction()
    app.write(f"{name}-sales", [("a", 4)])
    with app.running() as run:
        run.catch_up(timeout_s=60)
    assert [record.value for record in app.read(f"{name}-totals")][-1] == total
