"""Lagging is no illness, lagging without progress is."""

from pathlib import Path

import pytest

from streams.runtime.worker_states import STALLED_S, TRANSITIONS, Progress, WorkerState, WorkerStatus
from tests.streams.runtime.workers import WORDS, caught_up, running, say, until, with_words, worker


class Clock:
    """Seconds that pass when they are told to."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def status(state: WorkerState = WorkerState.RUNNING, lag: int = 0) -> WorkerStatus:
    return WorkerStatus(state, ("0_0",), restoring=False, processed=0, lag=lag, skipped=0, dropped=0)


def test_an_idle_worker_is_well() -> None:
    """However long nothing comes."""
    progress = Progress(clock := Clock())
    for _ in range(10):
        clock.now += STALLED_S / 2
        progress.note(0, idle=True)
    assert progress.health(status()).healthy
    assert progress.health(status()).ready


def test_a_lagging_worker_is_well_as_long_as_it_moves() -> None:
    """And ill when it has not moved for a minute."""
    progress = Progress(clock := Clock())
    for done in range(10):
        clock.now += STALLED_S / 2
        progress.note(done, idle=False)
    assert progress.health(status(lag=1_000)).healthy
    clock.now += STALLED_S
    progress.note(9, idle=False)
    health = progress.health(status(lag=1_000))
    assert not health.healthy
    assert health.reason == "1,000 records behind, and no progress for 60 s"


def test_a_worker_that_hangs_is_seen_from_outside() -> None:
    """Nobody tells of turns any more."""
    progress = Progress(clock := Clock())
    clock.now += STALLED_S
    assert not progress.health(status()).healthy


@pytest.mark.parametrize("state", [WorkerState.ERROR, WorkerState.NOT_RUNNING, WorkerState.PENDING_SHUTDOWN])
def test_a_worker_that_ended_is_not_well(state: WorkerState) -> None:
    """The reason is its state."""
    health = Progress(Clock()).health(status(state))
    assert (health.healthy, health.ready, health.reason) == (False, False, f"the worker is {state.value}")


def test_while_it_restores_it_is_well_and_not_ready() -> None:
    """Queries have to wait."""
    health = Progress(Clock()).health(status(WorkerState.REBALANCING))
    assert (health.healthy, health.ready) == (True, False)


def test_no_way_leads_out_of_the_end() -> None:
    """The table of transitions covers all states."""
    assert TRANSITIONS.keys() == set(WorkerState)
    assert not TRANSITIONS[WorkerState.NOT_RUNNING] | TRANSITIONS[WorkerState.ERROR]


def test_what_was_fetched_and_waits_is_lag(tmp_path: Path) -> None:
    """A worker that processes nothing for now holds all that there is in its buffers, and is that far behind."""
    broker = with_words()
    with running(worker(broker, tmp_path)) as (only,):
        until(broker, lambda: caught_up(broker) and only.status().lag == 0)
        only.pause()
        say(broker, WORDS)
        until(broker, lambda: only._parts is not None and not only._parts.tasks.unfetched)
        until(broker, lambda: only.status().lag == len(WORDS))
        only.pause(paused=False)
        until(broker, lambda: caught_up(broker) and only.status().lag == 0)
