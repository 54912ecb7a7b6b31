"""Unmodified clients of other makers, each installed by its own package manager into a cache beside its program.

A program prints one line of JSON: what it tried, and `ok` or what went wrong; as a member of a group it prints what it reads.
Clients reach the broker through a wire tap, so that the versions they settle on are seen and asserted: none may silently
degrade. A client whose toolchain is missing, or whose packages cannot be fetched, is skipped with the reason. What each run
found goes to `build/results`, from which `python -m tests.clients.matrix` makes the table of docs/broker.md.
"""

import json
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

from tests.apache_kafka.libraries import KafkaMissingError, java
from tests.broker.process import BrokerProcess
from tests.clients.expected import CODECS, EXPECTED, KCAT, Expected
from tests.clients.releases import release
from tests.clients.wiretap import Wiretap

pytestmark = [pytest.mark.broker, pytest.mark.clients]

HERE = Path(__file__).parent
RESULTS = HERE / "build" / "results"
FETCH_SECONDS = 400
RUN_SECONDS = 150
PARTITIONS = 4
RECORDS = 24


class Served(NamedTuple):
    """A broker that tells its clients to connect through a wire tap."""

    address: str
    tap: Wiretap


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with Wiretap() as tap:
        advertised = f"--set=advertised.listeners=127.0.0.1:{tap.port}"
        broker = BrokerProcess(tmp_path_factory.mktemp("clients") / "data", advertised).start()
        tap.target = broker.port
        yield Served(f"127.0.0.1:{tap.port}", tap)
        broker.stop()


def tool(name: str, *places: str) -> str:
    home = Path.home()
    found = shutil.which(name) or next((str(home / place) for place in places if (home / place).exists()), None)
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found


def prepare(folder: Path, *command: str) -> None:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=FETCH_SECONDS)
    if done.returncode:
        pytest.skip(f"{' '.join(command[:2])} failed: {done.stderr.strip()[-300:]}")


def command_of(client: Expected) -> list[str]:
    """What runs a client's program, with everything it needs fetched and built; skips where that cannot be."""
    folder = HERE / client.folder
    if client.kind == "npm":
        prepare(folder, tool("npm"), "install", "--no-audit", "--no-fund", "--no-package-lock")
        return [tool("node"), str(folder / "client.js")]
    if client.kind == "go":
        prepare(folder, tool("go", "../usr/local/go/bin/go"), "build", "-o", "build/client", ".")
        return [str(folder / "build" / "client")]
    if client.kind == "cargo":
        prepare(folder, tool("cargo", ".cargo/bin/cargo"), "build", "--release", "--quiet", "--target-dir", "build")
        return [str(folder / "build" / "release" / "client")]
    if client.kind == "java":
        try:
            return java(str(folder / "Client.java"))
        except KafkaMissingError as missing:
            pytest.skip(str(missing))
    return [sys.executable, str(folder / client.program)]


def verdict(command: list[str], folder: Path) -> dict[str, str]:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=RUN_SECONDS)
    assert done.stdout, done.stderr[-2000:]
    results: dict[str, str] = json.loads(done.stdout.splitlines()[-1])
    return results


def note(client: Expected, results: dict[str, str], versions: dict[str, int] | None = None) -> None:
    """Keep what was found, for the matrix."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    path = RESULTS / f"{client.name}.json"
    known = json.loads(path.read_text()) if path.exists() else {"results": {}, "versions": {}}
    known["results"] |= results
    known["versions"] = versions or known["versions"]
    known["release"] = release(client)
    path.write_text(json.dumps(known, indent=1))


@pytest.mark.timeout(600)
@pytest.mark.parametrize("client", EXPECTED, ids=lambda client: client.name)
def test_everything_it_can(served: Served, client: Expected) -> None:
    """Admin, every codec it has, idempotence, groups, transactions, read_committed, times; in the versions it has."""
    command = command_of(client)
    served.tap.start_over()
    results = verdict([*command, served.address], HERE / client.folder)
    versions = served.tap.seen()
    note(client, results, versions)
    assert set(results) == set(client.checks)
    assert set(results.values()) == {"ok"}, results
    spoken = {name: versions.get(name) for name in client.versions}
    assert spoken == client.versions


class Member:
    """A client's program as a member of a group, and what it has read."""

    def __init__(self, command: list[str], folder: Path) -> None:
        self.values: list[str] = []
        self.process = subprocess.Popen(
            command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, bufsize=1
        )
        self._reader = threading.Thread(target=self._follow, daemon=True)
        self._reader.start()

    def _follow(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as lines:
            self.values.extend(line.strip() for line in lines)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
        self._reader.join()


def until(condition: object, what: str) -> None:
    """Waits for what must come."""
    assert callable(condition)
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end, what
        time.sleep(0.05)  # a pace, not a wait


def fill(address: str, topic: str, first: int) -> set[str]:
    """A round of records over all partitions."""
    producer = Producer({"bootstrap.servers": address})
    values = {str(number) for number in range(first, first + RECORDS)}
    for position, value in enumerate(sorted(values)):
        producer.produce(topic, value, partition=position % PARTITIONS)
    assert producer.flush(20) == 0
    return values


@pytest.mark.timeout(600)
@pytest.mark.parametrize("client", [client for client in EXPECTED if client.groups], ids=lambda client: client.name)
@pytest.mark.crash
def test_two_members_and_a_kill(served: Served, client: Expected) -> None:
    """Two members share a topic; one is killed with SIGKILL, and the other reads on where it stood."""
    command = command_of(client)
    topic = f"shared-{client.name.replace(' ', '-').removeprefix('@')}"
    admin = AdminClient({"bootstrap.servers": served.address})  # kept: its answers go with it
    admin.create_topics([NewTopic(topic, PARTITIONS, 1)])[topic].result(10)
    members = [
        Member([*command, served.address, "member", f"of-{topic}", topic], HERE / client.folder) for _ in range(2)
    ]
    try:
        first, written = 0, set()
        end = time.monotonic() + 60
        while not all(member.values for member in members):  # a first round may come before the second member
            assert time.monotonic() < end, f"read by each: {[len(member.values) for member in members]}"
            written |= fill(served.address, topic, first)
            first += RECORDS
            time.sleep(1)  # a pace, not a wait
        until(lambda: {value for member in members for value in member.values} >= written, "not all was read")
        members[0].kill()
        written = fill(served.address, topic, first)
        until(lambda: set(members[1].values) >= written, "the other did not take over")
    finally:
        for member in members:
            member.kill()
    note(client, {"kill": "ok"})


@pytest.mark.parametrize("codec", ["none", *CODECS])
def test_kcat(served: Served, codec: str) -> None:
    """kcat, with Debian's old librdkafka, writes with every codec and reads it back by offset."""
    kcat = tool("kcat")
    served.tap.start_over()
    topic = f"kcat-{codec}"
    lines = "".join(f"line {number}\n" for number in range(50))
    produce = [kcat, "-P", "-b", served.address, "-t", topic, "-z", codec, "-X", "enable.idempotence=true"]
    subprocess.run(produce, input=lines, text=True, check=True, timeout=RUN_SECONDS)
    consume = [kcat, "-C", "-b", served.address, "-t", topic, "-o", "beginning", "-e", "-q"]
    assert subprocess.run(consume, capture_output=True, text=True, check=True, timeout=RUN_SECONDS).stdout == lines
    versions = served.tap.seen()
    note(KCAT, {codec: "ok", "idempotent": "ok"}, versions)
    assert {name: versions[name] for name in KCAT.versions} == KCAT.versions
