"""The totals that lie in the topics beside those that pandas computed: equal, or what is lacking and what came twice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from examples.taxi.check import Totals
from examples.taxi.ledger import Ledger


@dataclass(frozen=True)
class Verdict:
    """What differs, in words: `lost` is less than pandas has (or other), `repeated` more."""

    lost: tuple[str, ...]
    repeated: tuple[str, ...]

    @property
    def equal(self) -> bool:
        """Whether nothing differs."""
        return not self.lost and not self.repeated


def judge(ledger: Ledger, totals: Totals) -> Verdict:
    """Compare every number: rides, confirmed, refused by reason, and rides and fares of every window."""
    return Verdict(tuple(_lost(ledger, totals)), tuple(_repeated(ledger, totals)))


def _lost(ledger: Ledger, totals: Totals) -> Iterator[str]:
    refused = Counter(ledger.refused.values())
    pairs = [("rides", len(ledger.rides), totals.rides), ("confirmed", len(ledger.confirmed), totals.confirmed)]
    pairs += [(reason, refused[reason], totals.refused.get(reason, 0)) for reason in {*refused, *totals.refused}]
    yield from (f"{name}: {found:,} instead of {expected:,}" for name, found, expected in pairs if found != expected)
    wrong = sum(
        found is None or found.rides < rides or (found.rides == rides and round(found.fares * 100) != cents)
        for window, (rides, cents) in totals.takings.items()
        for found in [ledger.takings.get(window)]
    )
    if wrong:
        yield f"takings: {wrong:,} of {len(totals.takings):,} windows are missing, or too low"
    if strange := ledger.takings.keys() - totals.takings.keys():
        yield f"takings: {len(strange):,} windows that pandas does not have"


def _repeated(ledger: Ledger, totals: Totals) -> Iterator[str]:
    for name, counts in (("produced", ledger.rides), ("confirmed", ledger.confirmed)):
        if again := counts.total() - len(counts):
            yield f"{again:,} rides {name} again"
    again = sum(
        max(0, ledger.takings[window].rides - rides)
        for window, (rides, _) in totals.takings.items()
        if window in ledger.takings
    )
    if again:
        yield f"{again:,} rides counted again in takings"


def summary(ledger: Ledger, totals: Totals) -> str:
    """What the topics hold, in two lines."""
    reasons = ", ".join(f"{count:,} {reason}" for reason, count in Counter(ledger.refused.values()).most_common())
    fares = sum(takings.fares for takings in ledger.zones.values())
    away = ", ".join(f"{count:,} {reason}" for reason, count in totals.turned_away.items())
    return (
        f"{len(ledger.rides):,} rides in, {len(ledger.confirmed):,} confirmed, {len(ledger.refused):,} refused"
        + (f" ({reasons})" if reasons else "")
        + (f"; turned away at the door: {away}" if away else "")
        + f"\n{fares:,.2f} $ of fares in {len(ledger.takings):,} windows of {len(ledger.zones):,} zones"
    )
