"""A record cache as queries see it: what it holds, and what lies below.

Rules: a query is no use of the cache, and has nothing kept there. So it changes neither what is let go nor when, and sets
nothing off that could fail downstream. Kafka's caching stores tell queries by their thread: only the stream thread's reads
count.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from state.cache import CachedEntries, RecordCache
from state.ordered import OrderedBytes


class QueriedCache:
    """The part of `RecordCache` that reads need."""

    counts_uses = False
    roomy = True
    """A read that evicts nothing may take all of a key at once."""

    def __init__(self, cache: RecordCache) -> None:
        self._cache = cache
        self.get = cache.peek

    @property
    def entries(self) -> CachedEntries:
        """Those of the cache."""
        return self._cache.entries

    @property
    def dirty(self) -> dict[Any, int]:
        """Those of the cache."""
        return self._cache.dirty

    def in_order(self, key_bytes: Callable[[Any], bytes]) -> OrderedBytes:
        """As of the cache."""
        return self._cache.in_order(key_bytes)
