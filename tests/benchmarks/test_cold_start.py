"""What a run cost from its beginning on is read off its samples, commit by commit."""

from typing import Any

import pytest

from benchmarks.cold_start import cpu_until, rate_of_first, section


def result(*samples: tuple[float, ...]) -> dict[str, Any]:
    return {"samples": samples, "records_per_cpu_second": 700_000.0}


def test_a_moment_is_that_of_the_commit() -> None:
    """Nothing is taken in proportion: what a commit brought counts when it was seen."""
    run = result((0.0, 0, 0.3), (0.2, 400_000, 1.0), (0.4, 400_000, 1.2), (0.6, 1_100_000, 2.0))
    assert cpu_until(run, 400_000) == 1.0
    assert cpu_until(run, 400_001) == 2.0


def test_a_run_that_is_too_short_says_nothing() -> None:
    """Nor does one of the time when samples had no CPU seconds."""
    assert cpu_until(result((0.0, 0, 0.3), (0.2, 400_000, 1.0)), 500_000) is None
    assert cpu_until(result((0.0, 0), (0.2, 600_000)), 500_000) is None


def test_a_rate_is_taken_between_commits_in_proportion() -> None:
    """As if the run had ended there: what was committed by 15 % and by 95 % of so many, and the CPU in between."""
    run = result((0.0, 0, 0.3), (0.2, 100_000, 1.0), (0.4, 200_000, 2.0), (0.6, 1_000_000, 4.0))
    assert rate_of_first(run, 1_000_000) == pytest.approx(800_000 / (3.875 - 1.5))
    assert rate_of_first(run, 1_200_000) is None
    assert rate_of_first(run, 500_000) is None


def test_rows_stand_beside_each_other() -> None:
    """Medians of several turns, a column per number that somebody reached, and no row where one of the two is missing."""
    ours = result((0.0, 0, 0.5), (1.0, 1_000_000, 2.0))
    theirs = result((0.0, 0, 3.0), (0.5, 100_000, 4.0), (4.0, 1_000_000, 9.0))
    longer = result((0.0, 0, 0.5), (1.0, 1_000_000, 2.2))
    rows = {
        "count": {"headrace": [ours, ours, longer], "kafka-streams": [theirs]},
        "window": {"headrace": [ours]},
    }
    page = "\n".join(section("at-least-once", rows))
    assert "| workload | 0.5 M | 1 M |\n" in page
    assert "| count | 2.0 / 9.0 = **4.5 x** | 2.0 / 9.0 = **4.5 x** |" in page
    assert "| count | - | 180 | - | - | 700 | 700 |" in page
    assert "| window" not in page


def test_without_samples_there_is_no_section() -> None:
    """Results that were kept before say nothing here."""
    assert not list(section("exactly-once", {"count": {"headrace": [result()], "kafka-streams": [result()]}}))
