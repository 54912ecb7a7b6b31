"""Whole numbers as arguments: what is none, or too small, is refused where it is given, and the argument is named."""

from __future__ import annotations

import operator
from typing import Any

from streams.errors import TopologyError

__all__ = ["whole_number"]


def whole_number(given: Any, what: str, least: int = 1, error: type[Exception] = TopologyError) -> int:
    """A whole number of at least `least`; `what` names the argument. Raises: `error` that says what was expected."""
    try:
        number = operator.index(given)
    except TypeError:
        number = least - 1
    if number < least or isinstance(given, bool):
        cure = "; write it without quotes" if isinstance(given, str) and given.strip().isdigit() else ""
        raise error(f"{what}: expected a whole number of at least {least}, got {given!r}{cure}")
    return number
