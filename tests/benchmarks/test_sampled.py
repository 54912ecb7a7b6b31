"""Samples of a worker's stacks become steps of a record's way."""

from pathlib import Path

import pytest

from benchmarks.peers.environments import BUILD
from benchmarks.processes import BenchmarkError, running
from benchmarks.sampled import PY_SPY, SHOWN, STEPS, counted, measured, sampling

SERVING = "main (streams/cli/__init__.py:9);Worker._turn (streams/runtime/worker.py:400)"
READING = (
    f"{SERVING};PartitionQueue._decode (streams/runtime/partition_group.py:158);decode (streams/operators/source.py:80)"
)


def test_the_innermost_function_with_a_step_says_where_a_sample_belongs() -> None:
    """A serde below a source is reading, the source itself an operator; Python's own modules count where they are called."""
    found = counted(
        [
            f"{READING};JsonSerde.deserialize_many (streams/serdes/json.py:67) 5",
            f"{READING};JsonSerde.serialize_many (streams/serdes/json.py:60) 2",
            f"{READING} 3",
            f"{SERVING};RecordCache.flush (state/cache.py:90);wraps (functools.py:10) 4",
            f"{SERVING};_add (benchmarks/programs.py:82) 1",
        ]
    )
    assert found == {
        "objects from bytes": 5,
        "objects to bytes": 2,
        "operators": 3,
        "stores above it": 4,
        "user functions": 1,
    }


def test_who_waits_or_has_not_begun_is_left_out() -> None:
    """Imports, a thread that stands by, and a loop that waits for the network."""
    assert not counted(
        [
            "main (streams/cli/__init__.py:9);_find (importlib/_bootstrap.py:1) 900",
            "NetworkLoop._stand_by (streams/clients/kafka/network_loop.py:70);Condition.wait (threading.py:324) 800",
            f"{SERVING};BaseEventLoop._run_once (asyncio/base_events.py:1);EpollSelector.select (selectors.py:468) 700",
        ]
    )


def test_every_step_is_shown_once() -> None:
    """The page leaves none out."""
    assert sorted(SHOWN) == sorted(step.name for step in STEPS)


@pytest.mark.broker
@pytest.mark.skipif(
    not (BUILD / PY_SPY.name / "packages.txt").exists(), reason="py-spy is not set up: make bench-sampled"
)
def test_a_run_is_sampled() -> None:
    """The shares of a real run are those of all its samples."""
    row = measured("count", 300_000)
    assert row["samples"] > 10
    assert sum(row["shares"].values()) == pytest.approx(1)
    assert row["shares"]["objects from bytes"] > 0
    assert row["shares"]["operators"] > 0


@pytest.mark.skipif(
    not (BUILD / PY_SPY.name / "packages.txt").exists(), reason="py-spy is not set up: make bench-sampled"
)
def test_a_process_without_python_is_an_error(tmp_path: Path) -> None:
    """What py-spy says of it is in the message."""
    with (
        running("sleeper", ["sleep", "30"], tmp_path) as sleeper,
        pytest.raises(BenchmarkError, match="py-spy saw nothing"),
        sampling(sleeper, tmp_path / "stacks.txt"),
    ):
        assert sleeper.process.poll() is None
