"""What a soak calls grown."""

from __future__ import annotations

from benchmarks.soak.__main__ import Sample, grown


def sample(minute: int, **changed: float) -> Sample:
    """A moment of an even run."""
    even = Sample(minute * 60.0, 60.0, 200.0, 70, 140, 110.0, 180.0, minute)
    return even._replace(**changed)  # type: ignore[arg-type]  # files are whole numbers in the tests too


def test_an_even_run_is_flat() -> None:
    """However it begins: the first quarter is for warming up."""
    run = [sample(minute, worker_mb=100.0 + minute) for minute in range(15)] + [sample(m) for m in range(15, 60)]
    assert grown(run) == []


def test_each_that_grows_is_told() -> None:
    """Memory by a megabyte a minute, a file a minute, and a latency that creeps."""
    run = [sample(m, worker_mb=200.0 + m, broker_files=70 + m, p99_ms=180.0 + 10 * m) for m in range(60)]
    told = [line.split(" went ")[0] for line in grown(run)]
    assert told == ["worker_mb", "broker_files", "p99_ms"]


def test_a_moment_is_no_soak() -> None:
    """It says that it cannot tell."""
    assert grown([sample(0)]) == ["too short to say: take more minutes"]
