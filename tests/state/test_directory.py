"""Directories of tasks: one owner at a time, by name."""

import contextlib
import os
import resource
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import state
from state import StateDirectory, StateError, StoreLocked, set_aside
from state.directory import store_path
from state.errors import StateDiskFull

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


def test_noted_positions_can_be_read_by_others(tasks):
    """How complete a task's stores are, without opening them, and whoever owns them; nothing noted is nothing known."""
    with tasks.open_task("0_1", owner="w") as task:
        assert tasks.noted_positions("0_1") == {}
        task.note_positions({"a store": 7, "b": 0})
        task.note_positions({"a store": 9, "b": 1})
        assert tasks.noted_positions("0_1") == {"a store": 9, "b": 1}
    assert tasks.noted_positions("9_9") == {}


@pytest.mark.parametrize("left", [b"\0" * 40, b"7", b"seven s\n", b"\xff\xfe 1\n"])
def test_positions_that_cannot_be_read_are_unknown(tasks, left):
    """They are a hint: what a power cut has left in their place stops nobody, and the next note takes it."""
    with tasks.open_task("0_1", owner="w") as task:
        (task.path / "positions").write_bytes(left)
        assert tasks.noted_positions("0_1") == {}
        task.note_positions({"s": 7})
        assert tasks.noted_positions("0_1") == {"s": 7}


def test_a_full_disk_holds_no_lock(tasks):
    """Whoever could not write his name into the lock does not have it: with room again the directory is free."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, before[1]))
    try:
        with pytest.raises(StateDiskFull, match="0_1 takes no more"):
            tasks.open_task("0_1", owner="w")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    tasks.open_task("0_1", owner="w").close()


def test_a_directory_is_idle_since_its_last_write(tasks):
    """By the files of its stores and by when it was last owned."""
    with tasks.open_task("0_1", owner="w") as task:
        path = store_path(task.path, "s")
        path.mkdir(parents=True)
    for old in (path, task.path / ".lock"):
        os.utime(old, (1_000, 1_000))
    assert tasks.idle_s("0_1") > 1_000_000
    (path / "file").touch()
    assert tasks.idle_s("0_1") < 1_000


def test_a_directory_that_is_let_go_was_used_until_then(tasks):
    """However long ago something was written there."""
    with tasks.open_task("0_1", owner="w") as task:
        os.utime(task.path / ".lock", (1_000, 1_000))
        assert tasks.idle_s("0_1") > 1_000_000
    assert tasks.idle_s("0_1") < 1_000


def test_workers_that_share_a_folder_clean_it_at_once(tasks):
    """They look at and remove the same directories: each goes once, and nobody trips over what another has taken."""
    names, cleaners = [f"0_{number}" for number in range(4)], 4
    failures, begin = [], threading.Barrier(cleaners)

    def clean():
        begin.wait()
        for name in tasks.tasks():
            try:
                tasks.idle_s(name)
                tasks.remove(name)
            except StoreLocked:
                continue
            except Exception as error:
                failures.append(error)

    for _ in range(30):
        for name in names:
            filled(tasks, name)
        threads = [threading.Thread(target=clean) for _ in range(cleaners)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert failures == []
    assert tasks.tasks() == []


def filled(tasks, name, files=20):
    """A task's directory with a store of so many files."""
    with tasks.open_task(name, owner="w") as task:
        path = store_path(task.path, "s")
        path.mkdir(parents=True)
        for number in range(files):
            (path / f"{number}").touch()
        task.note_positions({"s": 1})


def test_who_waits_for_a_directory_that_is_removed_gets_a_new_one(tasks):
    """Nothing is left of the old one once it can be owned, and what is put there stays."""
    for _ in range(20):
        filled(tasks, "0_1", files=100)
        removal = threading.Thread(target=tasks.remove, args=("0_1",))
        removal.start()
        with contextlib.suppress(FileNotFoundError):
            while not (tasks.path / "0_1" / ".lock").read_text().startswith("removal"):
                pass
        while True:
            with contextlib.suppress(StoreLocked):
                task = tasks.open_task("0_1", owner="next")
                break
        with task:
            assert (task.stores(), tasks.noted_positions("0_1")) == ([], {})
            store_path(task.path, "t").mkdir(parents=True)
            removal.join()
            assert task.stores() == ["t"]
        tasks.remove("0_1")


def test_a_file_in_place_of_a_directory_is_told(tasks):
    """However often it is tried."""
    tasks.path.mkdir()
    (tasks.path / "0_1").touch()
    with pytest.raises(StateError, match=r"0_1 cannot be used \(File exists\): set state_dir"):
        tasks.open_task("0_1", owner="w")


def test_the_lock_of_a_removed_directory_is_worth_nothing(tasks):
    """Whoever opened the lock file just before it was removed owns the new directory, not the old file."""
    with tasks.open_task("0_1", owner="w") as task:
        shutil.rmtree(task.path)
        with tasks.open_task("0_1", owner="another"), pytest.raises(StoreLocked, match="belongs to another"):
            tasks.open_task("0_1", owner="a third")
