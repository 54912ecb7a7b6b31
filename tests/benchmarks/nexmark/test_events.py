"""The auction house: events that fit together."""

from benchmarks.nexmark.events import EPOCH, Auction, Bid, Person, auctions, bids, event, persons

EVENTS = 20 * EPOCH


def test_the_usual_proportions() -> None:
    """Of 50 events one is a person, three are auctions, the rest bids; the inputs say how many they have."""
    made = [event(number) for number in range(EVENTS)]
    counts = [sum(isinstance(one, kind) for one in made) for kind in (Person, Auction, Bid)]
    assert counts == [20, 60, 920]
    assert [make(EVENTS).records for make in (persons, auctions, bids)] == counts
    assert [sum(len(columns.keys) for columns in make(EVENTS).chunks()) for make in (persons, auctions, bids)] == counts


def test_events_are_repeatable_and_in_order_of_time() -> None:
    """The same number is the same event, and times do not go back within a kind."""
    made = [event(number) for number in range(EVENTS)]
    assert made == [event(number) for number in range(EVENTS)]
    for kind in (Person, Auction, Bid):
        times = [one.time_ms for one in made if isinstance(one, kind)]
        assert times == sorted(times)


def test_who_is_referred_to_is_there() -> None:
    """Sellers and bidders are persons seen before, and bids go to auctions that opened earlier."""
    people, opened = set(), {}
    for number in range(EVENTS):
        one = event(number)
        if isinstance(one, Person):
            people.add(one.id)
        elif isinstance(one, Auction):
            assert one.seller in people
            assert one.expires_ms > one.time_ms
            opened[one.id] = one.time_ms
        else:
            assert one.bidder in people
            assert opened[one.auction] < one.time_ms
