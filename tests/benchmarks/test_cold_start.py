"""What a run cost from its beginning on is read off its samples, commit by commit."""

from typing import Any

from benchmarks.cold_start import cpu_until, section


def result(*samples: tuple[float, ...]) -> dict[str, Any]:
    return {"samples": samples}


def test_a_moment_is_that_of_the_commit() -> None:
    """Nothing is taken in proportion: what a commit brought counts when it was seen."""
    run = result((0.0, 0, 0.3), (0.2, 400_000, 1.0), (0.4, 400_000, 1.2), (0.6, 1_100_000, 2.0))
    assert cpu_until(run, 400_000) == 1.0
    assert cpu_until(run, 400_001) == 2.0


def test_a_run_that_is_too_short_says_nothing() -> None:
    """Nor does one of the time when samples had no CPU seconds."""
    assert cpu_until(result((0.0, 0, 0.3), (0.2, 400_000, 1.0)), 500_000) is None
    assert cpu_until(result((0.0, 0), (0.2, 600_000)), 500_000) is None


def test_rows_stand_beside_each_other() -> None:
    """Medians of several turns, a column per number that somebody reached, and no row where one of the two is missing."""
    ours, theirs = result((0.0, 0, 0.5), (1.0, 1_000_000, 2.0)), result((0.0, 0, 3.0), (4.0, 1_000_000, 9.0))
    longer = result((0.0, 0, 0.5), (1.0, 1_000_000, 2.2))
    rows = {
        "count": {"headrace": [ours, ours, longer], "kafka-streams": [theirs]},
        "window": {"headrace": [ours]},
    }
    page = "\n".join(section("at-least-once", rows))
    assert "| workload | 0.5 M | 1 M |\n" in page
    assert "| count | 2.0 / 9.0 = **4.5 x** | 2.0 / 9.0 = **4.5 x** |" in page
    assert "| window" not in page


def test_without_samples_there_is_no_section() -> None:
    """Results that were kept before say nothing here."""
    assert not list(section("exactly-once", {"count": {"headrace": [result()], "kafka-streams": [result()]}}))
