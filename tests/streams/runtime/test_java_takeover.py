"""Kafka Streams in Java stops, we go on under its application id, and Java takes back: topics, changelogs and offsets."""

from __future__ import annotations

import random
import subprocess
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from streams import App, TimeWindowedSerde, TimeWindows, Windowed, serde_for
from streams.pytest_plugin import RunningBroker
from tests.apache_kafka.libraries import KafkaMissingError, compiled, java

JAVA = Path(__file__).parent / "java" / "TakeOver.java"
MINUTE_MS = 60_000

pytestmark = [
    pytest.mark.broker,
    pytest.mark.kafka,
    pytest.mark.slow,
]


@pytest.fixture(scope="module")
def classes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The compiled program, and Kafka Streams, fetched if it is not there yet."""
    target = tmp_path_factory.mktemp("classes")
    try:
        compiled(JAVA, target, needs="kafka-streams-[0-9]*.jar")
    except KafkaMissingError as missing:
        pytest.skip(str(missing))
    return target


def counting(name: str, broker: RunningBroker, home: Path, guarantee: str) -> App:
    """The topology of the Java program."""
    app = App(name, broker=broker.url, state_dir=str(home), commit_interval_ms=100, processing_guarantee=guarantee)
    words = app.topic(f"{name}-words", key=str, value=str, partitions=2)
    counts = app.topic(f"{name}-counts", key=TimeWindowedSerde(serde_for(str), MINUTE_MS), value=int, partitions=2)
    per_minute = TimeWindows.of("1 minute", grace="24 hours")
    app.stream(words).group_by_key().windowed_by(per_minute).count(name="per-minute").to_stream().to(counts)
    return app


@contextmanager
def kafka_streams(classes: Path, app: App, home: Path) -> Iterator[None]:
    """Kafka Streams, stopped well at the end."""
    address = app.config.broker.removeprefix("kafka://")
    arguments = [address, app.name, str(home), app.config.processing_guarantee]
    process = subprocess.Popen(
        java("TakeOver", *arguments, memory="256m", classes=classes),
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield
    finally:
        try:
            _, errors = process.communicate(timeout=90)
        except subprocess.TimeoutExpired:
            process.kill()
            _, errors = process.communicate()
    assert process.returncode == 0, errors[-3000:]


def catch_up(app: App) -> None:
    """Wait until the group has committed everything."""
    import threading

    patience = threading.Event()
    with app.connect() as connection:
        for _ in range(900):
            lag = connection.lag(app.name, [f"{app.name}-words"])
            if lag is not None and not any(lag.values()):
                return
            patience.wait(0.1)
    pytest.fail(f"{app.name} did not catch up: {lag}")


@pytest.mark.timeout(300)
@pytest.mark.parametrize("guarantee", ["at_least_once", "exactly_once_v2"])
def test_java_stops_we_go_on_and_java_takes_back(
    streams_broker: RunningBroker, classes: Path, tmp_path: Path, guarantee: str
) -> None:
    """Three owners of one application, each with a disk of its own: every window's total counts every word once."""
    name = f"takeover-{guarantee.split('_', maxsplit=1)[0]}"
    app = counting(name, streams_broker, tmp_path / "ours", guarantee)
    chance, expected = random.Random(7), Counter[Windowed]()

    def say(count: int) -> None:
        said = [(chance.choice("abcdefgh"), chance.randrange(5 * MINUTE_MS)) for _ in range(count)]
        for word, time_ms in said:
            start_ms = time_ms // MINUTE_MS * MINUTE_MS
            expected[Windowed(word, start_ms, start_ms + MINUTE_MS)] += 1
            records.append((word, time_ms))

    def write() -> None:
        from streams import Record

        app.write(f"{name}-words", [Record(word, "x", time_ms) for word, time_ms in records])
        records.clear()

    records: list[tuple[str, int]] = []
    for owner in ("java-1", "ours", "java-2"):
        say(400)
        write()
        if owner == "ours":
            with app.running() as run:
                run.catch_up(timeout_s=60)
        else:
            with kafka_streams(classes, app, tmp_path / owner):
                catch_up(app)
        latest = {record.key: record.value for record in app.read(f"{name}-counts")}
        assert latest == expected, owner
    with app.connect() as connection:
        internal = [
            topic for topic in connection.admin.topics() if topic.startswith(f"{name}-") and "per-minute" in topic
        ]
    assert internal == [f"{name}-per-minute-changelog"]
