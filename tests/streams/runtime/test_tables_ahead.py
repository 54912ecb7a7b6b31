"""Agents with tables beside the worker's loop: what they change counts with their record, or not at all."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from streams import App, StreamsError
from streams.clients.base import NewTopic
from streams.clients.memory import MemoryBroker, MemoryClients
from streams.record import TopicPartition
from tests.streams.runtime.test_running_ahead import (
    PATIENCE_S,
    QUICK,
    SLOW,
    Gate,
    committed,
    filled,
    results,
    running,
    until_committed,
)

GUARANTEES = pytest.mark.parametrize("guarantee", ["at_least_once", "exactly_once_v2"])
FORMS = pytest.mark.parametrize("form", ["record", "stream"])


def number(value: int) -> bytes:
    return value.to_bytes(8, "big")


@pytest.fixture
def broker() -> MemoryBroker:
    return filled([number(value) for value in (1, 2, 3)])


def make(state: Path, guarantee: str = "exactly_once_v2") -> App:
    return App(
        "ahead",
        broker="kafka://memory:1",
        state_dir=str(state),
        commit_interval_ms=10,
        processing_guarantee=guarantee,
    )


def summing(app: App, form: str, gate: Gate) -> Any:
    """The table of sums by key; each record is added in two halves, with a wait between them. What comes out is the sum so far."""
    slow, out = app.topic("slow", key=str, value=int), app.topic("out", key=str, value=int)
    sums = app.table("sums", key=str, value=int, default=int)
    minutes = app.table("minutes", key=str, value=int, default=int).tumbling("1 minute")

    async def add(key: str, value: int) -> int:
        sums[key] += value - 1
        minutes[key] += 1
        await gate.passed()
        sums[key] += 1
        return sums[key]

    if form == "record":

        @app.agent(slow, to=out, concurrency=3, tables=[sums, minutes])
        async def one(key: str, value: int) -> int:
            return await add(key, value)

    else:

        @app.agent(slow, to=out, tables=[sums, minutes])
        async def each(stream) -> AsyncIterator[int]:
            async for key, value in stream.items():
                yield await add(key, value)

    return sums


def rows(broker: MemoryBroker, topic: str) -> dict[bytes | None, bytes | None]:
    return {record.key: record.value for record in broker.records(topic)}


@FORMS
@GUARANTEES
def test_others_go_on_and_commit_nothing_of_it(broker: MemoryBroker, tmp_path: Path, form: str, guarantee: str) -> None:
    """While an agent with a table waits, another topic is committed, and neither offset nor table nor result is."""
    app, gate = make(tmp_path, guarantee), Gate()
    summing(app, form, gate)
    app.process(app.topic("quick", key=str, value=int))(lambda _value: None)
    with running(app, broker) as worker:
        until_committed(broker, QUICK, 3)
        assert (committed(broker, SLOW), results(broker)) == (0, [])
        assert not broker.records("ahead-sums-changelog")
        assert worker.inquiries.ask(lambda: [list(store.all()) for store in worker.stores("sums")]) == [[]]
        gate.open.set()
        until_committed(broker, SLOW, 3)
    assert results(broker) == [number(1), number(2), number(4)]
    assert rows(broker, "ahead-sums-changelog") == {b"a": number(4), b"b": number(2)}
    assert sorted(rows(broker, "ahead-minutes-changelog").values()) == [number(1), number(2)]


@FORMS
@GUARANTEES
def test_what_is_given_back_is_done_anew(broker: MemoryBroker, tmp_path: Path, form: str, guarantee: str) -> None:
    """A worker that stops in the middle leaves no half of a record; the next one counts each once."""
    app, gate = make(tmp_path / "first", guarantee), Gate()
    summing(app, form, gate)
    app.process(app.topic("quick", key=str, value=int))(lambda _value: None)
    with running(app, broker):
        until_committed(broker, QUICK, 3)
    assert not broker.records("ahead-sums-changelog")
    for folder in ("first", "second"):  # with its state, and from the changelog alone
        app = make(tmp_path / folder, guarantee)
        gate.open.set()
        summing(app, form, gate)
        with running(app, broker):
            until_committed(broker, SLOW, 3)
    assert results(broker) == [number(1), number(2), number(4)]
    assert rows(broker, "ahead-sums-changelog") == {b"a": number(4), b"b": number(2)}


def test_agents_share_a_table(broker: MemoryBroker, tmp_path: Path) -> None:
    """Two on one topic and one on another, all adding to the same keys between waits: nothing is lost."""
    producer = MemoryClients(broker).producer()
    for topic in ("slow", "quick"):
        keys = [b"%d" % (n % 5) for n in range(300)]
        producer.send(topic, 0, keys, [number(1)] * 300, list(range(10, 310)))
    app = make(tmp_path)
    sums = app.table("sums", key=str, value=int, default=int)

    async def add(key: str, value: object) -> None:
        del value
        sums[key] += 1
        await asyncio.sleep(0.0001)
        sums["all"] += 1

    for topic, name in (("slow", "one"), ("slow", "two"), ("quick", "three")):

        async def agent(key: str, value: bytes) -> None:
            await add(key, value)

        agent.__name__ = agent.__qualname__ = name
        app.agent(app.topic(topic, key=str, value=bytes), concurrency=4, tables=[sums])(agent)
    with running(app, broker):
        until_committed(broker, SLOW, 303)
        until_committed(broker, QUICK, 303)
    found = rows(broker, "ahead-sums-changelog")
    assert found[b"all"] == number(909)
    assert [found[b"%d" % n] for n in range(5)] == [number(180)] * 5
    assert (found[b"a"], found[b"b"]) == (number(6), number(3))


def test_an_earlier_record_that_comes_meanwhile_waits(broker: MemoryBroker, tmp_path: Path) -> None:
    """What an agent was given is processed as a whole, whatever has arrived in another topic of its task since."""
    broker.create(NewTopic("late", 1))
    app, gate = make(tmp_path), Gate()
    sums = summing(app, "record", gate)
    seen: list[int] = []

    @app.process(app.topic("late", key=str, value=bytes), tables=[sums])
    def look(key: str, value: bytes) -> None:
        del value
        seen.append(sums[key])

    app.process(app.topic("quick", key=str, value=int))(lambda _value: None)
    with running(app, broker):
        until_committed(broker, QUICK, 3)
        MemoryClients(broker).producer().send("late", 0, [b"a"], [b"x"], [0])
        gate.open.set()
        until_committed(broker, SLOW, 3)
        until_committed(broker, TopicPartition("late", 0), 1)
    assert seen == [4]


def test_a_table_after_its_record(broker: MemoryBroker, tmp_path: Path) -> None:
    """What an agent has begun and not awaited cannot change a table any more: an error says so, and nothing is lost."""
    app, gate = make(tmp_path), Gate()
    sums = app.table("sums", key=str, value=int, default=int)
    background: list[asyncio.Task[None]] = []

    async def later(key: str) -> None:
        await gate.passed()
        sums[key] += 100

    @app.agent(app.topic("slow", key=str, value=bytes), tables=[sums])
    async def forgetful(key: str, value: bytes) -> None:
        del value
        background.append(asyncio.create_task(later(key)))
        sums[key] += 1
        await asyncio.sleep(0)

    with running(app, broker):
        until_committed(broker, SLOW, 3)
        gate.open.set()
        for _ in range(int(PATIENCE_S / 0.01)):
            if len(background) == 3 and all(task.done() for task in background):
                break
            gate.open.wait(0.01)
            asyncio.run(asyncio.sleep(0.01))
        problems = [task.exception() for task in background]
    assert all(isinstance(problem, StreamsError) for problem in problems)
    assert "'sums' was used for a record that is done" in str(problems[0])
    assert rows(broker, "ahead-sums-changelog") == {b"a": number(2), b"b": number(1)}
