"""Which worker this is, over restarts."""

from __future__ import annotations

from pathlib import Path

import pytest

from streams.clients.memory import MemoryAdmin, MemoryBroker, MemoryClients
from streams.config import StreamsConfig
from streams.errors import ConfigError
from streams.runtime.process_id import ProcessId
from streams.runtime.worker import Worker
from tests.streams.runtime.workers import counting_app


def test_a_worker_comes_back_under_its_name(tmp_path: Path) -> None:
    """What was let go, as the kernel does for a killed process, is taken again: the same transactional id."""
    first = ProcessId(tmp_path, "app")
    name = first.transactional_id("app")
    first.close()
    again = ProcessId(tmp_path, "app")
    assert again.transactional_id("app") == name == f"app-{first.uuid}-1"
    again.close()


def test_workers_that_live_have_different_names(tmp_path: Path) -> None:
    """In one directory they share the id and differ in the number; the first free one is taken."""
    first, second = ProcessId(tmp_path, "app"), ProcessId(tmp_path, "app")
    assert (second.uuid, first.number, second.number) == (first.uuid, 1, 2)
    first.close()
    third = ProcessId(tmp_path, "app")
    assert third.number == 1
    second.close()
    third.close()


def test_another_directory_has_another_id(tmp_path: Path) -> None:
    """Workers on other machines never fence each other."""
    here, there = ProcessId(tmp_path / "a", "app"), ProcessId(tmp_path / "b", "app")
    assert here.transactional_id("app") != there.transactional_id("app")
    here.close()
    there.close()


def test_a_directory_that_cannot_be_used_is_told(tmp_path: Path) -> None:
    """With the setting that names another one, whatever the system has against it."""
    (tmp_path / "file").touch()
    for state_dir, reason in ((tmp_path / "file", "Not a directory"), (Path("/dev/null/state"), "Not a directory")):
        with pytest.raises(
            ConfigError, match=rf"state_dir: {state_dir} has to be a directory .*: {reason}; .* state_dir=DIR"
        ):
            ProcessId(state_dir, "app")


@pytest.mark.parametrize("left", [b"", b"\0" * 37, b"3f2a", b"\xff\xfe"])
def test_a_power_cut_that_took_the_id(tmp_path: Path, left: bytes) -> None:
    """A file with a name and no id in it is made anew, and the new id stays, as in Kafka; nothing else is left behind."""
    first = ProcessId(tmp_path, "app")
    first.close()
    (tmp_path / "app" / "process-id").write_bytes(left)
    second = ProcessId(tmp_path, "app")
    second.close()
    third = ProcessId(tmp_path, "app")
    third.close()
    assert (second.uuid != first.uuid, third.uuid) == (True, second.uuid)
    assert sorted(path.name for path in (tmp_path / "app").iterdir()) == ["process-id", "worker-1.lock"]


def test_a_directory_that_cannot_be_used_is_told_before_anything_starts(tmp_path: Path) -> None:
    """No topic is made, and no broker asked."""
    (tmp_path / "file").touch()
    begun: list[str] = []

    class Watched(MemoryClients):
        def admin(self) -> MemoryAdmin:
            begun.append("admin")
            return super().admin()

    config = StreamsConfig.of(
        "app", {"broker": "kafka://memory:1", "state_dir": str(tmp_path / "file")}, environment={}
    )
    clients, topology = Watched(MemoryBroker()), counting_app.topology(config)
    with pytest.raises(ConfigError, match="state_dir: .* has to be a directory"):
        Worker(topology, config, clients, prepare=lambda: begun.append("topics")).run()
    assert not begun
