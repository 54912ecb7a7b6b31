"""The questions, as programs of the DSL; `streams run benchmarks.nexmark.queries:q5` runs one.

Rules: public names only, typed values, no setting that a user would not want. Each is an application of its own that
writes to the topic of its name. A program that regroups by another key sees times out of order, as its tasks read their
partitions each at its own pace: its windows accept them for a day, so that a replay counts every record.
"""

from __future__ import annotations

from typing import Any

import msgspec

from benchmarks.nexmark.events import SIDE_ROWS, Auction, Bid, Person
from streams import App, KStream, KTable, SessionWindows, TimeWindows, Windowed
from streams.processor import wall_clock_timestamp

DOLLAR_TO_EURO = 0.908
ON_REPLAY = "1 day"


class InEuro(msgspec.Struct):
    """A bid in another currency."""

    auction: int
    bidder: int
    price: float
    time_ms: int


class Offer(msgspec.Struct):
    """What was offered for an auction."""

    auction: int
    price: int


class LocalItem(msgspec.Struct):
    """Something for sale nearby."""

    name: str
    city: str
    state: str
    auction: int


class Winning(msgspec.Struct):
    """The highest bid so far for an auction of a category."""

    category: int = 0
    price: int = 0


class Average(msgspec.Struct):
    """Sum and number, from which the average comes."""

    total: int = 0
    count: int = 0


class Hottest(msgspec.Struct):
    """The auctions with most bids."""

    bids: int = 0
    auctions: list[int] = []


class Newcomer(msgspec.Struct):
    """A person, and how many auctions they opened."""

    name: str = ""
    auctions: int = 0


class Placed(msgspec.Struct):
    """A bid with what the side table says."""

    auction: int
    bidder: int
    price: int
    side: str


def _app(name: str) -> App:
    return App(f"nexmark-{name}")


def _bids(app: App, **options: Any) -> KStream:
    return app.stream("bids", key=int, value=Bid, **options)


def _pass_through() -> App:
    app = _app("q0")
    _bids(app).to("q0")
    return app


def _currency() -> App:
    app = _app("q1")
    in_euro = _bids(app).map_values(
        lambda bid: InEuro(bid.auction, bid.bidder, DOLLAR_TO_EURO * bid.price, bid.time_ms)
    )
    in_euro.to("q1", value=InEuro)
    return app


def _selection() -> App:
    app = _app("q2")
    chosen = _bids(app).filter(lambda _, bid: bid.auction % 123 == 0)
    chosen.map_values(lambda bid: Offer(bid.auction, bid.price)).to("q2", value=Offer)
    return app


def _local_items() -> App:
    app = _app("q3")
    nearby = app.table("persons", key=int, value=Person).filter(lambda _, person: person.state in {"OR", "ID", "CA"})
    wanted = app.table("auctions", key=int, value=Auction).filter(lambda _, auction: auction.category == 10)
    (
        wanted.join(
            nearby,
            lambda auction, person: LocalItem(person.name, person.city, person.state, auction.id),
            on=lambda auction: auction.seller,
            value=LocalItem,
        )
        .to_stream()
        .to("q3")
    )
    return app


def _average_of_winning_bids() -> App:
    app = _app("q4")
    opened = app.table("auctions", key=int, value=Auction, name="auctions")

    def offered(bid: Bid, auction: Auction) -> Winning | None:
        return Winning(auction.category, bid.price) if auction.time_ms <= bid.time_ms <= auction.expires_ms else None

    winning = (
        _bids(app)
        .join(opened, offered, value=Winning)
        .filter(lambda _, offer: offer is not None)
        .group_by_key()
        .reduce(lambda best, offer: offer if offer.price > best.price else best, name="winning")
    )
    (
        winning.group_by(lambda _, best: (best.category, best.price), key=int, value=int)
        .aggregate(
            Average,
            lambda _, price, average: Average(average.total + price, average.count + 1),
            lambda _, price, average: Average(average.total - price, average.count - 1),
            name="averages",
            value=Average,
        )
        .to_stream()
        .to("q4")
    )
    return app


def _hot_items() -> App:
    app = _app("q5")
    counts = _bids(app).group_by_key().windowed_by(TimeWindows.of("10 s", advance="2 s")).count(name="bids")

    def hotter(_start: int, item: Offer, best: Hottest) -> Hottest:
        """A count only grows, so the auctions that reached the highest one are those that have it now."""
        if item.price < best.bids:
            return best
        return Hottest(item.price, [*best.auctions, item.auction] if item.price == best.bids else [item.auction])

    _by_window(counts, Offer, Offer).aggregate(Hottest, hotter, name="hottest", value=Hottest).to_stream().to("q5")
    return app


def _by_window(table: KTable, made: Any, value: type) -> Any:
    """The rows of a windowed table, grouped by the start of their window."""

    def moved(windowed: Windowed[int], row: Any) -> tuple[int, Any]:
        return windowed.start_ms, made(windowed.key, row)

    return table.to_stream().map(moved, key=int, value=value).group_by_key()


def _better(best: Bid, bid: Bid) -> Bid:
    """The higher bid; of equal ones the earlier, then the one with the lower numbers."""
    return min(best, bid, key=lambda one: (-one.price, one.time_ms, one.auction, one.bidder))


def _highest_bid() -> App:
    app = _app("q7")
    highest = _bids(app).group_by_key().windowed_by(TimeWindows.of("10 s")).reduce(_better, name="highest-of-auction")
    _by_window(highest, lambda _, bid: bid, Bid).reduce(_better, name="highest").to_stream().to("q7")
    return app


def _new_sellers() -> App:
    app = _app("q8")
    arrived = app.stream("persons", key=int, value=Person).group_by_key()
    opened = app.stream("auctions", key=int, value=Auction).group_by(lambda _, auction: auction.seller, key=int)
    (
        arrived.cogroup(lambda _, person, newcomer: Newcomer(person.name, newcomer.auctions))
        .cogroup(opened, lambda _key, _auction, newcomer: Newcomer(newcomer.name, newcomer.auctions + 1))
        .windowed_by(TimeWindows.of("10 s", grace=ON_REPLAY))
        .aggregate(Newcomer, name="newcomers", value=Newcomer)
        .to_stream()
        .filter(lambda _, newcomer: bool(newcomer.name and newcomer.auctions))
        .to("q8")
    )
    return app


def _bids_by_bidder(name: str, windows: Any, **options: Any) -> App:
    app = _app(name)
    by_bidder = _bids(app, **options).group_by(lambda _, bid: bid.bidder, key=int)
    by_bidder.windowed_by(windows).count(name="bids").to_stream().to(name)
    return app


def _side_input() -> App:
    app = _app("q13")
    side = app.global_table("side", key=int, value=str)
    (
        _bids(app)
        .join(
            side,
            lambda bid, text: Placed(bid.auction, bid.bidder, bid.price, text),
            on=lambda _, bid: bid.auction % SIDE_ROWS,
            value=Placed,
        )
        .to("q13")
    )
    return app


q0 = _pass_through()
q1 = _currency()
q2 = _selection()
q3 = _local_items()
q4 = _average_of_winning_bids()
q5 = _hot_items()
q7 = _highest_bid()
q8 = _new_sellers()
q11 = _bids_by_bidder("q11", SessionWindows.with_inactivity_gap("10 s", grace=ON_REPLAY))
q12 = _bids_by_bidder("q12", TimeWindows.of("10 s", grace=ON_REPLAY), timestamp=wall_clock_timestamp)
q13 = _side_input()
