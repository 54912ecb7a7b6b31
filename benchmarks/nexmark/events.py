"""The auction house: 1 person, 3 auctions and 46 bids in each 50 events, seeded, 10,000 events a second of event time.

Rules: event number n is the same event whoever asks, so the three topics are made independently of each other and fit
together: an auction is sold by a person who is there already, a bid goes to an auction that is open. Half of the bids
go to a hot auction, three quarters come from a hot bidder, three quarters of the auctions from a hot seller.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from random import Random

import msgspec

from benchmarks.load import CHUNK, START_MS, Columns, Input

PERSONS, AUCTIONS, EPOCH = 1, 3, 50
EVENTS_PER_SECOND = 10_000
FIRST_ID = 1_000
FIRST_CATEGORY, CATEGORIES = 10, 5
IN_FLIGHT = 100
ACTIVE_PERSONS = 1_000
HOT_AUCTION, HOT_PERSON = 2, 4
HOT_EVERY = 100
CITIES = (
    ("Phoenix", "AZ"), ("Los Angeles", "CA"), ("San Francisco", "CA"), ("Boise", "ID"), ("Portland", "OR"),
    ("Bend", "OR"), ("Redmond", "WA"), ("Seattle", "WA"), ("Kent", "WA"), ("Cheyenne", "WY"),
)  # fmt: skip
FIRST_NAMES = ("Peter", "Paul", "Luke", "John", "Saul", "Vicky", "Kate", "Julie", "Sarah", "Deiter", "Walter")
LAST_NAMES = ("Shultz", "Abrams", "Spencer", "White", "Bartels", "Walton", "Smith", "Jones", "Noris")
CHANNELS = ("Google", "Facebook", "Baidu", "Apple")


class Person(msgspec.Struct):
    """Somebody who sells and bids."""

    id: int
    name: str
    city: str
    state: str
    time_ms: int


class Auction(msgspec.Struct):
    """Something for sale until `expires_ms`."""

    id: int
    item: str
    initial_bid: int
    time_ms: int
    expires_ms: int
    seller: int
    category: int


class Bid(msgspec.Struct):
    """An offer, in cents."""

    auction: int
    bidder: int
    price: int
    channel: str
    time_ms: int


Event = Person | Auction | Bid


def time_of(number: int) -> int:
    """When an event happens, in ms since 1970.

    A bid comes 1 ms later than its place says, so that no bid has the very time at which its auction opens.
    """
    return START_MS + number * 1_000 // EVENTS_PER_SECOND + (number % EPOCH >= PERSONS + AUCTIONS)


def event(number: int) -> Event:
    """The event of that number."""
    epoch, place = divmod(number, EPOCH)
    random = Random(number)
    if place < PERSONS:
        return _person(random, number, epoch)
    if place < PERSONS + AUCTIONS:
        return _auction(random, number, epoch, epoch * AUCTIONS + place - PERSONS)
    return _bid(random, number, epoch)


def _person(random: Random, number: int, index: int) -> Person:
    city, state = random.choice(CITIES)
    name = f"{random.choice(FIRST_NAMES)} {random.choice(LAST_NAMES)}"
    return Person(FIRST_ID + index, name, city, state, time_of(number))


def _auction(random: Random, number: int, epoch: int, index: int) -> Auction:
    lasts_ms = IN_FLIGHT * EPOCH // AUCTIONS * 1_000 // EVENTS_PER_SECOND
    return Auction(
        id=FIRST_ID + index,
        item=f"item {random.randrange(100_000)}",
        initial_bid=_price(random),
        time_ms=time_of(number),
        expires_ms=time_of(number) + 1 + random.randrange(2 * lasts_ms),
        seller=_one_person(random, epoch),
        category=FIRST_CATEGORY + random.randrange(CATEGORIES),
    )


def _bid(random: Random, number: int, epoch: int) -> Bid:
    newest = epoch * AUCTIONS + AUCTIONS - 1
    if random.randrange(HOT_AUCTION):
        auction = newest // HOT_EVERY * HOT_EVERY
    else:
        auction = random.randint(max(0, newest - IN_FLIGHT), newest)
    price, channel = _price(random), random.choice(CHANNELS)
    return Bid(FIRST_ID + auction, _one_person(random, epoch), price, channel, time_of(number))


def _one_person(random: Random, newest: int) -> int:
    if random.randrange(HOT_PERSON):
        return FIRST_ID + newest // HOT_EVERY * HOT_EVERY
    return FIRST_ID + random.randint(max(0, newest - ACTIVE_PERSONS), newest)


def _price(random: Random) -> int:
    return round(100 * 10 ** (random.random() * 6))


def _input(topic: str, events: int, chosen: Callable[[int], bool], key: Callable[[Event], int]) -> Input:
    def make() -> Iterator[Columns]:
        for first in range(0, events, CHUNK):
            numbers = [number for number in range(first, min(first + CHUNK, events)) if chosen(number % EPOCH)]
            if not numbers:
                continue
            made = [event(number) for number in numbers]
            yield Columns(
                [key(one).to_bytes(8, "big") for one in made],
                [msgspec.json.encode(one) for one in made],
                [one.time_ms for one in made],
            )

    kept: list[Columns] = []

    def chunks() -> Iterator[Columns]:
        if not kept:
            kept.extend(make())
        return iter(kept)

    return Input(topic, sum(chosen(number % EPOCH) for number in range(events)), chunks)


@cache  # eleven queries, and their answers, are over the same events
def persons(events: int) -> Input:
    """The persons among the first so many events, by id."""
    return _input("persons", events, lambda place: place < PERSONS, lambda person: person.id)


@cache
def auctions(events: int) -> Input:
    """The auctions among the first so many events, by id."""
    return _input("auctions", events, lambda place: PERSONS <= place < PERSONS + AUCTIONS, lambda auction: auction.id)


@cache
def bids(events: int) -> Input:
    """The bids among the first so many events, by auction."""
    return _input("bids", events, lambda place: place >= PERSONS + AUCTIONS, lambda bid: bid.auction)


def side(_events: int) -> Input:
    """A small table from elsewhere that bids are looked up in."""

    def chunks() -> Iterator[Columns]:
        numbers = range(SIDE_ROWS)
        values = [f"side {number}".encode() for number in numbers]
        yield Columns([number.to_bytes(8, "big") for number in numbers], values, [0] * SIDE_ROWS)

    return Input("side", SIDE_ROWS, chunks, compacted=True)


SIDE_ROWS = 1_000
