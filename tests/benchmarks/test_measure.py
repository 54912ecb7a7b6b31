"""The harness on real processes, with tiny inputs: for correctness, not for figures."""

import pytest

from benchmarks.measure import Sample, _at, _span, run
from benchmarks.micro import STAGES, measure_stage
from benchmarks.processes import BenchmarkError, Usage
from benchmarks.workloads import WORKLOADS


def sample(seconds: float, committed: float) -> Sample:
    return Sample(seconds, committed, Usage(seconds * 2, 50.0), Usage(seconds / 2, 20.0))


def test_a_moment_between_two_samples_is_taken_in_proportion() -> None:
    """Three quarters of the way from one sample to the next, in time and in CPU."""
    found = _at([sample(1.0, 0), sample(2.0, 1_000), sample(3.0, 2_000)], 1_750)
    assert (found.seconds, found.worker.cpu_seconds, found.broker.cpu_seconds) == (2.75, 5.5, 1.375)


def test_steps_are_measured_from_commit_to_commit() -> None:
    """Commits at 20 % and 80 %, two seconds apart: 600 records, whatever lies between the samples."""
    steps = [sample(1.0, 0), sample(2.0, 200), sample(3.0, 200), sample(4.0, 800), sample(5.0, 1_000)]
    first, last = _span(steps, 1_000)
    assert (last.committed - first.committed, last.seconds - first.seconds) == (600, 2.0)


def test_too_few_commits_are_measured_in_proportion() -> None:
    """One commit in the middle is no span: points at 15 % and 95 % are."""
    first, last = _span([sample(0.0, 0), sample(1.0, 500), sample(2.0, 1_000)], 1_000)
    assert (first.committed, last.committed) == (150, 950)


@pytest.mark.broker
@pytest.mark.parametrize("name", ["taxi", "table-join"])
def test_a_run_is_measured_and_checked(name: str) -> None:
    """All input is committed, the output is right, and every figure is there."""
    result = run(WORKLOADS[name], 20_000, [], idle_seconds=0)
    assert result.records == 20_000
    assert result.records_per_second > 0
    assert result.worker_mb > 10
    assert result.samples[-1][1] == 20_000
    assert result.samples[0][2] < result.samples[-1][2]
    assert result.commits <= len({committed for _, committed, _ in result.samples})


@pytest.mark.broker
def test_a_worker_that_rejects_its_settings_is_an_error() -> None:
    """The end of the worker's log is in the message."""
    with pytest.raises(BenchmarkError, match="no_such_setting"):
        run(WORKLOADS["taxi"], 100, ["no_such_setting=1"], idle_seconds=0)


@pytest.mark.parametrize("step", [step for step in STAGES if not step.threads], ids=lambda step: step.name)
def test_every_stage_can_be_measured(step) -> None:
    """Each stage of the path handles all its batches."""
    assert measure_stage(step, repeats=1).ns > 0


@pytest.mark.broker
@pytest.mark.parametrize("step", [step for step in STAGES if step.threads], ids=lambda step: step.name)
def test_every_stage_with_a_broker_can_be_measured(step) -> None:
    """Fetching, changelogs and producing, with the client's own thread."""
    assert measure_stage(step, repeats=1).ns > 0
