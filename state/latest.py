"""The latest times of columns, found at the speed of C."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import compress, count
from operator import gt
from typing import Any


def latest_of(keys: Sequence[Any], timestamps: Sequence[int]) -> dict[Any, int]:
    """The highest timestamp of each key, in the order of the keys' first records.

    Mostly that is the one of its last record; what is later than that is looked for at the speed of C.
    """
    latest = dict(zip(keys, timestamps, strict=True))
    later = map(gt, timestamps, map(latest.__getitem__, keys))
    for key, timestamp in compress(zip(keys, timestamps, strict=True), later):
        latest[key] = max(latest[key], timestamp)
    return latest


def raise_to(times: list[int], others: Sequence[int]) -> None:
    """Have no time be before its other one."""
    for at in compress(count(), map(gt, others, times)):
        times[at] = others[at]
