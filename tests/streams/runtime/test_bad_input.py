"""What others do to an application's topics and disks: each its own clear message, and nothing lost in silence."""

from __future__ import annotations

import resource
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka.admin import AdminClient, NewPartitions

from state.errors import StateDiskFull
from streams import App, ConfigError, TopologyError
from streams.clients.base import NewTopic
from streams.clients.kafka import KafkaClients
from streams.errors import ChangelogLost, ClientError
from streams.pytest_plugin import RunningBroker
from streams.record import TopicPartition

pytestmark = pytest.mark.broker

WORDS = ["to", "be", "or", "not", "to", "be"]


class Counting:
    """An application that counts words, and the hands that others lay on its topics."""

    def __init__(self, name: str, broker: RunningBroker, home: Path, **settings: Any) -> None:
        self.name = name
        self._given = {"broker": broker.url, "state_dir": str(home), "commit_interval_ms": 50, **settings}
        self.app = self.program()
        self._clients = KafkaClients(self.app.config)
        self.admin = self._clients.admin()

    @property
    def words(self) -> str:
        return f"{self.name}-words"

    def program(self, **settings: Any) -> App:
        """It again, perhaps under other settings."""
        app = App(self.name, **{**self._given, **settings})
        words = app.stream(app.topic(f"{self.name}-words", key=str, value=str, partitions=2))
        words.group_by_key().count(name="total").to_stream().to(
            app.topic(f"{self.name}-counts", key=str, value=int, partitions=2)
        )
        return app

    def run(self, app: App | None = None) -> None:
        """Run it until all is counted."""
        with (app or self.app).running() as run:
            run.catch_up(timeout_s=60)

    def say(self, words: list[str]) -> None:
        self.app.write(self.words, [(word, word) for word in words])

    def counts(self) -> Counter[str]:
        """The latest count of each word."""
        return Counter({record.key: record.value for record in self.app.read(f"{self.name}-counts")})

    def grow(self, topic: str, partitions: int) -> None:
        """Give a topic more partitions, as an administrator does."""
        admin = AdminClient({"bootstrap.servers": self.app.config.broker.removeprefix("kafka://")})
        admin.create_partitions([NewPartitions(topic, partitions)])[topic].result(10)

    def close(self) -> None:
        self._clients.close()


def until_stopped(run: Any, or_else: Callable[[], bool] = lambda: False) -> None:
    """Wait until the application ends, which raises its error, or something else holds."""
    patience = threading.Event()
    for _ in range(3_000):
        run.check()
        if or_else():
            return
        patience.wait(0.01)
    pytest.fail("it went on")


@pytest.fixture
def counting(streams_broker: RunningBroker, tmp_path: Path) -> Iterator[Callable[..., Counting]]:
    """Makes an application by name."""
    made: list[Counting] = []

    def make(name: str, **settings: Any) -> Counting:
        made.append(Counting(name, streams_broker, tmp_path, **settings))
        return made[-1]

    yield make
    for each in made:
        each.close()


def test_a_deleted_changelog_does_not_become_an_empty_store(counting: Callable[..., Counting]) -> None:
    """The store lies on this disk, so it has been in use: the start is refused, and the topic not made."""
    each = counting("deleted")
    each.say(WORDS)
    each.run()
    each.admin.delete(["deleted-total-changelog"])
    with (
        pytest.raises(ChangelogLost, match="deleted-total-changelog of store total does not exist"),
        each.app.running() as run,
    ):
        until_stopped(run)  # all is counted already, so catching up would not wait for the stores
    assert "deleted-total-changelog" not in each.admin.topics()


def test_a_changelog_made_anew_is_noticed(counting: Callable[..., Counting]) -> None:
    """It has the right size and no records, and the store on this disk has taken in more."""
    each = counting("anew")
    each.say(WORDS)
    each.run()
    each.admin.delete(["anew-total-changelog"])
    each.admin.create([NewTopic("anew-total-changelog", 2, config={"cleanup.policy": "compact"})])
    with pytest.raises(ChangelogLost, match="anew-total-changelog of store total is empty"), each.app.running() as run:
        until_stopped(run)  # all is counted already, so catching up would not wait for the stores


def test_a_changelog_with_fewer_partitions(counting: Callable[..., Counting]) -> None:
    """Keys would find the state of others: the message names the topic, both numbers and the cure."""
    each = counting("fewer")
    each.say(WORDS)
    each.run()
    each.admin.delete(["fewer-total-changelog"])
    each.admin.create([NewTopic("fewer-total-changelog", 1, config={"cleanup.policy": "compact"})])
    with pytest.raises(TopologyError, match=r"fewer-total-changelog has 1 partition\(s\), and 2 are .*streams reset"):
        each.run()


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"cleanup.policy": "delete"}, "has cleanup.policy=delete, and compact is needed: state would be deleted"),
        ({"cleanup.policy": "compact,delete"}, "has cleanup.policy=compact,delete, and compact is needed"),
    ],
)
def test_a_changelog_that_would_forget(
    counting: Callable[..., Counting], config: dict[str, str], message: str, request: pytest.FixtureRequest
) -> None:
    """The policy of an internal topic is looked at before anything is written to it."""
    each = counting(f"policy{len(config['cleanup.policy'])}")
    each.admin.create([NewTopic(f"{each.name}-total-changelog", 2, config=config)])
    each.say(WORDS)
    with pytest.raises(TopologyError, match=message):
        each.run()


def test_a_source_topic_that_grew_under_a_store(counting: Callable[..., Counting]) -> None:
    """While it runs and at the next start alike: keys would leave their state behind."""
    each = counting("grown", metadata_max_age_ms=200)
    each.say(WORDS)
    with pytest.raises(TopologyError, match="task 0_2 is new, since grown-words has grown"), each.app.running() as run:
        run.catch_up(timeout_s=60)
        each.grow(each.words, 3)
        until_stopped(run)
    with pytest.raises(TopologyError, match=r"grown-total-changelog has 2 partition\(s\), and 3 are needed"):
        each.run()


def test_a_source_topic_that_grew_under_nothing(
    counting: Callable[..., Counting], streams_broker: RunningBroker, tmp_path: Path
) -> None:
    """Without state there is nothing to lose: the new partition is read as well."""
    quick = {"commit_interval_ms": 50, "metadata_max_age_ms": 200}
    app = App("growing-copy", broker=streams_broker.url, state_dir=str(tmp_path), **quick)
    copied = app.topic("growing-copied", key=str, value=str, partitions=1)
    app.stream(app.topic("growing-source", key=str, value=str, partitions=1)).to(copied)
    with app.running() as run:
        app.write("growing-source", [("a", "x")])
        counting("grower").grow("growing-source", 4)
        until_stopped(run, lambda: len(run.status().tasks) == 4)
        app.write("growing-source", [(f"k{number}", "x") for number in range(20)])
        until_stopped(run, lambda: run.status().processed == 21)
    assert len(list(app.read(copied))) == 21


def test_a_topic_that_grew_beside_what_it_is_joined_with(
    counting: Callable[..., Counting], streams_broker: RunningBroker, tmp_path: Path
) -> None:
    """Records of the new partition would meet no rows, in silence: an error at once, until both have one size again."""
    each = counting("grower")

    def joining() -> App:
        quick = {"commit_interval_ms": 50, "metadata_max_age_ms": 200, "topology_optimization": "all"}
        app = App("grown-join", broker=streams_broker.url, state_dir=str(tmp_path), **quick)
        prices = app.table(app.topic("grown-prices", key=str, value=int, partitions=2))
        orders = app.stream(app.topic("grown-orders", key=str, value=int, partitions=2))
        orders.join(prices, lambda order, price: order * price).to(
            app.topic("grown-paid", key=str, value=int, partitions=1)
        )
        return app

    app, sizes = joining(), r"same number of partitions, but they have: grown-orders 3, grown-prices 2"
    with pytest.raises(TopologyError, match=sizes), app.running() as run:
        app.write("grown-prices", [("tea", 2)])
        run.catch_up(timeout_s=60)
        each.grow("grown-orders", 3)
        until_stopped(run)
    with pytest.raises(TopologyError, match=sizes), joining().running() as run:
        until_stopped(run)
    each.grow("grown-prices", 3)
    app = joining()
    with app.running() as run:
        keys = [f"k{number}" for number in range(20)]
        app.write("grown-prices", [(key, 2) for key in keys])
        run.catch_up(timeout_s=60)
        app.write("grown-orders", [(key, 5) for key in keys])
        run.catch_up(timeout_s=60)
    assert {record.key: record.value for record in app.read("grown-paid")} == dict.fromkeys(keys, 10)


@pytest.mark.parametrize("partitions", [None, 2])
def test_a_source_topic_that_grew_before_a_repartition(
    counting: Callable[..., Counting], streams_broker: RunningBroker, tmp_path: Path, partitions: int | None
) -> None:
    """A repartition topic that takes its size from it does not fit any more, as in Kafka Streams; one with its own does."""
    each, name = counting("grower"), f"grown-before-{partitions}"
    quick = {"commit_interval_ms": 50, "metadata_max_age_ms": 200}
    app = App(name, broker=streams_broker.url, state_dir=str(tmp_path), **quick)
    source = app.topic(f"{name}-in", key=str, value=str, partitions=2)
    out = app.topic(f"{name}-out", key=str, value=str, partitions=1)
    app.stream(source).repartition(name="again", partitions=partitions).to(out)

    def grow(run: Any) -> None:
        app.write(source, [("a", "x")])
        run.catch_up(timeout_s=60)
        each.grow(source.name, 3)
        until_stopped(run, lambda: "0_2" in run.status().tasks)

    if partitions is None:
        unfit = rf"{name}-again-repartition has 2 partition\(s\), and 3 are needed"
        with pytest.raises(TopologyError, match=unfit), app.running() as run:
            grow(run)
        return
    with app.running() as run:
        grow(run)
        app.write(source, [(f"k{number}", "x") for number in range(20)])
        run.catch_up(timeout_s=60)
    assert len(list(app.read(out))) == 21


def test_a_source_topic_made_anew_with_fewer_partitions(counting: Callable[..., Counting]) -> None:
    """Keys of the partitions that are gone would go to tasks without their state: an error while it runs, too."""
    each = counting("shrunk", metadata_max_age_ms=200)
    each.say(WORDS)
    unfit = r"shrunk-total-changelog has 2 partition\(s\), and 1 are needed"
    with pytest.raises(TopologyError, match=unfit), each.app.running() as run:
        run.catch_up(timeout_s=60)
        each.admin.delete([each.words])
        each.admin.create([NewTopic(each.words, 1)])
        until_stopped(run)


def test_offsets_out_of_range_follow_the_rule_and_are_told(
    counting: Callable[..., Counting], caplog: pytest.LogCaptureFixture
) -> None:
    """What retention took is skipped with a warning, or refused with `auto_offset_reset="none"`."""
    # at least once could count again what a run that is refused had read of the other partition
    each = counting("gone", processing_guarantee="exactly_once_v2")
    each.say(WORDS)
    each.run()
    each.say(["lost"] * 50)
    partitions = [TopicPartition(each.words, number) for number in range(2)]
    each.admin.begin_delete_records(each._clients.consumer(group=None).end_offsets(partitions)).result()
    each.say(["kept", "lost"])  # one to each partition, so that there is something to read behind what is gone
    with pytest.raises(ClientError, match="gone-words-. .*auto_offset_reset is 'none'"):
        each.run(each.program(auto_offset_reset="none"))
    each.run()
    assert "any more: going on at" in caplog.text
    assert each.counts() == Counter([*WORDS, "kept", "lost"])


def test_a_transaction_timeout_below_the_commit_interval(counting: Callable[..., Counting]) -> None:
    """Refused before anything runs; and what the broker does not allow, at the start."""
    with pytest.raises(ConfigError, match=r"transaction_timeout_ms \(1,000\) must not be below commit_interval_ms"):
        App("slow", processing_guarantee="exactly_once_v2", commit_interval_ms=2_000, transaction_timeout_ms=1_000)
    each = counting("long", processing_guarantee="exactly_once_v2", transaction_timeout_ms=10_000_000)
    each.say(WORDS)
    with pytest.raises(ClientError, match="does not allow transactions of 10,000,000 ms: lower transaction_timeout_ms"):
        each.run()


def test_a_state_directory_on_a_full_disk(counting: Callable[..., Counting]) -> None:
    """The worker ends and says so; with room again, what the disk did not take comes from the changelog."""
    each = counting("full")
    each.say(WORDS)
    each.run()
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (32_768, before[1]))
    try:
        with pytest.raises(StateDiskFull, match="takes no more .*Nothing is lost"), each.app.running() as run:
            for _ in range(20):
                each.say([f"word-{number}" for number in range(500)])
                run.catch_up(timeout_s=60)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    each.run()
    said = each.app.read(each.words)
    assert each.counts() == Counter(record.key for record in said)
