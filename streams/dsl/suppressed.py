"""When a suppressed table lets its updates go. Kafka's Suppressed and BufferConfig."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from streams.durations import Duration
from streams.graph.windows import checked
from streams.numbers import whole_number

__all__ = ["Suppressed", "until_time_limit", "until_window_closes"]


class Suppressed(Struct, frozen=True, kw_only=True):
    """Made by `until_window_closes` and `until_time_limit`. Bounds of None: no bound."""

    until_window_closes: bool
    wait_ms: int = 0
    max_records: int | None = None
    max_bytes: int | None = None
    emit_early: bool = False
    logged: bool = True
    name: str | None = None


def until_window_closes(
    *, max_records: int | None = None, max_bytes: int | None = None, logged: bool = True, name: str | None = None
) -> Suppressed:
    """One result per window, when no record can change it any more.

    A bound that is reached stops the task: a result must not go out before it is final.
    """
    return Suppressed(until_window_closes=True, logged=logged, name=name, **_bounds(max_records, max_bytes))


def until_time_limit(
    limit: Duration,
    *,
    max_records: int | None = None,
    max_bytes: int | None = None,
    shut_down_when_full: bool = False,
    logged: bool = True,
    name: str | None = None,
) -> Suppressed:
    """At most one update per key in `limit` of stream time.

    A bound that is reached lets the oldest go early, or with `shut_down_when_full` stops the task.
    """
    return Suppressed(
        until_window_closes=False,
        wait_ms=checked(limit, "the time limit of suppress", 0),
        emit_early=not shut_down_when_full,
        logged=logged,
        name=name,
        **_bounds(max_records, max_bytes),
    )


def _bounds(max_records: int | None, max_bytes: int | None) -> dict[str, Any]:
    """The bounds that there are. Raises: TopologyError for one that is no number above 0."""
    given = {"max_records": max_records, "max_bytes": max_bytes}
    return {name: whole_number(bound, f"suppress: {name}") for name, bound in given.items() if bound is not None}
