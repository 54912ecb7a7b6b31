"""Workers as processes: what a supervisor does when one ends."""

import sys

import pytest

from streams.cli.supervisor import PATIENCE, REJECTED, STOP_ALL, Supervised


def worker(program: str) -> Supervised:
    """A worker whose process has run the program and ended, or runs."""
    supervised = Supervised(0, [sys.executable, "-c", program])
    supervised.start()
    return supervised


def ended(program: str) -> Supervised:
    supervised = worker(program)
    assert supervised.process is not None
    supervised.process.wait()
    return supervised


@pytest.mark.parametrize(("code", "verdict"), [(REJECTED, REJECTED), (STOP_ALL, STOP_ALL), (0, 0)])
def test_rejected_settings_and_a_regular_end_stop_everything(code: int, verdict: int) -> None:
    """A worker that says its settings are wrong would say so again; one that is done is done."""
    assert ended(f"raise SystemExit({code})").look() == verdict


def test_a_worker_that_dies_is_started_again(caplog: pytest.LogCaptureFixture) -> None:
    """It gets a pause first, and the log says how it died."""
    caplog.set_level("INFO")  # commands that ran in this process before have set their own
    dead = ended("import os, signal; os.kill(os.getpid(), signal.SIGKILL)")
    assert dead.look() is None
    assert "worker 0 was killed by SIGKILL; starting it again in 1 s" in caplog.text
    assert dead.look() is None
    assert dead.process is None, "the pause is not over"


def test_why_a_worker_died_is_told(caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]) -> None:
    """What it wrote is passed on as it came, and its error stands beside its exit code."""
    caplog.set_level("INFO")
    dead = ended("import sys; sys.exit('hello\\nerror: the zone 7 is unknown\\n  node: zones')")
    assert dead.look() is None
    assert "worker 0 ended with exit code 1 (the zone 7 is unknown); starting it again" in caplog.text
    assert "hello\nerror: the zone 7 is unknown\n" in capfd.readouterr().err


def test_a_worker_that_keeps_dying_ends_everything() -> None:
    """After some deaths in a row, none after a healthy while, patience is over."""
    verdicts = []
    dying = Supervised(0, [sys.executable, "-c", "raise SystemExit(1)"])
    for _ in range(PATIENCE):
        dying.start()
        assert dying.process is not None
        dying.process.wait()
        verdicts.append(dying.look())
    assert verdicts == [None] * (PATIENCE - 1) + [1]


def test_stopping_is_a_clean_end() -> None:
    """A worker that was asked to stop before it listened to signals counts as stopped."""
    running = worker("import time; time.sleep(60)")
    running.stop()
    assert running.wait() == 0
