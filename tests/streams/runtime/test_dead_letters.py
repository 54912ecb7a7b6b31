"""Dead letters and retries: what was read goes to the topic byte by byte, with Kafka's headers, inside the commit."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import msgspec
import pytest

from streams import App, ConfigError, FixedKeyProcessor, PunctuationType, Record, TopologyError, dead_letter, retry
from streams.errors import ProcessingError, RecordError
from streams.pytest_plugin import RunningBroker
from streams.runtime.dead_letters import EXCEPTION, MESSAGE, OFFSET, PARTITION, STACKTRACE, TOPIC
from streams.testing import TopologyTestDriver

DLQ = "rides.dlq"


class Ride(msgspec.Struct):
    """A ride."""

    fare: float


def checked(ride: Ride) -> Ride:
    """Raises for a ride that nobody pays for."""
    if ride.fare < 0:
        raise ValueError(f"a fare of {ride.fare}")
    return ride


def rides(**options: Any) -> tuple[App, Any]:
    """An application, and its stream of rides."""
    app = App("letters", broker="kafka://nowhere:1", **options)
    return app, app.stream(app.topic("rides", key=str, value=Ride))


def letters(driver: TopologyTestDriver) -> list[Record]:
    """All dead letters, in bytes."""
    return driver.output(DLQ, key=bytes, value=bytes).read()


def test_one_line_for_the_application() -> None:
    """What cannot be read and what user code refuses goes there as it came; the rest goes on."""
    app, stream = rides(on_error=dead_letter(DLQ))
    stream.map_values(checked).to("good")
    with TopologyTestDriver(app) as driver:
        driver.pipe("rides", b"1", b"{", 1_000, headers=(("origin", b"csv"),))
        driver.pipe("rides", b"2", b'{"fare": -1.0}', 2_000)
        driver.pipe("rides", b"3", b'{"fare": 1.0}', 3_000)
        assert driver.output("good", key=str, value=Ride).read_values() == [Ride(1.0)]
        unreadable, refused = letters(driver)
    assert (unreadable.key, unreadable.value, unreadable.timestamp) == (b"1", b"{", 1_000)
    assert unreadable.headers[0] == ("origin", b"csv")
    assert (refused.key, refused.value, refused.timestamp) == (b"2", b'{"fare": -1.0}', 2_000)
    found = dict(refused.headers)
    assert found.keys() == {EXCEPTION, MESSAGE, STACKTRACE, TOPIC, PARTITION, OFFSET}
    assert (found[EXCEPTION], found[MESSAGE]) == (b"ValueError: a fare of -1.0", b"a fare of -1.0")
    assert (found[TOPIC], found[PARTITION], found[OFFSET]) == (b"rides", b"0", b"1")
    assert b"in checked" in found[STACKTRACE]


def test_one_line_for_a_topic_and_for_a_step() -> None:
    """The nearest policy counts: elsewhere the application still fails."""
    app = App("letters", broker="kafka://nowhere:1")
    stream = app.stream(app.topic("rides", key=str, value=Ride, on_error=dead_letter(DLQ)))
    priced = stream.map_values(checked, name="check").on_error("continue")
    priced.map_values(lambda ride: 1 / ride.fare, value=float, name="divide").to("good")
    with TopologyTestDriver(app) as driver:
        driver.pipe("rides", b"1", b"?", 1)
        driver.pipe("rides", b"2", b'{"fare": -1.0}', 2)
        driver.pipe("rides", b"3", b'{"fare": 2.0}', 3)
        assert [letter.value for letter in letters(driver)] == [b"?"]
        assert driver.output("good").read_values() == [0.5]
        with pytest.raises(ProcessingError, match="divide"):
            driver.pipe("rides", b"4", b'{"fare": 0.0}', 4)


@pytest.mark.parametrize("many", [False, True])
def test_decorators_take_it_too(*, many: bool) -> None:
    """Processors, agents and aggregates of an App."""
    app = App("letters", broker="kafka://nowhere:1")
    topic = app.topic("rides", key=str, value=Ride)

    if many:

        @app.agent(topic, to="good", on_error=dead_letter(DLQ))
        async def check_later(ride: Ride) -> Ride:
            return checked(ride)

    else:

        @app.process(topic, to="good", on_error=dead_letter(DLQ))
        def check(ride: Ride) -> Ride:
            return checked(ride)

    with TopologyTestDriver(app) as driver:
        driver.pipe("rides", b"2", b'{"fare": -1.0}', 2)
        assert [letter.value for letter in letters(driver)] == [b'{"fare": -1.0}']


def test_an_aggregates_letter_leaves_the_total_as_it_was() -> None:
    """The value that the function raised for does not count."""
    app = App("letters", broker="kafka://nowhere:1", statestore_cache_max_bytes=0)

    @app.aggregate(app.topic("rides", key=str, value=Ride), to="totals", initial=float, on_error=dead_letter(DLQ))
    def total(so_far: float, ride: Ride) -> float:
        return so_far + checked(ride).fare

    with TopologyTestDriver(app) as driver:
        for fare in (2.0, -1.0, 3.0):
            driver.pipe("rides", b"a", msgspec.json.encode(Ride(fare)), 2)
        assert driver.output("totals").read_values() == [2.0, 5.0]
        assert [letter.value for letter in letters(driver)] == [b'{"fare":-1.0}']


def test_a_result_that_cannot_be_written_is_buried_as_its_input() -> None:
    """As in Kafka: the letter is what was read, not what was made of it."""
    app, stream = rides()
    stream.map_values(lambda _ride: object()).to(app.topic("good", key=str, value=float, on_error=dead_letter(DLQ)))
    with TopologyTestDriver(app) as driver:
        driver.pipe("rides", b"1", b'{"fare": 1.0}', 1)
        (letter,) = letters(driver)
    assert letter.value == b'{"fare": 1.0}'


def test_a_function_may_decide() -> None:
    """It is given the error, with its cause, and the record as it was at that step."""
    app, stream = rides()
    seen: list[tuple[RecordError, Record]] = []

    def decide(error: RecordError, record: Record) -> Any:
        seen.append((error, record))
        return dead_letter(DLQ) if record.value.fare < -5 else "continue"

    stream.map_values(checked).on_error(decide).to("good")
    with TopologyTestDriver(app) as driver:
        driver.pipe("rides", b"1", b'{"fare": -1.0}', 1)
        driver.pipe("rides", b"1", b'{"fare": -9.0}', 1)
        assert [letter.value for letter in letters(driver)] == [b'{"fare": -9.0}']
    assert [record.value for _, record in seen] == [Ride(-1.0), Ride(-9.0)]
    assert isinstance(seen[0][0].__cause__, ValueError)


def test_a_function_that_decides_nothing_is_named() -> None:
    """The application stops, rather than guess."""

    def undecided(_error: RecordError, _record: Record) -> Any:
        return None

    app, stream = rides()
    stream.map_values(checked).on_error(undecided).to("good")
    with TopologyTestDriver(app) as driver, pytest.raises(ConfigError, match="undecided returns"):
        driver.pipe("rides", b"1", b'{"fare": -1.0}', 1)


def test_a_punctuators_letter_has_no_place() -> None:
    """There is no input record: key and value are empty, and so are the headers of its place."""

    class Ticking(FixedKeyProcessor):
        def init(self, context: Any) -> None:
            super().init(context)
            context.schedule("1 s", kind=PunctuationType.WALL_CLOCK_TIME, callback=self.tick)

        def tick(self, _time_ms: int) -> None:
            raise ValueError("tock")

        def process(self, record: Record) -> None:
            self.context.forward(record)

    app, stream = rides(on_error=dead_letter(DLQ))
    stream.process_values(Ticking).to("good")
    with TopologyTestDriver(app) as driver:
        driver.advance_wall_clock("1 s")
        (letter,) = letters(driver)
    assert (letter.key, letter.value) == (None, None)
    assert dict(letter.headers).keys() == {EXCEPTION, MESSAGE, STACKTRACE}


class Flaky:
    """Raises TimeoutError so many times, then answers."""

    def __init__(self, failures: int) -> None:
        self.calls = 0
        self._failures = failures

    def __call__(self, ride: Ride) -> Ride:
        self.calls += 1
        if self.calls <= self._failures:
            raise TimeoutError("no answer")
        return ride


def test_a_retriable_error_is_tried_again() -> None:
    """As often as it was told, without anything of it to be seen in the results."""
    app, stream = rides()
    flaky = Flaky(3)
    stream.map_values(lambda ride: flaky(ride), value=Ride).on_error(retry(TimeoutError, times=3)).to("good")
    with TopologyTestDriver(app) as driver:
        driver.pipe("rides", b"1", b'{"fare": 1.0}', 1)
        assert driver.output("good", value=Ride).read_values() == [Ride(1.0)]
    assert flaky.calls == 4


def test_after_the_last_attempt_the_decision_counts() -> None:
    """Other errors are not tried again."""
    app, stream = rides()
    flaky = Flaky(100)
    policy = retry(TimeoutError, times=2, then=dead_letter(DLQ))
    stream.map_values(lambda ride: flaky(checked(ride))).on_error(policy).to("good")
    with TopologyTestDriver(app) as driver:
        driver.pipe("rides", b"1", b'{"fare": 1.0}', 1)
        driver.pipe("rides", b"2", b'{"fare": -1.0}', 1)
        assert [letter.key for letter in letters(driver)] == [b"1", b"2"]
    assert flaky.calls == 3


def test_retries_longer_than_the_poll_interval_are_refused() -> None:
    """The group would give the task away meanwhile."""
    app, stream = rides(max_poll_interval_ms=1_000)
    stream.map_values(checked, name="check").on_error(retry(OSError, first="1 s", longest="1 s")).to("good")
    with pytest.raises(ConfigError, match="check: its retries wait up to 5,000 ms"):
        TopologyTestDriver(app)


def test_a_letter_has_the_time_of_the_record_in_hand() -> None:
    """That of an extractor, here; Kafka's has the time that its context has by then, and the bytes that were read."""
    app = App("letters", broker="kafka://nowhere:1", on_error=dead_letter(DLQ))
    app.stream("rides", key=str, value=Ride, timestamp=lambda record, _time: record.timestamp + 500).map_values(checked)
    with TopologyTestDriver(app) as driver:
        driver.pipe("rides", b"2", b'{"fare": -1.0}', 2_000)
        (left,) = letters(driver)
    assert (left.key, left.value, left.timestamp) == (b"2", b'{"fare": -1.0}', 2_500)


def test_a_function_of_frames_has_no_single_records() -> None:
    """Said when the decorator runs."""
    app = App("letters")
    with pytest.raises(TopologyError, match="on_error is for single records"):

        @app.process("rides", batch="pandas", on_error="continue")
        def frames(frame: Any) -> Any:
            return frame


@pytest.mark.parametrize(
    ("value", "message"),
    [(b"{", "cannot be read"), (b'{"fare": -1.0}', "a fare of -1.0"), (b'{"fare": 7.0}', "cannot be written")],
)
def test_a_task_that_fails_leaves_a_letter_first(value: bytes, message: str) -> None:
    """errors_dead_letter_queue_topic_name under `fail`, the default. Kafka: LogAndFailExceptionHandler and its siblings."""
    app, stream = rides(errors_dead_letter_queue_topic_name=DLQ)
    stream.map_values(checked).map_values(lambda ride: ride.fare if ride.fare < 5 else object(), value=float).to("out")
    with TopologyTestDriver(app) as driver:
        with pytest.raises(RecordError, match=message) as told:
            driver.pipe("rides", b"1", value, 1_000)
        (left,) = letters(driver)
    assert (left.key, left.value, left.timestamp, dict(left.headers)[OFFSET]) == (b"1", value, 1_000, b"0")
    assert dict(left.headers)[MESSAGE] == str(told.value.__cause__).encode()


@pytest.mark.broker
@pytest.mark.parametrize(("guarantee", "count"), [("at_least_once", 1), ("exactly_once_v2", 0)])
def test_the_letter_of_a_task_that_fails(
    streams_broker: RunningBroker, tmp_path: Path, guarantee: str, count: int
) -> None:
    """It is written when the worker has ended; under exactly-once the transaction that is aborted has it, as in Kafka."""
    name = f"last-{guarantee.replace('_', '-')}"
    app = App(
        name,
        broker=streams_broker.url,
        state_dir=str(tmp_path),
        processing_guarantee=guarantee,
        errors_dead_letter_queue_topic_name=f"{name}.dlq",
    )
    source = app.topic(f"{name}-rides", key=str, value=Ride, partitions=1)
    app.stream(source).map_values(checked).to(app.topic(f"{name}-good", key=str, value=Ride, partitions=1))
    app.write(source, [("a", Ride(1.0)), ("b", Ride(-1.0))])
    with pytest.raises(ProcessingError, match="a fare of"), app.running() as run:
        run.catch_up(timeout_s=30)
    buried = list(app.read(app.topic(f"{name}.dlq", key=str, value=Ride)))
    assert [(letter.key, letter.value) for letter in buried] == [("b", Ride(-1.0))] * count


@pytest.mark.broker
@pytest.mark.parametrize("guarantee", ["at_least_once", "exactly_once_v2"])
def test_letters_on_the_real_broker(streams_broker: RunningBroker, tmp_path: Path, guarantee: str) -> None:
    """The topic is made at the start; each bad record lies there once, readable when it is committed."""
    name = f"letters-{guarantee.replace('_', '-')}"
    app = App(
        name,
        broker=streams_broker.url,
        state_dir=str(tmp_path),
        commit_interval_ms=50,
        processing_guarantee=guarantee,
        on_error=dead_letter(f"{name}.dlq"),
    )
    source = app.topic(f"{name}-rides", key=str, value=Ride, partitions=2)
    app.stream(source).map_values(checked).to(app.topic(f"{name}-good", key=str, value=Ride, partitions=2))
    app.write(source, [(str(number), Ride(float(number % 5 - 1))) for number in range(100)])
    with app.running() as run:
        run.catch_up(timeout_s=30)
        assert run.status().dead_letters == 20
    buried = list(app.read(app.topic(f"{name}.dlq", key=str, value=Ride)))
    assert sorted(int(letter.key) for letter in buried) == list(range(0, 100, 5))
    assert all(letter.value == Ride(-1.0) for letter in buried)
    assert all(dict(letter.headers)[MESSAGE] == b"a fare of -1.0" for letter in buried)
    assert len(list(app.read(f"{name}-good"))) == 80


@pytest.mark.broker
def test_under_exactly_once_a_letter_is_part_of_the_transaction(streams_broker: RunningBroker, tmp_path: Path) -> None:
    """A record after the bad one that stops the worker takes the letter back with it."""
    app = App(
        "undone",
        broker=streams_broker.url,
        state_dir=str(tmp_path),
        commit_interval_ms=60_000,
        transaction_timeout_ms=120_000,
        processing_guarantee="exactly_once_v2",
    )
    source = app.topic("undone-rides", key=str, value=Ride, partitions=1)
    good = app.stream(source).map_values(checked).on_error(dead_letter("undone.dlq"))
    good.map_values(lambda ride: 1 / ride.fare).to("undone-good")
    app.topic("undone-good", partitions=1)
    app.write(source, [("a", Ride(-1.0)), ("b", Ride(0.0))])
    with pytest.raises(ProcessingError, match="division"), app.running() as run:
        run.catch_up(timeout_s=30)
    assert list(app.read(app.topic("undone.dlq", key=str, value=Ride))) == []


@pytest.mark.broker
def test_a_result_that_is_too_large(streams_broker: RunningBroker, tmp_path: Path) -> None:
    """It is left out before anything is sent, wherever it stands in its batch; its neighbours are written."""
    app = App(
        "large",
        broker=streams_broker.url,
        state_dir=str(tmp_path),
        commit_interval_ms=50,
        max_request_size=20_000,
        processing_guarantee="exactly_once_v2",
    )
    source = app.topic("large-source", key=str, value=int, partitions=1)
    written = app.topic("large-written", key=str, value=str, partitions=1, on_error=dead_letter("large.dlq"))
    app.stream(source).map_values(lambda size: "x" * size).to(written)
    app.write(source, [(str(at), 50_000 if at in {0, 7, 8, 19} else 9_000) for at in range(20)])
    with app.running() as run:
        run.catch_up(timeout_s=60)
    assert [int(record.key) for record in app.read(written)] == [at for at in range(20) if at not in {0, 7, 8, 19}]
    buried = list(app.read(app.topic("large.dlq", key=str, value=int)))
    assert [record.value for record in buried] == [50_000] * 4
    assert b"50,001 bytes are too large" in dict(buried[0].headers)[MESSAGE]


@pytest.mark.broker
def test_a_letter_is_committed_with_the_offset_of_its_record(streams_broker: RunningBroker, tmp_path: Path) -> None:
    """A worker stops between two records that were decoded together, and starts again: the unreadable one lies there once."""
    app = App(
        "ahead",
        broker=streams_broker.url,
        state_dir=str(tmp_path),
        max_poll_records=1,
        processing_guarantee="exactly_once_v2",
        on_error=dead_letter("ahead.dlq"),
    )
    reached, opened = threading.Event(), threading.Event()

    def waits(ride: Ride) -> Ride:
        if ride.fare == 2.0:
            reached.set()
            opened.wait(60)
        return ride

    good = app.topic("ahead-good", key=str, value=Ride, partitions=1)
    app.stream(app.topic("ahead-rides", key=str, value=Ride, partitions=1)).map_values(waits).to(good)
    raw = [b'{"fare": 1.0}', b'{"fare": 2.0}', b'{"fare": 3.0}', b"{", b"}", b'{"fare": 4.0}']
    writer = App("ahead-writer", broker=streams_broker.url)
    writer.write(writer.topic("ahead-rides", key=str, value=bytes, partitions=1), [("a", value) for value in raw])
    with app.running() as run:
        assert reached.wait(60)
        run._worker.stop()
        opened.set()
    assert [record.value.fare for record in app.read(good)] == [1.0, 2.0]
    assert list(app.read(app.topic("ahead.dlq", key=str, value=bytes))) == []
    with app.running() as run:
        run.catch_up(timeout_s=60)
    assert [record.value.fare for record in app.read(good)] == [1.0, 2.0, 3.0, 4.0]
    assert [record.value for record in app.read(app.topic("ahead.dlq", key=str, value=bytes))] == [b"{", b"}"]
