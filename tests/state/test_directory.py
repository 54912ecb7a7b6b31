"""Directories of tasks: one owner at a time, by name."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

import state
from state import StateDirectory, StoreLocked, set_aside
from state.directory import store_path

OWNER = """
import sys, pathlib
from state import StateDirectory
task = StateDirectory(pathlib.Path(sys.argv[1]), "app").open_task("0_1", owner="worker-a")
print("owned", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def tasks(tmp_path):
    return StateDirectory(tmp_path, "app")


def test_a_second_owner_is_refused_by_name(tasks):
    """StoreLocked names the first owner and its process; after a close the directory is free."""
    first = tasks.open_task("0_1", owner="worker-a")
    with pytest.raises(StoreLocked, match=r"0_1 .* belongs to worker-a \(pid \d+\)"):
        tasks.open_task("0_1", owner="worker-b")
    with tasks.open_task("0_2", owner="worker-b"):
        first.close()
    tasks.open_task("0_1", owner="worker-b").close()


def test_a_killed_owner_leaves_no_lock(tmp_path, tasks):
    """The lock dies with its process."""
    root = Path(state.__file__).parents[1]
    command = [sys.executable, "-c", OWNER, str(tmp_path)]
    with subprocess.Popen(command, cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "owned\n"
        with pytest.raises(StoreLocked, match=f"worker-a .pid {process.pid}."):
            tasks.open_task("0_1", owner="worker-b")
        process.send_signal(signal.SIGKILL)
        process.wait()
    tasks.open_task("0_1", owner="worker-b").close()


def test_tasks_and_stores_are_listed_and_removed(tasks):
    """What is on disk is known by name, and goes when asked."""
    assert tasks.tasks() == []
    with tasks.open_task("1_0", owner="w") as task:
        store_path(task.path, "a/b").mkdir(parents=True)
        assert task.stores() == ["a/b"]
        with pytest.raises(StoreLocked, match="belongs to w"):
            tasks.remove("1_0")
        task.wipe()
        assert task.stores() == []
    tasks.open_task("0_7", owner="w").close()
    assert tasks.tasks() == ["0_7", "1_0"]
    tasks.remove("1_0")
    tasks.remove("no such task")
    assert tasks.tasks() == ["0_7"]


def test_setting_aside_keeps_what_was_there(tmp_path):
    """A store gets another name, each time a new one; a missing store is no error."""
    assert set_aside(tmp_path, "s") is None
    for number in (1, 2):
        store_path(tmp_path, "s").mkdir(parents=True)
        moved = set_aside(tmp_path, "s")
        assert moved is not None
        assert moved.name == f"s.corrupt-{number}"
        assert moved.is_dir()
    assert not store_path(tmp_path, "s").exists()
