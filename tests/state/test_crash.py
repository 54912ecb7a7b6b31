"""What a killed process and a damaged file leave behind."""

import shutil
import signal
import subprocess
import sys
from contextlib import closing, suppress
from pathlib import Path

import pytest

import state
from state import CorruptStore, StoreKind, set_aside
from state.directory import store_path

KEYS = 200
WRITER = """
import pathlib, sys
sys.path.insert(0, sys.argv[1])
import importlib.util
spec = importlib.util.spec_from_file_location("bench", sys.argv[2])
module = importlib.util.module_from_spec(spec)
sys.modules["bench"] = module
spec.loader.exec_module(module)
from state import RocksDBResources
bench = module.Bench(pathlib.Path("."), RocksDBResources(total_bytes=1 << 20, write_buffer_bytes=64 << 10))
store = bench.open(directory=pathlib.Path(sys.argv[3]))
round = store.position or 0
while True:
    round += 1
    for number in range(200):
        store.put(f"key-{number:03}", round, round)
    store.commit(round)
    print(round, flush=True)
"""


@pytest.mark.crash
@pytest.mark.parametrize("rounds", [1, 7, 300])
def test_a_killed_process_leaves_a_whole_commit(bench, rounds):
    """After SIGKILL in the middle of writing, data and position belong to one commit, and none that was done is lost."""
    directory, here = bench.task(), Path(__file__).with_name("conftest.py")
    root = Path(state.__file__).parents[1]
    command = [sys.executable, "-c", WRITER, str(root), str(here), str(directory)]
    for _ in range(2):
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            for _ in range(rounds):
                done = int(process.stdout.readline())
            process.send_signal(signal.SIGKILL)
            done = max([done, *map(int, process.stdout.read().split())])
        store = bench.open(directory=directory)
        position, values = store.position, {value.value for _, value in store.all()}
        assert values == {position}
        assert store.approximate_num_entries() >= KEYS
        store.close()
        assert position >= done


FILLER = (
    WRITER.split("round = ", maxsplit=1)[0]
    + """
from itertools import count
store.begin_restore(1_000_000)
first = store.position or 0
for batch in count(first // 500):
    numbers = range(batch * 500, batch * 500 + 500)
    store.restore([b"%010d" % (number * 7919 % 10**10) for number in numbers], [b"v" * 20] * 500, numbers, numbers[-1] + 1)
    print(numbers[-1] + 1, flush=True)
"""
)


@pytest.mark.crash
def test_a_process_killed_while_it_restores_goes_on_from_its_position(bench):
    """What is there afterwards is what the changelog says up to the position, or further; a second one gets further."""
    directory, here = bench.task(), Path(__file__).with_name("conftest.py")
    command = [sys.executable, "-c", FILLER, str(Path(state.__file__).parents[1]), str(here), str(directory)]
    positions = [0]
    for records in (30_000, 10_000, 40_000):
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            first = done = int(process.stdout.readline())
            while done < first + records:
                done = int(process.stdout.readline())
            process.send_signal(signal.SIGKILL)
        store = bench.open(directory=directory)
        positions.append(store.position or 0)
        found = {int(key) for key, _ in store._engine.scan(None, None)}
        assert found >= {number * 7919 % 10**10 for number in range(positions[-1])}
        store.close()
        assert first - 500 == positions[-2]
    assert positions[-1] > positions[1] >= 0


def filled(bench):
    directory = bench.task()
    store = bench.open(bench.spec(StoreKind.KEY_VALUE), directory=directory)
    for number in range(2_000):
        store.put(f"key-{number:05}", number)
    store.commit(5)
    store._engine.flush()
    store.close()
    return directory


def damage(directory, pattern):
    """Flip bytes in the middle of a file."""
    path = max(store_path(directory, "s").glob(pattern), key=lambda path: path.stat().st_size)
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 64] = bytes(byte ^ 0xFF for byte in data[middle : middle + 64])
    path.write_bytes(data)


def read_all(bench, directory):
    """Open a store, read it and close it, whatever comes of that."""
    with closing(bench.open(bench.spec(StoreKind.KEY_VALUE), directory=directory)) as store:
        list(store.all())


@pytest.mark.parametrize("pattern", ["*.sst", "MANIFEST*", "CURRENT"])
def test_a_damaged_store_says_so_and_can_be_set_aside(bench, pattern):
    """Opening or reading it raises CorruptStore; set aside, a new store takes its place."""
    directory = filled(bench)
    damage(directory, pattern)
    with pytest.raises(CorruptStore, match="set it aside and restore it"):
        read_all(bench, directory)
    assert set_aside(directory, "s") is not None
    fresh = bench.open(bench.spec(StoreKind.KEY_VALUE), directory=directory)
    assert (fresh.position, list(fresh.all())) == (None, [])
    fresh.close()


@pytest.mark.parametrize("flushed", [False, True])
def test_a_position_is_never_ahead_of_the_data(bench, flushed):
    """Whatever is cut off the list of RocksDB's files, as by a power cut while a store is closed: all, nothing, or damage."""
    spec, directory, copy, outcomes = bench.spec(StoreKind.KEY_VALUE), bench.task(), bench.task(), set()
    store = bench.open(spec, directory=directory)
    for position in (1, 2):
        for number in range(100):
            store.put(f"key-{number}", position)
        store.commit(position)
        if flushed and position == 1:
            store._engine.flush()
    store.close()
    (manifest,) = store_path(directory, "s").glob("MANIFEST*")
    data = manifest.read_bytes()
    for cut in range(0, len(data), 9):
        shutil.copytree(directory, copy)
        (store_path(copy, "s") / manifest.name).write_bytes(data[:cut])
        with suppress(CorruptStore), closing(bench.open(spec, directory=copy)) as store:
            outcomes.add((store.position, *{value for _, value in store.all()}))
        shutil.rmtree(copy)
    assert outcomes <= {(None,), (2, 2)}
    assert outcomes


def test_a_store_is_closed_after_a_scan_that_failed(bench):
    """The error, and the scan that raised it, are still looked at: the place is free nevertheless."""
    directory = filled(bench)
    damage(directory, "*.sst")
    store = bench.open(bench.spec(StoreKind.KEY_VALUE), directory=directory)
    scan = store.all()
    with pytest.raises(CorruptStore) as raised:
        list(scan)
    store.close()
    assert set_aside(directory, "s") is not None
    bench.open(bench.spec(StoreKind.KEY_VALUE), directory=directory).close()
    assert raised.value is not None
    assert list(scan) == []


def test_a_store_missing_its_files_says_so(bench):
    """A directory whose table files were removed is corrupt, not empty."""
    directory = filled(bench)
    for path in store_path(directory, "s").glob("*.sst"):
        path.unlink()
    with pytest.raises(CorruptStore):
        read_all(bench, directory)
