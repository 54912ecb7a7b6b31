"""The memory that all stores of a process share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from state.errors import StateError
from state.rocksdb import RocksDBEngine, RocksDBResources

TOTAL = 8 << 20


def test_write_buffers_of_many_stores_stay_within_the_bound(tmp_path: Path) -> None:
    """Twelve stores that are written in turn, each with less than fills its buffer: the fullest are written out."""
    resources = RocksDBResources(total_bytes=TOTAL)
    engines = [RocksDBEngine(tmp_path / str(number), resources) for number in range(12)]
    entries = {os.urandom(16): os.urandom(1_000) for _ in range(500)}
    for _ in range(4):
        for engine in engines:
            engine.write(entries)
            assert resources.write_buffers.get_usage() <= TOTAL
    assert all(engine.get(key) == value for engine in engines for key, value in list(entries.items())[:10])
    for engine in engines:
        engine.close()


def test_empty_buffers_of_many_stores_leave_room(tmp_path: Path) -> None:
    """What a store takes before it is written to is little, however many there are: nothing is written out for it."""
    resources = RocksDBResources(total_bytes=TOTAL)
    engines = [RocksDBEngine(tmp_path / str(number), resources) for number in range(100)]
    assert resources.write_buffers.get_usage() < TOTAL // 3
    for engine in engines:
        engine.write({b"k": b"v"})
    assert not list(tmp_path.rglob("*.sst"))
    assert all(engine.get(b"k") == b"v" for engine in engines)
    for engine in engines:
        engine.close()


def test_a_closed_store_has_no_buffers(tmp_path: Path) -> None:
    """Whoever looks for the fullest one passes it over."""
    resources = RocksDBResources(total_bytes=TOTAL)
    closed, open_ = (RocksDBEngine(tmp_path / name, resources) for name in ("a", "b"))
    closed.write({b"k": b"v" * 100_000})
    closed.close()
    open_.write({b"k": b"v"})
    resources.relieve()
    assert (closed.buffered_bytes(), open_.get(b"k")) == (0, b"v")
    open_.close()


def test_a_place_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    """As whatever else a disk has against a store."""
    (tmp_path / "file").touch()
    with pytest.raises(StateError, match="store .*/file/s: .*Not a directory"):
        RocksDBEngine(tmp_path / "file" / "s", RocksDBResources(total_bytes=TOTAL))
