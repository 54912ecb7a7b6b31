"""Clients, and topics named after their tests, on the bundled broker; HEADRACE_TEST_BROKER names another one."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from streams.clients.base import NewTopic
from streams.clients.kafka import KafkaClients, KafkaConsumer
from streams.config import StreamsConfig
from streams.record import TopicPartition

MakeClients = Callable[..., KafkaClients]


@pytest.fixture(scope="session")
def broker_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A broker whose groups may have short sessions, so that silent members and late transactions end soon."""
    if given := os.environ.get("HEADRACE_TEST_BROKER"):
        yield given
        return
    look_for_late_ones = "transaction.abort.timed.out.transaction.cleanup.interval.ms=200"
    with _running(tmp_path_factory.mktemp("clients-broker"), look_for_late_ones) as url:
        yield url


@pytest.fixture
def strict_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A broker that makes no topic because somebody asks for it."""
    with _running(tmp_path_factory.mktemp("strict-broker"), "auto.create.topics.enable=false") as url:
        yield url


@contextmanager
def _running(data_dir: Path, setting: str) -> Iterator[str]:
    """A broker as a process of its own."""
    settings = ["--listen", "127.0.0.1:0", "--set", "group.min.session.timeout.ms=500", "--set", setting]
    command = [sys.executable, "-P", "-m", "broker", "--data-dir", str(data_dir), *settings]
    with (
        Path(data_dir.parent, "clients-broker.log").open("a") as log,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True) as process,
    ):
        line = process.stdout.readline()
        assert line.startswith("ready on "), f"the broker did not start: {line!r}"
        yield f"kafka://{line.removeprefix('ready on ').strip()}"
        process.terminate()


@pytest.fixture
def make(broker_url: str) -> Iterator[MakeClients]:
    """Makes clients with settings; all are closed at the end."""
    made: list[KafkaClients] = []

    def clients(**settings: Any) -> KafkaClients:
        made.append(KafkaClients(StreamsConfig.of("test", {"broker": broker_url, **settings})))
        return made[-1]

    yield clients
    for each in made:
        each.close()


@pytest.fixture
def topic(make: MakeClients, request: pytest.FixtureRequest) -> Iterator[str]:
    """A new topic of three partitions, named after the test."""
    name = re.sub(r"\W+", "-", f"{request.node.name}-{os.getpid()}")
    admin = make().admin()
    admin.create([NewTopic(name, 3)])
    yield name
    admin.delete([name])


@pytest.fixture
def values(make: MakeClients) -> Callable[..., list[bytes]]:
    """Reads what a partition holds by now: up to its high watermark, or, of what is committed, up to where it can."""

    def read(partition: TopicPartition, *, read_committed: bool = True) -> list[bytes]:
        consumer: KafkaConsumer = make().consumer(group=None, read_committed=read_committed)
        end = consumer.end_offsets([partition])[partition]
        consumer.assign([partition])
        found: list[bytes] = []
        while consumer.position(partition) < end:
            found += [value for batch in consumer.poll(0.1) for value in batch.columns().values]
        return found

    return read
