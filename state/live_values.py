"""Live values in front of an engine: what the store below would answer, as objects.

Nobody can tell whether a value was there, except by the time it takes. The record cache in front of them (`state.cache`)
has nothing to do with it.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from typing import Any


class LiveValues(dict[Any, Any]):
    """Values by entry key (None: there is none); a key that is missing is loaded.

    `limit` is how many it may hold: the older half goes when a load would exceed it. Nothing is lost by that.
    """

    __slots__ = ("limit", "load")

    def __init__(self, load: Callable[[Any], Any], limit: int) -> None:
        super().__init__()
        self.load = load
        self.limit = limit

    def __missing__(self, entry: Any) -> Any:
        if len(self) >= self.limit:
            self.shrink(self.limit // 2)
        value = self[entry] = self.load(entry)
        return value

    def shrink(self, count: int) -> None:
        """Keep no more than `count`, the newest."""
        for entry in list(islice(self, max(len(self) - count, 0))):
            del self[entry]
