"""Topics that come and go under a pattern while workers run, on the real broker."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from streams import App, TopologyError
from streams.background import Running
from streams.clients.base import Admin, NewTopic
from streams.clients.kafka import KafkaClients
from streams.pytest_plugin import RunningBroker
from tests.apache_kafka.libraries import KafkaMissingError
from tests.apache_kafka.node import ApacheKafka
from tests.streams.runtime.running_programs import until

pytestmark = pytest.mark.broker

EXACTLY_ONCE = "exactly_once_v2"


class Scene:
    """Programs of one name that read what is called `<name>.in-...`, each with a state directory of its own."""

    def __init__(self, name: str, broker: RunningBroker, home: Path) -> None:
        self.name = name
        self.pattern = re.compile(re.escape(name) + r"\.in-.*")
        self._broker, self._home = broker, home
        self._release = ExitStack()
        clients = self._release.enter_context(_closing(KafkaClients(self.app("w").config)))
        self.admin: Admin = clients.admin()

    def app(self, worker: str = "w", **settings: Any) -> App:
        given = {"commit_interval_ms": 50, "metadata_max_age_ms": 200, **settings}
        return App(self.name, broker=self._broker.url, state_dir=str(self._home / worker), **given)

    def copying(self, worker: str = "w", **settings: Any) -> App:
        """It copies what it reads."""
        app = self.app(worker, **settings)
        app.stream(self.pattern, key=str, value=int).to(app.topic(f"{self.name}-out", key=str, value=int, partitions=1))
        return app

    def counting(self, worker: str = "w", **settings: Any) -> App:
        """It counts what it reads by the keys they have."""
        app = self.app(worker, **settings)
        counted = app.stream(self.pattern, key=str, value=int).group_by_key().count(name="total").to_stream()
        counted.to(app.topic(f"{self.name}-out", key=str, value=int, partitions=1))
        return app

    def create(self, which: str, partitions: int = 1) -> str:
        self.admin.create([NewTopic(topic := f"{self.name}.in-{which}", partitions)])
        return topic

    def say(self, topic: str, *numbers: int) -> None:
        app = self.app("writer")
        app.write(app.topic(topic, key=str, value=int), [(f"k{number}", number) for number in numbers])

    def out(self) -> list[int]:
        if not self.admin.describe([topic := f"{self.name}-out"]):
            return []
        app = self.app("reader", isolation_level="read_committed")
        return sorted(record.value for record in app.read(app.topic(topic, key=bytes, value=int)))

    def close(self) -> None:
        self._release.close()


class _closing(ExitStack):  # noqa: N801  as contextlib's
    """Closes on the way out, and gives what it closes."""

    def __init__(self, clients: KafkaClients) -> None:
        super().__init__()
        self._clients = clients

    def __enter__(self) -> Any:
        self.callback(self._clients.close)
        return self._clients


@pytest.fixture
def scene(streams_broker: RunningBroker, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Scene]:
    made = Scene(re.sub(r"\W+", "-", request.node.name.removeprefix("test_"))[:60].strip("-"), streams_broker, tmp_path)
    yield made
    made.close()


def tasks(*runs: Running) -> list[str]:
    return sorted(task for run in runs for task in run.status().tasks)


def test_a_topic_that_comes_is_read_from_its_beginning(scene: Scene) -> None:
    """What lies in it when the worker notices it is read too, by tasks for all of its partitions."""
    scene.say(scene.create("a"), 1)
    with scene.copying().running() as run:
        run.catch_up(timeout_s=60)
        scene.say(scene.create("b", 3), *range(10, 20))
        until(lambda: scene.out() == [1, *range(10, 20)], run)
        assert tasks(run) == ["0_0", "0_1", "0_2"]
        scene.say(f"{scene.name}.in-b", 20)
        until(lambda: 20 in scene.out(), run)


def test_nothing_has_to_match_at_the_start(scene: Scene) -> None:
    """The first topic brings tasks, and their store its changelog, in as many partitions."""
    with scene.counting().running() as run:
        until(lambda: run.status().state.value == "running", run)
        scene.say(scene.create("a", 2), 1, 2, 3)
        until(lambda: scene.out() == [1, 1, 1], run)
        assert tasks(run) == ["0_0", "0_1"]
    assert scene.admin.describe([log := f"{scene.name}-total-changelog"])[log].partitions == 2


def test_where_reading_begins_is_said_for_a_pattern_too(scene: Scene) -> None:
    """The rule of its source goes before the application's, for topics that come as well."""
    scene.say(scene.create("a"), 1)
    app = scene.app()
    read = app.stream(scene.pattern, key=str, value=int, offset_reset="latest")
    read.to(app.topic(f"{scene.name}-out", key=str, value=int, partitions=1))
    with app.running() as run:
        until(lambda: tasks(run) == ["0_0"] and run.status().state.value == "running", run)
        scene.say(f"{scene.name}.in-a", 2)
        until(lambda: scene.out(), run)
    assert scene.out() == [2]


@pytest.mark.parametrize("stops", [False, True], ids=["stays", "leaves"])
def test_two_workers_read_what_comes_exactly_once(scene: Scene, *, stops: bool) -> None:
    """Topics of several sizes come one after the other under load; each record is copied once, whoever has its task."""
    settings = {"processing_guarantee": EXACTLY_ONCE, "heartbeat_interval_ms": 200}
    scene.create("0", 2)
    with ExitStack() as running:
        first = running.enter_context(scene.copying("1", **settings).running())
        second_app = ExitStack()
        second = running.enter_context(second_app).enter_context(scene.copying("2", **settings).running())
        until(lambda: len(first.status().tasks) == len(second.status().tasks) == 1, first, second)
        said: list[int] = []
        for topic in range(4):
            name = f"{scene.name}.in-{topic}" if topic == 0 else scene.create(str(topic), 2 + topic)
            for known in range(topic + 1):
                numbers = range(len(said), len(said) + 20)
                scene.say(f"{scene.name}.in-{known}", *numbers)
                said += numbers
            until(lambda name=name: len(tasks(first, second)) == scene.admin.describe([name])[name].partitions)
        if stops:
            second_app.close()
        first.catch_up(timeout_s=60)
        until(lambda: len(scene.out()) >= len(said), first)
        if not stops:
            assert min(len(each.status().tasks) for each in (first, second)) == 2
    assert scene.out() == said


@pytest.mark.parametrize("guarantee", ["at_least_once", EXACTLY_ONCE])
def test_a_topic_that_goes_is_let_go(scene: Scene, guarantee: str) -> None:
    """The worker goes on with the others, though what it read there was not committed when the topic was deleted."""
    settings = {"processing_guarantee": guarantee, "commit_interval_ms": 5_000}
    here, gone = scene.create("here", 1), scene.create("gone", 2)
    app = scene.copying(transaction_timeout_ms=20_000, **settings)
    with app.running() as run:
        until(lambda: tasks(run) == ["0_0", "0_1"] and run.status().state.value == "running", run)
        scene.say(here, 1)
        scene.say(gone, *range(2, 12))
        until(lambda: run.status().processed == 11, run)
        scene.admin.delete([gone])
        until(lambda: tasks(run) == ["0_0"], run)
        scene.say(here, 12)
        until(lambda: scene.out() == [*range(1, 13)], run)
        scene.say(scene.create("gone", 3), *range(13, 20))  # another topic of that name
        until(lambda: scene.out() == [*range(1, 20)], run)
    with scene.copying(**settings).running() as run:
        run.catch_up(timeout_s=60)
    assert scene.out() == [*range(1, 20)]


def test_topics_of_one_size_share_the_stores_of_their_tasks(scene: Scene) -> None:
    """A task that gets another topic goes on with the state it had."""
    scene.say(scene.create("a", 2), 1, 2, 3)
    with scene.counting().running() as run:
        run.catch_up(timeout_s=60)
        scene.say(scene.create("b", 2), 1, 2, 3)
        until(lambda: scene.out() == [1, 1, 1, 2, 2, 2], run)
        assert tasks(run) == ["0_0", "0_1"]


@pytest.mark.parametrize("partitions", [3, 1])
def test_a_topic_of_another_size_over_a_store(scene: Scene, partitions: int) -> None:
    """One that brings more tasks than the changelog has partitions is an error, as in Kafka Streams; a smaller one is not."""
    scene.say(scene.create("a", 2), 1, 2, 3)
    message = r"total-changelog has 2 partition\(s\), and 3 are needed"
    with ExitStack() as fails:
        if partitions > 2:
            fails.enter_context(pytest.raises(TopologyError, match=message))
        run = fails.enter_context(scene.counting().running())
        run.catch_up(timeout_s=60)
        scene.say(scene.create("b", partitions), 1)
        until(lambda: len(scene.out()) == 4, run)
        assert partitions == 1
    if partitions > 2:
        with pytest.raises(TopologyError, match=message), scene.counting().running() as run:
            run.catch_up(timeout_s=60)


def test_the_largest_topic_over_a_store_goes(scene: Scene) -> None:
    """Keys would be divided anew: the same error, as in Kafka Streams. When the last topic goes, there is no task to miss."""
    scene.create("a", 1)
    scene.create("b", 2)
    with (
        pytest.raises(TopologyError, match=r"total-changelog has 2 partition\(s\), and 1 are needed"),
        scene.counting().running() as run,
    ):
        until(lambda: tasks(run) == ["0_0", "0_1"], run)
        scene.admin.delete([f"{scene.name}.in-b"])
        until(lambda: False, run)
    scene.say(scene.create("c", 2), 1)
    with scene.counting().running() as run:
        until(lambda: scene.out() == [1], run)
        scene.admin.delete([f"{scene.name}.in-{which}" for which in "ac"])
        until(lambda: tasks(run) == [], run)
        scene.say(scene.create("d", 2), 1)
        until(lambda: scene.out() == [1, 2], run)


def test_repartitions_follow_what_matches(scene: Scene) -> None:
    """Without a topic their size is not known; with one it stays what it was, whatever of that size comes or goes."""

    def regrouping() -> App:
        app = scene.app()
        again = app.stream(scene.pattern, key=str, value=int).group_by(lambda _key, value: value % 2, key=int)
        again.count(name="total").to_stream().to(app.topic(f"{scene.name}-out", key=int, value=int, partitions=1))
        return app

    with pytest.raises(TopologyError, match="decide how many partitions"), regrouping().running() as run:
        run.catch_up(timeout_s=60)
    scene.say(scene.create("a", 3), *range(4))
    with regrouping().running() as run:
        run.catch_up(timeout_s=60)
        assert tasks(run) == [f"{part}_{number}" for part in "01" for number in range(3)]
        scene.admin.delete([f"{scene.name}.in-a"])
        until(lambda: tasks(run) == [f"1_{number}" for number in range(3)], run)
        scene.say(scene.create("b", 3), *range(4))
        until(lambda: scene.out()[-2:] == [4, 4], run)
    with (
        pytest.raises(TopologyError, match=r"-repartition has 3 partition\(s\), and 4 are needed"),
        regrouping().running() as run,
    ):
        scene.create("c", 4)
        until(lambda: False, run)


def test_what_is_joined_must_match_in_size(scene: Scene) -> None:
    """A topic that comes counts among those that are joined, as in Kafka Streams."""
    app = scene.app()
    table = app.table(app.topic(f"{scene.name}-table", key=str, value=int, partitions=2), name="facts")
    joined = app.stream(scene.pattern, key=str, value=int).join(table, lambda left, right: left + right)
    joined.to(app.topic(f"{scene.name}-out", key=str, value=int, partitions=1))
    app.write(f"{scene.name}-table", [("k1", 10)])
    scene.say(scene.create("a", 2), 1)
    with pytest.raises(TopologyError, match="same number of partitions"), app.running() as run:
        until(lambda: scene.out() == [11], run)
        scene.create("b", 1)
        until(lambda: False, run)


def test_a_topic_of_two_patterns(scene: Scene) -> None:
    """It would have two sources: an error that names both, when it comes."""
    app = scene.app()
    for ending in ("x.*", ".*y"):
        app.stream(re.compile(f"{re.escape(scene.name)}.in-{ending}"), key=str, value=int).for_each(lambda *_: None)
    scene.create("x")
    with pytest.raises(TopologyError, match="matches two patterns"), app.running() as run:
        until(lambda: tasks(run) == ["0_0"], run)
        scene.create("xy")
        until(lambda: False, run)


def test_agents_read_what_comes(scene: Scene) -> None:
    """An agent of a pattern is a stream of it."""
    app, seen = scene.app(), Counter[int]()

    @app.agent(app.stream(scene.pattern, key=str, value=int))
    async def see(numbers: Any) -> None:
        async for number in numbers:
            seen[number] += 1

    scene.say(scene.create("a"), 1)
    with app.running() as run:
        until(lambda: seen == {1: 1}, run)
        scene.say(scene.create("b", 2), 2, 3)
        until(lambda: seen == {1: 1, 2: 1, 3: 1}, run)


@pytest.mark.kafka
@pytest.mark.slow
def test_apache_kafka_brings_and_takes_topics(tmp_path: Path) -> None:
    """The same over Apache Kafka: what comes is read exactly once, what goes is let go, and comes anew."""
    node = ApacheKafka(tmp_path / "node", memory="256m")
    try:
        node.launch()
        node.wait()
        scene = Scene("matched", RunningBroker(node.address, tmp_path), tmp_path)
        here, gone = scene.create("here", 1), scene.create("gone", 2)
        settings = {"processing_guarantee": EXACTLY_ONCE, "commit_interval_ms": 3_000, "heartbeat_interval_ms": 200}
        with scene.copying("1", **settings).running() as first, scene.copying("2", **settings).running() as second:
            until(lambda: tasks(first, second) == ["0_0", "0_1"], first, second)
            scene.say(here, 1)
            scene.say(gone, *range(2, 12))
            until(lambda: first.status().processed + second.status().processed == 11, first, second)
            scene.admin.delete([gone])
            until(lambda: tasks(first, second) == ["0_0"], first, second)
            scene.say(scene.create("more", 4), *range(12, 30))
            scene.say(scene.create("gone", 3), *range(30, 40))
            until(lambda: scene.out() == [*range(1, 40)], first, second)
            assert tasks(first, second) == ["0_0", "0_1", "0_2", "0_3"]
        scene.close()
    except KafkaMissingError as missing:
        pytest.skip(str(missing))
    finally:
        node.kill()
