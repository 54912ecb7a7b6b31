"""What an application's functions are told of restores and standbys."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from streams.clients.base import NewTopic
from streams.clients.memory import MemoryBroker, MemoryClients
from streams.config import StreamsConfig
from streams.dsl.builder import StreamsBuilder
from streams.record import TopicPartition
from streams.restore_events import RestoreEvent, RestoreStage, StandbyEvent
from streams.runtime.restore_progress import LoggedProgress
from streams.runtime.restore_told import RestoresTold
from streams.runtime.restorer import SilentListener
from streams.runtime.worker import Worker
from streams.topology.topology import Topology
from tests.streams.runtime.workers import GROUP, WORDS, caught_up, running, say, until, with_words, worker

CHANGELOG = f"{GROUP}-counts-changelog"


@pytest.fixture
def broker() -> MemoryBroker:
    return with_words()


def told(
    restores: Callable[[RestoreEvent], object], standbys: Callable[[StandbyEvent], object] = print
) -> RestoresTold:
    return RestoresTold([restores], [standbys], SilentListener())


def end_of(broker: MemoryBroker, partition: int) -> int:
    return broker.partition(TopicPartition(CHANGELOG, partition)).end


def test_a_restore_is_told_from_its_start_to_its_end(broker: MemoryBroker, tmp_path: Path) -> None:
    """On an empty disk, for the changelog of each task: where it begins and ends, and every batch in between."""
    with running(worker(broker, tmp_path / "1")):
        until(broker, lambda: caught_up(broker))
    events: list[RestoreEvent] = []
    with running(worker(broker, tmp_path / "2", told(events.append))) as (second,):
        until(broker, lambda: len(second.tasks) == 4 and not second.status().restoring)
    assert min(end_of(broker, 0), end_of(broker, 1)) > 0
    for number in (0, 1):
        partition, end = TopicPartition(CHANGELOG, number), end_of(broker, number)
        mine = [event for event in events if event.partition == partition]
        assert mine[0] == (RestoreStage.START, "counts", partition, 0, end, 0)
        assert mine[-1] == ("end", "counts", partition, end, end, end)
        assert {event.stage for event in mine[1:-1]} == {RestoreStage.BATCH}
        assert sum(event.records for event in mine[1:-1]) == end
        assert mine[-2].offset == end


def test_what_a_function_raises_ends_the_worker(broker: MemoryBroker, tmp_path: Path) -> None:
    """As Kafka's listeners do; the stores that were on their way are told to be suspended, and that is logged at most."""
    with running(worker(broker, tmp_path / "1")):
        until(broker, lambda: caught_up(broker))
    events: list[RestoreEvent] = []

    def refuse(event: RestoreEvent) -> None:
        events.append(event)
        if event.stage is not RestoreStage.START:
            raise LookupError(f"no {event.stage}")

    failing = worker(broker, tmp_path / "2", told(refuse))
    with pytest.raises(LookupError, match="no batch"):
        failing.run()
    suspended = [event for event in events if event.stage is RestoreStage.SUSPENDED]
    started = [event for event in events if event.stage is RestoreStage.START]
    assert sorted(event.partition for event in suspended) == sorted(event.partition for event in started) != []
    assert sum(event.records for event in suspended) == sum(event.offset for event in suspended) > 0
    with running(worker(broker, tmp_path / "2")) as (again,):  # nothing of the dead one is still open
        until(broker, lambda: len(again.tasks) == 4 and not again.status().restoring)


def test_standbys_are_told(broker: MemoryBroker, tmp_path: Path) -> None:
    """One that follows its changelog and is promoted when the other worker ends, and those that end with their worker."""
    events: list[StandbyEvent] = []
    settings = {"num_standby_replicas": 1, "poll_ms": 5}
    first = worker(broker, tmp_path / "1", told(print, events.append), **settings)
    with running(first):
        with running(worker(broker, tmp_path / "2", **settings)):
            until(broker, lambda: caught_up(broker) and bool(events))
            say(broker, WORDS)
            until(broker, lambda: caught_up(broker) and up_to_date(broker, list(events)))
        until(broker, lambda: len(first.tasks) == 4)
    mine = [event for event in events if event.partition == events[-1].partition]
    begun, *batches, ended = mine[max(at for at, event in enumerate(mine) if event.stage is RestoreStage.START) :]
    assert (begun.store, begun.end, begun.records, begun.reason) == ("counts", None, 0, None)
    assert begun.task == f"1_{begun.partition.partition}"
    assert {event.stage for event in batches} == {RestoreStage.BATCH}
    end = end_of(broker, begun.partition.partition)
    assert begun.offset + sum(event.records for event in batches) == batches[-1].offset == batches[-1].end == end
    assert ended == ("suspended", "counts", begun.partition, begun.task, end, end, 0, "promoted")


def up_to_date(broker: MemoryBroker, events: list[StandbyEvent]) -> bool:
    """Whether the standby that was heard of last has taken in a batch, and all there is."""
    last = events[-1]
    return last.stage is RestoreStage.BATCH and last.offset == end_of(broker, last.partition.partition)


def one_count(config: StreamsConfig) -> Topology:
    """One sub-topology over a topic of one partition: one task, so a second worker only ever gets its standby."""
    builder = StreamsBuilder()
    builder.stream("rides", key=str, value=str).group_by_key().count(name="counts")
    return builder.build(config)


def test_a_standby_that_ends_with_its_worker_has_migrated(tmp_path: Path) -> None:
    """What the function raises about it is logged: the worker ends well."""
    broker = MemoryBroker()
    broker.create(NewTopic("rides", 1))
    MemoryClients(broker).producer().send("rides", 0, [b"a", b"b"], [b"Astoria", b"Bronx"], [0, 0])
    events: list[StandbyEvent] = []

    def refuse(event: StandbyEvent) -> None:
        events.append(event)
        if event.stage is RestoreStage.SUSPENDED:
            raise LookupError("too late")

    settings = {"num_standby_replicas": 1, "poll_ms": 5, "topology": one_count}
    with running(worker(broker, tmp_path / "1", **settings)) as (first,):
        until(broker, lambda: len(first.tasks) == 1)
        second = worker(broker, tmp_path / "2", told(print, refuse), **settings)
        with running(second):
            until(broker, lambda: bool(events))
    assert second.error is None
    assert {event.reason for event in events if event.stage is RestoreStage.SUSPENDED} == {"migrated"}


def test_global_stores_are_told_for_every_partition(tmp_path: Path) -> None:
    """Those that hold something, before the first task starts."""
    broker = MemoryBroker()
    for name, partitions in (("zones", 3), ("rides", 1)):
        broker.create(NewTopic(name, partitions))
    producer = MemoryClients(broker).producer()
    producer.send("zones", 0, [b"a", b"b"], [b"Astoria", b"Bronx"], [0, 0])
    producer.send("zones", 2, [b"c"], [b"Corona"], [0])
    builder = StreamsBuilder()
    builder.global_table("zones", key=str, value=str, store="zones-here")
    builder.stream("rides", key=str, value=str).to("out")
    config = StreamsConfig.of("global", {"broker": "kafka://memory:1", "state_dir": str(tmp_path)})
    events: list[RestoreEvent] = []
    ready = threading.Event()
    work = Worker(
        builder.build(config),
        config,
        MemoryClients(broker),
        restore_progress=told(events.append),
        on_state=lambda *_: ready.set(),
    )
    with running(work):
        assert ready.wait(20)
    for number, end in ((0, 2), (2, 1)):
        partition = TopicPartition("zones", number)
        mine = [event for event in events if event.partition == partition]
        assert [mine[0], mine[-1]] == [
            ("start", "zones-here", partition, 0, end, 0),
            ("end", "zones-here", partition, end, end, end),
        ]
        assert sum(event.records for event in mine[1:-1]) == end
    assert {event.partition.partition for event in events} == {0, 2}


def test_a_log_says_that_a_task_has_left(caplog: pytest.LogCaptureFixture) -> None:
    """With what was restored until then, and the next restore of the same changelog begins anew."""
    shown, log = LoggedProgress(), TopicPartition("log", 0)
    with caplog.at_level(logging.INFO):
        shown.started("s", log, 0, 9)
        shown.progressed("s", log, 4, 4)
        shown.suspended("s", log, 4)
        shown.started("s", log, 4, 9)
        shown.ended("s", log, 5)
    assert [message.partition(" in ")[0] for message in caplog.messages] == [
        "restoring s: 9 offsets of log-0",
        "left s after 4 record(s) of log-0: its task goes elsewhere, or begins anew",
        "restoring s: 5 offsets of log-0",
        "restored s: 5 record(s) of log-0",
    ]
