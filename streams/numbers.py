"""Whole numbers as arguments: what is none, or too small, is refused where it is given, and the argument is named."""

from __future__ import annotations

import operator
from typing import Any

from streams.errors import TopologyError

__all__ = ["counted", "whole_number"]


def counted(given: Any) -> int | None:
    """An int out of whatever Python counts by, numpy's integers among them; None for anything else, and for truth values."""
    try:
        return None if isinstance(given, bool) else operator.index(given)
    except TypeError:
        return None


def whole_number(given: Any, what: str, least: int = 1, error: type[Exception] = TopologyError) -> int:
    """A whole number of at least `least`; `what` names the argument. Raises: `error` that says what was expected."""
    number = counted(given)
    if number is None or number < least:
        cure = "; write it without quotes" if isinstance(given, str) and given.strip().isdigit() else ""
        raise error(f"{what}: expected a whole number of at least {least}, got {given!r}{cure}")
    return number
