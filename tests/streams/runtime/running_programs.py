"""Waiting for programs that run on threads of the test."""

from __future__ import annotations

import time
from collections.abc import Callable

from streams.background import Running


def until(holds: Callable[[], object], *runs: Running) -> None:
    """Wait until something holds. Raises: what stopped one of the programs."""
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline
        for run in runs:
            run.check()
        time.sleep(0.02)
