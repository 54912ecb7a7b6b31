"""Reads of a range through a record cache, while writes to the same store may evict from it.

Rules, all Kafka's: the cache's keys of a segment are a snapshot, taken when the segment is reached; each key's value is
looked up when its turn comes, which is one entry ahead of what is handed out, and counts as a use; a key that was
evicted meanwhile is passed over. What lies below is a snapshot, segment by segment. Where both have a key, the cache
counts. Source: Kafka's ThreadCache iterators, AbstractMergedSortedCacheStoreIterator, SegmentIterator.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from state.cache import RecordCache

Found = tuple[Any, Any]
"""(entry key, live value)"""

_END: Any = None


def read_cached(cache: RecordCache, segments: list[list[Any]], finds: Callable[[Any], bool]) -> Iterator[Found]:
    """What the cache holds of the entry keys, segment by segment; those that a read does not find are used, and left out."""
    held = cache.entries
    for entries in segments:
        for entry in [entry for entry in entries if entry in held]:
            if entry in held:
                value = cache.get(entry)
                if finds(entry):
                    yield entry, value


def read_below(below: Callable[[Any], Any], segments: list[list[Any]]) -> Iterator[Found]:
    """What the store under the cache holds of the entry keys, segment by segment."""
    for entries in segments:
        yield from [(entry, value) for entry in entries if (value := below(entry)) is not None]


def merged(cached: Iterator[Found], stored: Iterator[Found], *, backward: bool) -> Iterator[Found]:
    """Both in one order; a None in the cache is a deletion, and hides what is below."""
    ahead, below = next(cached, _END), next(stored, _END)
    while ahead is not _END or below is not _END:
        if ahead is _END or (below is not _END and ahead[0] != below[0] and (below[0] < ahead[0]) != backward):
            yield below
            below = next(stored, _END)
            continue
        hidden = below is not _END and ahead[0] == below[0]
        if ahead[1] is not None:
            yield ahead
        ahead = next(cached, _END)
        if hidden:
            below = next(stored, _END)


def beside(
    found: Iterator[Found], cached: Iterator[Found], place: Callable[[Any], Any], *, backward: bool = False
) -> Iterator[Found]:
    """What a scan has `found`, while it reads on through what is `cached`, which counts that as used.

    Each when the scan comes to it, in the order of `place`, one ahead of what lies below: what is done with the entries
    before may use others meanwhile, and whoever stops early has used no more.
    """
    reached, ahead = None, (place(entry) for entry, _ in cached)
    for entry, value in found:
        wanted = place(entry)
        while reached is None or (reached > wanted if backward else reached < wanted):
            following = next(ahead, None)
            if following is None:
                break
            reached = following
        yield entry, value
    for _ in ahead:
        pass
