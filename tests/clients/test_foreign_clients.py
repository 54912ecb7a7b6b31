"""Unmodified clients of other languages, each installed by its own package manager into a cache beside its program.

A program prints one line of JSON: what it tried, and `ok` or what went wrong. A client whose toolchain is missing, or whose
packages cannot be fetched, is skipped with the reason.
"""

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.broker.process import BrokerProcess

pytestmark = [pytest.mark.broker, pytest.mark.clients]

HERE = Path(__file__).parent
FETCH_SECONDS = 240
RUN_SECONDS = 100
CODECS = ("gzip", "snappy", "lz4", "zstd")


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A broker for all clients of this file."""
    broker = BrokerProcess(tmp_path_factory.mktemp("clients") / "data").start()
    yield broker.address
    broker.stop()


def tool(name: str, *places: str) -> str:
    found = shutil.which(name) or next((place for place in places if Path(place).exists()), None)
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found


def prepare(folder: Path, *command: str) -> None:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=FETCH_SECONDS)
    if done.returncode:
        pytest.skip(f"{' '.join(command[:2])} failed: {done.stderr.strip()[-300:]}")


def verdict(command: list[str], folder: Path) -> dict[str, str]:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=RUN_SECONDS)
    assert done.stdout, done.stderr[-2000:]
    results: dict[str, str] = json.loads(done.stdout.splitlines()[-1])
    return results


@pytest.mark.timeout(400)
def test_kafkajs(address: str) -> None:
    """kafkajs: admin, idempotent and compressed producing, groups, transactions, read_committed, offsets by time."""
    node, npm = tool("node"), tool("npm")
    folder = HERE / "kafkajs"
    prepare(folder, npm, "install", "--no-audit", "--no-fund", "--no-package-lock")
    results = verdict([node, "client.js", address], folder)
    assert set(results) == {"admin", "idempotent", "gzip", "group", "offsets by timestamp", "transactions"}
    assert set(results.values()) == {"ok"}, results


@pytest.mark.timeout(400)
def test_franz_go(address: str) -> None:
    """franz-go: admin, every codec, groups, transactions, read_committed, offsets by time."""
    go = tool("go", "/usr/local/go/bin/go")
    folder = HERE / "franz-go"
    prepare(folder, go, "build", "-o", "build/client", ".")
    results = verdict([str(folder / "build" / "client"), address], folder)
    assert set(results) == {"admin", "idempotent", *CODECS, "group", "offsets by timestamp", "transactions"}
    assert set(results.values()) == {"ok"}, results


@pytest.mark.parametrize("codec", ["none", *CODECS])
def test_kcat(address: str, codec: str) -> None:
    """kcat, with Debian's old librdkafka, writes with every codec and reads it back by offset."""
    kcat = tool("kcat")
    topic = f"kcat-{codec}"
    lines = "".join(f"line {number}\n" for number in range(50))
    produce = [kcat, "-P", "-b", address, "-t", topic, "-z", codec, "-X", "enable.idempotence=true"]
    subprocess.run(produce, input=lines, text=True, check=True, timeout=RUN_SECONDS)
    consume = [kcat, "-C", "-b", address, "-t", topic, "-o", "beginning", "-e", "-q"]
    assert subprocess.run(consume, capture_output=True, text=True, check=True, timeout=RUN_SECONDS).stdout == lines
