"""Reading the topics from outside, and judging what lies in them against pandas' totals."""

from examples.taxi.check import Totals
from examples.taxi.ledger import Ledger
from examples.taxi.messages import Confirmed, Refused, Ride, Takings
from examples.taxi.verdict import Verdict, judge, summary
from streams import Connection, Windowed

RIDE = Ride(1, 7, 600_000, 1_200_000, 1, 9.5, 10.0, 0.0, 0.0, 10.0, "cash")
TOTALS = Totals(
    rides=3, turned_away={}, refused={"no zone": 1}, confirmed=2, takings={(7, 600_000): (1, 1000), (8, 0): (1, 250)}
)


def produce(connection: Connection, *, takings: tuple[Takings, Takings], confirmed: tuple[int, ...] = (1, 2)) -> None:
    connection.write("ride_details", [(ride, RIDE) for ride in (1, 2, 3)])
    connection.write(
        "ride_confirmed", [(7, Confirmed(ride, "Astoria", "Queens", "driver_001", 10.0)) for ride in confirmed]
    )
    connection.write("ride_refused", [(3, Refused(3, "no zone"))])
    for window, value in zip((Windowed(7, 600_000, 1_200_000), Windowed(8, 0, 600_000)), takings, strict=True):
        connection.write("zone_takings", [(window, Takings(0, 0.0)), (window, value)])


def read(connection: Connection) -> Ledger:
    ledger = Ledger(connection)
    ledger.catch_up()
    return ledger


def test_equal(connection: Connection) -> None:
    """The latest takings of each window count, and everything is there once."""
    produce(connection, takings=(Takings(1, 10.0), Takings(1, 2.5)))
    ledger = read(connection)
    assert judge(ledger, TOTALS).equal
    assert ledger.zones == {7: Takings(1, 10.0), 8: Takings(1, 2.5)}
    assert summary(ledger, TOTALS) == (
        "3 rides in, 2 confirmed, 1 refused (1 no zone)\n12.50 $ of fares in 2 windows of 2 zones"
    )


def test_a_lost_ride_is_told_wherever_it_is_missing(connection: Connection) -> None:
    """Each number that is too low has its line."""
    produce(connection, takings=(Takings(1, 10.0), Takings(0, 0.0)), confirmed=(1,))
    verdict = judge(read(connection), TOTALS)
    assert verdict == Verdict(("confirmed: 1 instead of 2", "takings: 1 of 2 windows are missing, or too low"), ())


def test_rides_handled_twice_are_not_lost(connection: Connection) -> None:
    """At least once: what came again is told apart from what is missing."""
    produce(connection, takings=(Takings(2, 20.0), Takings(1, 2.5)), confirmed=(1, 2, 2))
    verdict = judge(read(connection), TOTALS)
    assert verdict == Verdict((), ("1 rides confirmed again", "1 rides counted again in takings"))


def test_wrong_fares_are_not_equal(connection: Connection) -> None:
    """The number of rides alone does not make a window equal."""
    produce(connection, takings=(Takings(1, 10.01), Takings(1, 2.5)))
    assert judge(read(connection), TOTALS).lost == ("takings: 1 of 2 windows are missing, or too low",)
