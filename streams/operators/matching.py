"""Which records of a join's two sides meet, as they come by turns: each meets what the other side has up to then.

Most keys of a join are new, or meet right here: those are found by whole columns. What remains, keys that come again or
that a side knows already, goes one by one. Where something may go out of reach meanwhile it matters in which order all of
them come: then all go one by one, which is the reference.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from itertools import chain, compress, count, repeat
from operator import gt, itemgetter, not_, sub
from typing import Any, NamedTuple

from state.recent import RecentEntries

__all__ = ["Arriving", "Match", "Way", "matches_of"]

Match = tuple[int, int, int, int, Any]
"""Who meets whom: of the later one its place among the turns, its side (0 or 1) and row, of the other one time and value."""


class Arriving(NamedTuple):
    """One side's records: what its keys are known by, times in ms, values, and the same as bytes."""

    identities: Sequence[Any]
    timestamps: Sequence[int]
    values: Sequence[Any]
    stored: Sequence[bytes]


class Way(NamedTuple):
    """How a side's records meet the other's: what both have lately, how much earlier and later a partner may be.

    Whoever meets a value gets an object of his own, as out of Kafka's stores: `read` makes it of the other side's bytes,
    `given` of values that are at hand.
    """

    mine: RecentEntries
    others: RecentEntries
    before_ms: int
    after_ms: int
    read: Callable[[bytes], Any]
    given: Callable[[list[Any]], list[Any]]


Arrivals = tuple[Arriving, Arriving]
Ways = tuple[Way, Way]
Rows = tuple[dict[Any, int], dict[Any, int]]
"""The row of each key on either side."""
Places = tuple[list[int], list[int]]
"""The place of each row of either side among the turns."""


def matches_of(arrivals: Arrivals, ways: Ways, turns: Sequence[int]) -> list[Match]:
    """All matches in the order of the turns, those of one record by time. What arrived is known to its side after that."""
    places = list(compress(count(), map(not_, turns))), list(compress(count(), turns))
    if _order_matters(arrivals, ways, 0) or _order_matters(arrivals, ways, 1):
        return _met_by_turns(arrivals, ways, sorted(chain(_turns_of(0, places), _turns_of(1, places))))
    rows = _rows(arrivals[0]), _rows(arrivals[1])
    known = _known(arrivals, ways, rows)
    matches = _met_here(arrivals, ways, places, rows, known)
    remaining: list[tuple[int, int, int]] = []
    for side, (arriving, way) in enumerate(zip(arrivals, ways, strict=True)):
        if known:
            is_known = list(map(known.__contains__, arriving.identities))
            remaining += compress(_turns_of(side, places), is_known)
            is_new = list(map(not_, is_known))
            arriving = Arriving(*(list(compress(column, is_new)) for column in arriving))  # noqa: PLW2901
        way.mine.add_new(arriving.identities, arriving.timestamps, arriving.stored)
    matches += _met_by_turns(arrivals, ways, sorted(remaining))
    matches.sort(key=itemgetter(0))
    return matches


def _turns_of(side: int, places: Places) -> Iterable[tuple[int, int, int]]:
    """Shape: (place among the turns, side, row)."""
    return zip(places[side], repeat(side), count())


def _order_matters(arrivals: Arrivals, ways: Ways, side: int) -> bool:
    """Whether it matters when, among reads of the other side's records, a side's are added."""
    added, reading = arrivals[side].timestamps, arrivals[1 - side].timestamps
    if not added:
        return False
    earliest = min(added)
    read_from = min(reading) - ways[1 - side].before_ms if reading else earliest
    return ways[side].mine.order_matters(earliest, max(added), read_from)


def _rows(arriving: Arriving) -> dict[Any, int]:
    return dict(zip(arriving.identities, count()))


def _known(arrivals: Arrivals, ways: Ways, rows: Rows) -> set[Any]:
    """The keys of which there is more than what just arrived, once on a side."""
    known: set[Any] = set()
    for arriving, way, row_of in zip(arrivals, ways, rows, strict=True):
        if len(row_of) < len(arriving.identities):
            known.update(identity for identity, times in Counter(arriving.identities).items() if times > 1)
        for lines in (way.mine.younger, way.others.younger, way.others.older):
            known |= row_of.keys() & lines.keys()
    return known


def _met_here(arrivals: Arrivals, ways: Ways, places: Places, rows: Rows, known: set[Any]) -> list[Match]:
    """What meets of the keys that are not known: here both are at hand, and the later one meets the earlier one."""
    both = [identity for identity in filter(rows[1].__contains__, rows[0]) if identity not in known]
    at = list(map(rows[0].__getitem__, both)), list(map(rows[1].__getitem__, both))
    is_later = list(map(gt, *(map(place_of.__getitem__, each) for place_of, each in zip(places, at, strict=True))))
    left = _met_at(0, arrivals, ways[0], places[0], *(list(compress(each, is_later)) for each in at))
    is_later = list(map(not_, is_later))
    return left + _met_at(1, arrivals, ways[1], places[1], *(list(compress(each, is_later)) for each in reversed(at)))


def _met_at(
    side: int, arrivals: Arrivals, way: Way, place_of: list[int], rows: list[int], other_rows: list[int]
) -> list[Match]:
    """The matches of the records at `rows` of a side, each with the other side's at the same index, as far as time allows."""
    mine, other = arrivals[side], arrivals[1 - side]
    times = list(map(other.timestamps.__getitem__, other_rows))
    apart = list(map(sub, times, map(mine.timestamps.__getitem__, rows)))
    values = way.given(list(map(other.values.__getitem__, other_rows)))
    matches = list(zip(map(place_of.__getitem__, rows), repeat(side), rows, times, values))
    if apart and (min(apart) < -way.before_ms or max(apart) > way.after_ms):
        return [match for match, ms in zip(matches, apart, strict=True) if -way.before_ms <= ms <= way.after_ms]
    return matches


def _met_by_turns(arrivals: Arrivals, ways: Ways, turns: Iterable[tuple[int, int, int]]) -> list[Match]:
    """Meet records one by one, and show each to the ones that follow."""
    matches: list[Match] = []
    for place, side, row in turns:
        identities, timestamps, _, stored = arrivals[side]
        mine, others, before_ms, after_ms, read, _ = ways[side]
        identity, timestamp = identities[row], timestamps[row]
        if identity in others.younger or identity in others.older:
            for other_time, other in others.between(identity, timestamp - before_ms, timestamp + after_ms):
                matches.append((place, side, row, other_time, read(other)))
        mine.add(identity, timestamp, stored[row])
    return matches
