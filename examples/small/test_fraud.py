"""How a program is tested: the same app, in this thread, record by record, without a broker. Run with pytest."""

from collections.abc import Iterator

import pytest

from examples.small.fraud import Alert, Payment, app
from streams import Windowed
from streams.testing import TopologyTestDriver

MINUTE = 60_000


@pytest.fixture
def driver() -> Iterator[TopologyTestDriver]:
    with TopologyTestDriver(app) as driver:
        yield driver


def pay(driver: TopologyTestDriver, minute: float, country: str = "FR", card: str = "4711") -> None:
    driver.input("payments").send(card, Payment(10.0, country, round(minute * MINUTE)))


def test_five_payments_in_a_row_are_one_alert(driver: TopologyTestDriver) -> None:
    """The fifth payment raises it, the sixth adds nothing."""
    for minute in range(6):
        pay(driver, minute)
    assert driver.output("alerts").read_key_values() == [("4711", Alert("5 payments in a row", 5, 50.0))]


def test_a_payment_that_joins_two_sessions(driver: TopologyTestDriver) -> None:
    """Two countries 15 minutes apart are no alert, until a late payment between them makes them one session."""
    pay(driver, 0, "FR")
    pay(driver, 15, "US")
    assert driver.output("alerts").empty
    pay(driver, 8, "FR")
    (alert,) = driver.output("alerts").read_values()
    assert alert.reason == "paid in FR and US"


def test_the_state_can_be_looked_at(driver: TopologyTestDriver) -> None:
    """Stores are there under the names the program gave them."""
    pay(driver, 1)
    pay(driver, 2)
    session = driver.store("sessions").get(Windowed("4711", 1 * MINUTE, 2 * MINUTE))
    assert (session.payments, session.countries) == (2, ["FR"])
