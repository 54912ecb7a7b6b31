"""Workers over clients in memory: whole runs, from topics to topics."""

from __future__ import annotations

import re
import shutil
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from state import StateDirectory, StoreLocked
from streams import App
from streams.clients.base import GroupMetadata, NewTopic, OffsetAndMetadata
from streams.clients.memory import MemoryBroker, MemoryClients, MemoryConsumer
from streams.errors import (
    BrokerUnreachable,
    ChangelogLost,
    ClientError,
    DeserializationError,
    StopApplication,
    TopologyError,
)
from streams.record import Batch, TopicPartition
from streams.runtime.restorer import SilentListener
from streams.runtime.worker import Worker
from streams.runtime.worker_states import WorkerState
from streams.serdes import serde_for
from tests.streams.runtime.workers import GROUP, WORDS, Restores, caught_up, latest, running, say, until, worker


@pytest.fixture
def broker() -> MemoryBroker:
    broker = MemoryBroker()
    broker.create(NewTopic("words", 2))
    broker.create(NewTopic("counts", 2))
    return broker


def test_counts_words_and_commits(broker: MemoryBroker, tmp_path: Path) -> None:
    """From the first topic through the repartition topic to the last, and all offsets at the end."""
    say(broker, WORDS)
    work = worker(broker, tmp_path)
    with running(work):
        until(broker, lambda: caught_up(broker))
        assert work.state is WorkerState.RUNNING
        assert work.status().tasks == ("0_0", "0_1", "1_0", "1_1")
    assert latest(broker) == Counter(WORDS)
    assert work.state is WorkerState.NOT_RUNNING


def test_an_intact_state_directory_restores_nothing(broker: MemoryBroker, tmp_path: Path) -> None:
    """A second run goes on where the first stopped, without reading a changelog."""
    restores = Restores()
    for _ in range(2):
        say(broker, WORDS)
        with running(worker(broker, tmp_path, restores)):
            until(broker, lambda: caught_up(broker))
    assert restores.records == 0
    assert latest(broker) == Counter(WORDS * 2)


def test_a_deleted_state_directory_restores_everything(broker: MemoryBroker, tmp_path: Path) -> None:
    """The changelog has it all: the second run counts on as if nothing had happened."""
    restores = Restores()
    for _ in range(2):
        shutil.rmtree(tmp_path)
        say(broker, WORDS)
        with running(worker(broker, tmp_path, restores)):
            until(broker, lambda: caught_up(broker))
    assert restores.records > 0
    assert latest(broker) == Counter(WORDS * 2)


def test_two_workers_divide_the_tasks_and_one_takes_over(broker: MemoryBroker, tmp_path: Path) -> None:
    """Each has two of four tasks; when one stops, the other counts on with its state."""
    first, second = worker(broker, tmp_path / "1"), worker(broker, tmp_path / "2")
    with running(first):
        with running(second):
            until(broker, lambda: len(first.tasks) == len(second.tasks) == 2)
            say(broker, WORDS)
            until(broker, lambda: caught_up(broker))
        say(broker, WORDS)
        until(broker, lambda: caught_up(broker))
        assert len(first.tasks) == 4
    assert latest(broker) == Counter(WORDS * 2)


def test_two_workers_may_share_a_state_directory(broker: MemoryBroker, tmp_path: Path) -> None:
    """On one machine a task's directory passes from one worker to the other, locked by one at a time."""
    restores = Restores()
    with running(worker(broker, tmp_path, restores)):
        say(broker, WORDS)
        until(broker, lambda: caught_up(broker))
        second = worker(broker, tmp_path, restores)
        with running(second):
            until(broker, lambda: len(second.tasks) == 2)
            say(broker, WORDS)
            until(broker, lambda: caught_up(broker))
    assert restores.records == 0
    assert latest(broker) == Counter(WORDS * 2)


def test_an_unreadable_record_stops_the_worker(broker: MemoryBroker, tmp_path: Path) -> None:
    """By default: with an error naming topic, partition and offset, and nothing committed."""
    MemoryClients(broker).producer().send("words", 1, [None], [b"\xff\xfe"], [0])
    work = worker(broker, tmp_path)
    with pytest.raises(DeserializationError, match=r"words\[1\]@0"):
        work.run()
    assert work.state is WorkerState.ERROR
    assert broker.groups[GROUP].offsets == {}


def test_an_unreadable_record_is_skipped_when_told(broker: MemoryBroker, tmp_path: Path) -> None:
    """on_error=continue counts it and goes on behind it."""
    MemoryClients(broker).producer().send("words", 1, [None], [b"\xff\xfe"], [0])
    say(broker, WORDS)
    work = worker(broker, tmp_path, on_error="continue")
    with running(work):
        until(broker, lambda: caught_up(broker))
        assert work.status().skipped == 1
    assert latest(broker) == Counter(WORDS)


def test_a_lost_session_drops_the_tasks_and_joins_again(broker: MemoryBroker, tmp_path: Path) -> None:
    """Nothing is committed for the lost partitions; the worker comes back and counts on."""
    say(broker, WORDS)
    work = worker(broker, tmp_path)
    with running(work):
        until(broker, lambda: caught_up(broker))
        work._consumer.expire()
        say(broker, WORDS)
        until(broker, lambda: caught_up(broker))
    assert latest(broker) == Counter(WORDS * 2)


def test_a_missing_source_topic_is_named(tmp_path: Path) -> None:
    """Before anything is joined or made."""
    broker = MemoryBroker()
    with pytest.raises(ClientError, match="'words' does not exist"):
        worker(broker, tmp_path).run()
    assert broker.topics() == []


def test_an_internal_topic_with_other_partitions_is_an_error(broker: MemoryBroker, tmp_path: Path) -> None:
    """Keys would go to the wrong stores: the message names the topic and the cure."""
    broker.create(NewTopic(f"{GROUP}-counts-changelog", 3))
    with pytest.raises(TopologyError, match="words-app-counts-changelog has 3 partition.*2 are needed.*Reset"):
        worker(broker, tmp_path).run()


def exactly_once(broker: MemoryBroker, state_dir: Path, progress: Any = None) -> Worker:
    """A worker without record caches, so that each word gives one result."""
    settings = {"processing_guarantee": "exactly_once_v2", "statestore_cache_max_bytes": 0}
    return worker(broker, state_dir, progress, **settings)


def committed_counts(broker: MemoryBroker) -> Counter[tuple[str, int]]:
    """How often each result stands in the output, transactions without a commit left out."""
    reader = MemoryClients(broker).consumer(group=None, read_committed=True)
    reader.assign([TopicPartition("counts", number) for number in range(2)])
    found: Counter[tuple[str, int]] = Counter()
    while batches := reader.poll(0):
        for columns in (batch.columns() for batch in batches):
            numbers = map(serde_for(int).deserialize, columns.values)
            found.update(zip((key.decode() for key in columns.keys), numbers, strict=True))
    return found


def once(words: list[str]) -> Counter[tuple[str, int]]:
    """What counting each word once gives: 1, 2, 3 ... for each."""
    return Counter((word, number) for word, times in Counter(words).items() for number in range(1, times + 1))


def until_counted(broker: MemoryBroker, words: list[str]) -> None:
    """Wait until each word counted once, and once only."""
    expected = once(words)
    until(broker, lambda: committed_counts(broker) == expected)


def test_exactly_once_counts_each_word_once_over_restarts(broker: MemoryBroker, tmp_path: Path) -> None:
    """Results are there when committed, and a second run in the same directory restores nothing."""
    restores = Restores()
    for round_ in (1, 2):
        say(broker, WORDS)
        with running(exactly_once(broker, tmp_path, restores)):
            until_counted(broker, WORDS * round_)
    assert restores.records == 0


def test_a_fenced_producer_is_replaced_and_nothing_counts_twice(broker: MemoryBroker, tmp_path: Path) -> None:
    """Another producer took the id: the worker undoes what was not committed, and counts it again, without a restart."""
    work = exactly_once(broker, tmp_path)
    with running(work):
        say(broker, WORDS)
        until_counted(broker, WORDS)
        for round_ in range(2, 6):
            name = next(iter(broker.transactions._current))
            say(broker, WORDS)
            MemoryClients(broker).producer(transactional_id=name)
            until_counted(broker, WORDS * round_)
        assert work.state is WorkerState.RUNNING


def test_a_lost_session_undoes_the_transaction(broker: MemoryBroker, tmp_path: Path) -> None:
    """A member that dropped out of its group commits nothing of the old generation, joins anew, and counts on."""
    work = exactly_once(broker, tmp_path)
    with running(work):
        until(broker, lambda: len(work.tasks) == 4)
        for round_ in range(1, 5):
            say(broker, WORDS)
            work._consumer.expire()
            until_counted(broker, WORDS * round_)


def test_workers_come_and_go_and_every_word_counts_once(broker: MemoryBroker, tmp_path: Path) -> None:
    """Tasks are handed over between transactions."""
    with running(exactly_once(broker, tmp_path / "1")):
        say(broker, WORDS)
        second = exactly_once(broker, tmp_path / "2")
        with running(second):
            until(broker, lambda: len(second.tasks) == 2)
            say(broker, WORDS)
            until_counted(broker, WORDS * 2)
        say(broker, WORDS)
        until_counted(broker, WORDS * 3)


@pytest.mark.parametrize("reset", ["latest", "none"])
def test_a_repartition_topic_is_read_from_its_beginning(broker: MemoryBroker, tmp_path: Path, reset: str) -> None:
    """A worker stops when what it wrote there is committed upstream and not read yet: the next one loses none of it."""
    with running(worker(broker, tmp_path)) as (first,):
        until(broker, lambda: len(first.tasks) == 4)
    between = f"{GROUP}-by-word-repartition"
    say(broker, WORDS)
    broker.groups[GROUP].offsets |= {
        TopicPartition("words", number): OffsetAndMetadata(len(WORDS) // 2) for number in range(2)
    }
    for at, word in enumerate(WORDS):
        broker.append(TopicPartition(between, 0), Batch([word.encode()], [word.encode()], [1_000 + at]))
    with running(worker(broker, tmp_path, auto_offset_reset=reset)):
        until(broker, lambda: caught_up(broker))
    assert latest(broker) == Counter(WORDS)


def test_repartition_topics_are_purged_after_commits(broker: MemoryBroker, tmp_path: Path) -> None:
    """What was counted and committed is deleted from the topic between the sub-topologies."""
    say(broker, WORDS)
    with running(worker(broker, tmp_path, repartition_purge_interval_ms=1)):
        until(broker, lambda: caught_up(broker))
        until(broker, lambda: all(part.start == part.end for part in broker.partitions(f"{GROUP}-by-word-repartition")))
    assert latest(broker) == Counter(WORDS)


def test_timers_run_on_the_processing_thread(broker: MemoryBroker, tmp_path: Path) -> None:
    """A function by the clock sees the stores, and keeps running while nothing arrives."""
    seen = []

    class Tick:
        """Every millisecond."""

        def after(self, time_ms: int) -> int:
            return time_ms + 1

        def function(self) -> None:
            seen.append((threading.current_thread(), len(work.stores("counts"))))
            with broker.changed:
                broker.changed.notify_all()

    work = worker(broker, tmp_path, timers=[Tick()])
    with running(work):
        until(broker, lambda: any(stores == 2 for _, stores in seen))
    assert {thread for thread, _ in seen} != {threading.current_thread()}
    assert len({thread for thread, _ in seen}) == 1


class CountedPolls(MemoryConsumer):
    """Counts how often it is asked for records."""

    polls = 0

    def poll(self, timeout_s: float) -> Any:
        type(self).polls += 1
        return super().poll(timeout_s)


class Counting(MemoryClients):
    """Has consumers that count."""

    def consumer(self, *, group: str | None, read_committed: bool = False, returns_as: str | None = None) -> Any:
        del returns_as
        return CountedPolls(self.broker, group, read_committed=read_committed)


def test_a_timer_that_is_due_waits_for_the_worker(broker: MemoryBroker, tmp_path: Path) -> None:
    """While the group forms, it neither fires nor keeps the worker from resting; once all have joined, it fires."""
    fired = []

    class Tick:
        """Every millisecond."""

        def after(self, time_ms: int) -> int:
            return time_ms + 1

        def function(self) -> None:
            fired.append(work.state)
            with broker.changed:
                broker.changed.notify_all()

    slow = MemoryClients(broker).consumer(group=GROUP)
    slow.subscribe(["words"], None, None)  # it never joins
    work = worker(broker, tmp_path, timers=[Tick()], clients=Counting(broker))
    with running(work):
        until(broker, lambda: work.state is WorkerState.REBALANCING)
        before = CountedPolls.polls
        time.sleep(0.3)
        assert (CountedPolls.polls - before < 50, fired) == (True, [])
        slow.close()
        until(broker, lambda: bool(fired))
    assert set(fired) == {WorkerState.RUNNING}


@pytest.mark.parametrize("source", ["words", re.compile("w.*")])
def test_a_worker_runs_when_its_group_has_given_it_something(broker: MemoryBroker, tmp_path: Path, source: Any) -> None:
    """Whether its topics are named or match a pattern; where nothing matches there is nothing to wait for."""
    app = App(GROUP, broker="kafka://memory:1", state_dir=str(tmp_path))
    app.stream(source, key=str, value=str).for_each(lambda _key, _word: None)
    slow = MemoryClients(broker).consumer(group=GROUP)
    slow.subscribe(["words"], None, None)  # it never joins
    work = Worker(app.build(), app.config, Counting(broker), restore_progress=SilentListener())
    before = CountedPolls.polls
    with running(work):
        until(broker, lambda: CountedPolls.polls > before)
        work.commit_soon()  # so that it looks around
        time.sleep(0.2)
        assert work.state is WorkerState.REBALANCING
        slow.close()
        work.commit_soon()
        until(broker, lambda: work.state is WorkerState.RUNNING)
    nothing = App("nothing", broker="kafka://memory:1", state_dir=str(tmp_path))
    nothing.stream(re.compile("no-.*"), key=str, value=str).for_each(lambda _key, _word: None)
    work = Worker(nothing.build(), nothing.config, MemoryClients(broker), restore_progress=SilentListener())
    with running(work):
        until(broker, lambda: work.commit_soon() or work.state is WorkerState.RUNNING)


def test_a_directory_that_stays_locked_is_an_error(broker: MemoryBroker, tmp_path: Path) -> None:
    """Another process that does not let go is named, after the time that was configured."""
    with (
        StateDirectory(tmp_path, GROUP).open_task("1_0", owner="somebody else"),
        pytest.raises(StoreLocked, match="belongs to somebody else"),
    ):
        worker(broker, tmp_path, task_timeout_ms=50).run()


@pytest.mark.parametrize("records", [1, 50])
def test_a_store_of_a_changelog_made_anew_is_set_aside(broker: MemoryBroker, tmp_path: Path, records: int) -> None:
    """Whether it is ahead of it or the new one has grown past it: it gets another name, and a new one follows the changelog.

    Grown past, it is as after a reset on another machine, where the application has run on since.
    """
    say(broker, WORDS)
    with running(worker(broker, tmp_path)):
        until(broker, lambda: caught_up(broker))
    changelog = f"{GROUP}-counts-changelog"
    broker.delete(changelog)
    broker.create(NewTopic(changelog, 2, config={"cleanup.policy": "compact"}))
    for partition in range(2):
        ones = [serde_for(int).serialize(1)] * records
        MemoryClients(broker).producer().send(changelog, partition, [b"old"] * records, ones, [0] * records)
    say(broker, ["be"])
    with running(worker(broker, tmp_path)):
        until(broker, lambda: caught_up(broker))
    assert latest(broker)["be"] == 1
    assert list(tmp_path.glob("*/1_*/rocksdb/*corrupt-1"))


@pytest.mark.parametrize("store", ["rocksDB", "in_memory"])
def test_a_changelog_made_anew_during_a_restore_is_restored_again(
    broker: MemoryBroker, tmp_path: Path, store: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The log has lost its end while it was read: what was read is let go, and the tasks begin with what is there."""
    changelog, one = f"{GROUP}-counts-changelog", serde_for(int).serialize(1)

    def make(*keys: bytes) -> None:
        broker.delete(changelog)
        broker.create(NewTopic(changelog, 2, config={"cleanup.policy": "compact"}))
        for partition in range(2):
            broker.append(TopicPartition(changelog, partition), Batch([*keys], [one] * len(keys), [0] * len(keys)))

    class Meddler(Restores):
        meddled = False

        def progressed(self, store: str, partition: TopicPartition, position: int, records: int) -> None:
            if not self.meddled:
                self.meddled = True
                make(b"be")

    make(*(b"%d" % number for number in range(1_500)))
    say(broker, ["be"])
    with running(worker(broker, tmp_path, Meddler(), default_dsl_store=store)) as (work,):
        until(broker, lambda: caught_up(broker) or work.error is not None)
    assert latest(broker) == {"be": 2}
    assert "restored from the beginning" in caplog.text


class Outage(MemoryClients):
    """The broker answers no commit once it is `away`."""

    away = False

    def consumer(self, **settings: Any) -> MemoryConsumer:
        made = super().consumer(**settings)
        commit = made.commit

        def commit_unless_away(offsets: Any) -> None:
            if self.away:
                raise BrokerUnreachable("the broker is away")
            commit(offsets)

        made.commit = commit_unless_away
        return made


def test_all_stop_though_the_broker_is_away(
    broker: MemoryBroker, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A worker that was told to stop with all does not begin anew because its last commit fails."""
    say(broker, WORDS)
    clients = Outage(broker)
    work = worker(broker, tmp_path, clients=clients, commit_interval_ms=60_000)

    def have_all_stop() -> None:
        until(broker, lambda: work.processed == 2 * len(WORDS))
        clients.away = True
        work._parts.tasks.group.all_stop = True
        work._wake()

    other = threading.Thread(target=have_all_stop)
    other.start()
    with pytest.raises(StopApplication, match="another worker of the application ended"):
        work.run()
    other.join()
    assert work.state is WorkerState.ERROR
    assert "stopping without a last commit" in caplog.text
    assert not broker.groups[GROUP].members


def test_a_changelog_that_is_gone_stops_the_worker(broker: MemoryBroker, tmp_path: Path) -> None:
    """With the store on this disk, to make the topic anew would be to lose the state in silence."""
    say(broker, WORDS)
    with running(worker(broker, tmp_path)):
        until(broker, lambda: caught_up(broker))
    broker.delete(f"{GROUP}-counts-changelog")
    with pytest.raises(ChangelogLost, match="does not exist, and the store lies on this disk"):
        worker(broker, tmp_path).run()


def test_an_open_transaction_of_a_last_owner_holds_up_its_task_alone(broker: MemoryBroker, tmp_path: Path) -> None:
    """Its offsets are not known before the transaction ends; the other tasks process and commit meanwhile."""
    last_owner = MemoryClients(broker).producer(transactional_id="gone")
    last_owner.begin()
    last_owner.send_offsets({TopicPartition("words", 0): OffsetAndMetadata(1)}, GroupMetadata(GROUP))
    say(broker, ["lost", "b", "a", "b"])
    work = worker(broker, tmp_path)
    with running(work):
        until(broker, lambda: latest(broker) == {"b": 2})
        until(broker, lambda: TopicPartition("words", 1) in broker.groups[GROUP].offsets)
        assert work.state is WorkerState.REBALANCING
        last_owner.commit_transaction()
        until(broker, lambda: latest(broker) == {"b": 2, "a": 1})
        until(broker, lambda: work.state is WorkerState.RUNNING)


class ToldAtTheEnd(MemoryClients):
    """Has its worker stopped by somebody in the middle of its end, which takes a moment."""

    worker: Worker
    given_up = False

    def consumer(self, **settings: Any) -> MemoryConsumer:
        made = super().consumer(**settings)
        if settings["group"]:
            vars(made)["close"] = lambda: (self.worker.stop(), time.sleep(0.1), MemoryConsumer.close(made))
        return made

    def give_up(self) -> None:
        self.given_up = True


def test_what_is_being_let_go_is_not_given_up(broker: MemoryBroker, tmp_path: Path) -> None:
    """Who is told to stop while it leaves the group for another reason still takes its leave of the broker."""
    say(broker, WORDS)
    clients = ToldAtTheEnd(broker)
    clients.worker = worker(broker, tmp_path, clients=clients)
    clients.producer().send("words", 0, [None], [b"\xff"], [1])
    with pytest.raises(DeserializationError):
        clients.worker.run()
    assert (clients.worker.state, clients.given_up) == (WorkerState.ERROR, False)
