"""A broker and applications on it: written for Faust, run by Faust itself or, with another import line, by Headrace."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

from confluent_kafka import Consumer, Message, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

APPS = Path(__file__).parent / "apps"
PATIENCE_S = 60
LOG_TAIL = 3000
READY = b"[^Worker]: Ready"


class Row(NamedTuple):
    """A record as bytes."""

    key: bytes | None
    value: Any
    headers: tuple[tuple[str, bytes], ...] = ()
    timestamp: int = 0

    @property
    def json(self) -> Any:
        """The value decoded."""
        return json.loads(self.value)


class World:
    """Everything that one runtime (`faust` or `streams.compat`) does on one broker."""

    def __init__(self, runtime: str, broker: str, home: Path) -> None:
        self.runtime = runtime
        self.broker = broker
        self.home = home
        self.environment = {
            **os.environ,
            "BROKER": f"kafka://{broker}",
            "PYTHONPATH": str(home),
            "STREAMS_STATE_DIR": str(home / "state"),
            "STREAMS_COMMIT_INTERVAL_MS": "200",
            "NO_COLOR": "1",
        }
        self.workers: dict[str, subprocess.Popen[bytes]] = {}
        self._said: dict[str, int] = {}
        self._producer = Producer({"bootstrap.servers": broker, "partitioner": "murmur2_random", "linger.ms": 5})
        for path in APPS.glob("*.py"):
            self.place(path.stem, path.read_text())

    def place(self, name: str, source: str) -> None:
        """Make an application of a source that imports Faust."""
        assert "import faust\n" in source
        moved = source.replace("import faust\n", "from streams.compat import faust\n")
        (self.home / f"{name}.py").write_text(source if self.runtime == "faust" else moved)

    def topics(self, counts: dict[str, int]) -> None:
        """Make topics with so many partitions."""
        admin = AdminClient({"bootstrap.servers": self.broker})
        for made in admin.create_topics([NewTopic(name, count, 1) for name, count in counts.items()]).values():
            made.result(PATIENCE_S)

    def write(self, topic: str, rows: Iterable[Row]) -> None:
        """Write records and wait until they are safe; dicts are written as JSON."""
        for row in rows:
            value = row.value if isinstance(row.value, bytes | None) else json.dumps(row.value).encode()
            self._producer.produce(topic, key=row.key, value=value, headers=list(row.headers), timestamp=row.timestamp)
        assert self._producer.flush(PATIENCE_S) == 0

    def command(self, name: str, *arguments: str) -> list[str]:
        """The command line of an application."""
        program = [sys.executable, f"{name}.py"]
        if self.runtime == "faust":
            program = [str(Path(sys.executable).parent / "faust"), "-A", name]
        return [*program, "--datadir", str(self.home / f"data-{name}"), *arguments]

    def start(self, name: str, **environment: str) -> None:
        """Start a worker of an application."""
        with self.log(name).open("ab") as log:
            self._said[name] = log.tell()
            self.workers[name] = subprocess.Popen(
                self.command(name, "worker", "-l", "info", "--without-web"),
                cwd=self.home,
                env={**self.environment, **environment},
                stdout=log,
                stderr=log,
            )

    def ready(self, name: str) -> None:
        """Wait until a worker that was started is ready, if it is Faust's own.

        That one can drop a record which it has read in the moment in which it becomes ready: it is in the agent's queue
        while the agent starts anew. Ours needs no such care.
        """
        deadline = time.monotonic() + PATIENCE_S
        while self.runtime == "faust" and READY not in self.log(name).read_bytes()[self._said[name] :]:
            assert time.monotonic() < deadline, f"{name} is not ready\n{self.log(name).read_text()[-LOG_TAIL:]}"
            time.sleep(0.05)

    def run(self, name: str, *arguments: str) -> str:
        """Run another command of an application. Shape: what it prints."""
        done = subprocess.run(
            self.command(name, *arguments),
            cwd=self.home,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def stop(self, name: str, number: int = signal.SIGTERM) -> int:
        """End a worker. Shape: its exit code."""
        worker = self.workers.pop(name)
        worker.send_signal(number)
        return worker.wait(PATIENCE_S)

    def stop_all(self) -> None:
        """End all workers: those that do not hear are killed."""
        for worker in self.workers.values():
            worker.kill()
            worker.wait(PATIENCE_S)

    def log(self, name: str) -> Path:
        """What the workers of an application said."""
        return self.home / f"{name}.log"

    def read(self, topic: str, enough: Callable[[list[Row]], bool], app: str) -> list[Row]:
        """The committed records of a topic from its start, partition after partition, as soon as they are enough."""
        consumer = Consumer({"bootstrap.servers": self.broker, "group.id": "tests", "enable.auto.commit": False})
        deadline = time.monotonic() + PATIENCE_S
        rows: list[Row] = []
        try:
            self._assign(consumer, topic, deadline)
            while not enough(rows):
                if time.monotonic() > deadline or (app in self.workers and self.workers[app].poll() is not None):
                    log = self.log(app).read_text()[-LOG_TAIL:]
                    raise AssertionError(f"{topic} of {app} holds {rows}\n{log}")
                rows += [_row(message) for message in consumer.consume(500, timeout=0.1) if message.error() is None]
        finally:
            consumer.close()
        return rows

    def _assign(self, consumer: Consumer, topic: str, deadline: float) -> None:
        partitions: dict[int, Any] = {}
        while not partitions:
            assert time.monotonic() < deadline, f"{topic} was never made"
            partitions = consumer.list_topics(topic, timeout=PATIENCE_S).topics[topic].partitions
        consumer.assign([TopicPartition(topic, number, 0) for number in partitions])


def _row(message: Message) -> Row:
    headers = tuple((name, bytes(value)) for name, value in message.headers() or ())
    return Row(message.key(), message.value(), headers, message.timestamp()[1])


def last_of(rows: list[Row]) -> dict[bytes | None, bytes]:
    """The last value of each key."""
    return {row.key: row.value for row in rows}
