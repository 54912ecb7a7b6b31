"""The shop's programs under the driver: stock, lead times, urging, terms, prices, rejected lines."""

import itertools
from collections.abc import Iterator

import pytest

from examples.retail import rules, topology
from examples.retail.messages import Line, PriceChange, Product, Reorder, Shipment, Stock, Supplier
from streams.testing import TopologyTestDriver

DAY = rules.DAY_MS
START = 14_900 * DAY


def line(row: int, quantity: int, day: float, product: str = "20001", invoice: str = "500000") -> Line:
    at_ms = START + int(day * DAY)
    return Line(f"{invoice}/{row}", invoice, product, "LANTERN", quantity, 2.0, "", "United Kingdom", at_ms)


class Shop:
    """The shop and its suppliers; `orders` and `shipments` are all there were."""

    def __init__(self, driver: TopologyTestDriver) -> None:
        self.driver = driver
        self._outputs = [driver.output("retail_reorders"), driver.output("retail_shipments")]
        self.orders: list[Reorder] = []
        self.shipments: list[Shipment] = []
        self.terms("Lantern & Co", 7)
        driver.input("retail_products").send("20001", Product("LANTERN", "Lantern & Co", 2.0), timestamp=START)

    def terms(self, supplier: str, lead_days: int) -> None:
        """The supplier's terms from now on."""
        self.driver.input("retail_suppliers").send(supplier, Supplier(lead_days, 50), timestamp=START)

    def sell(self, *lines: Line) -> None:
        """Lines, one after the other, and all that follows from each."""
        for each in lines:
            self.driver.input("retail_lines").send(each.id, each)
        for output, seen in zip(self._outputs, (self.orders, self.shipments), strict=True):
            seen.extend(output.read_values())

    def stock(self, product: str = "20001") -> Stock:
        found = self.driver.store("stock").get(product)
        assert isinstance(found, Stock)
        return found

    def prices(self) -> list[PriceChange]:
        return self.driver.output("retail_price_changes").read_values()


@pytest.fixture
def shop() -> Iterator[Shop]:
    """A shop with one product and its supplier."""
    with TopologyTestDriver(topology.app) as driver:
        yield Shop(driver)


def test_stock_is_a_table_of_lines(shop: Shop) -> None:
    """Sales and returns count once each; a line that comes again replaces itself, and one that is deleted is taken back."""
    shop.sell(line(1, 10, 0), line(2, 5, 1), line(3, -3, 2, invoice="C500001"))
    assert shop.stock() == Stock(rules.OPENING - 12, lines=3)
    shop.sell(line(2, 4, 1), line(1, 10, 0))
    assert shop.stock() == Stock(rules.OPENING - 11, lines=3)
    shop.driver.input("retail_lines").send("500000/2", None, timestamp=START + 3 * DAY)
    assert shop.stock() == Stock(rules.OPENING - 7, lines=2)


def test_a_rejected_line_is_a_letter_with_its_reason(shop: Shop) -> None:
    """It comes as it was, with the reason in Kafka's header, and changes nothing."""
    shop.sell(line(1, 1, 0, "POST"), line(2, -4, 0), line(3, 1, 0))
    letters = shop.driver.output("retail_rejected", key=str, value=Line).read()
    reasons = {letter.key: dict(letter.headers)["__streams.errors.message"] for letter in letters}
    assert reasons == {"500000/1": b"no product", "500000/2": b"adjustment without cancellation"}
    assert shop.stock().lines == 1


def test_goods_are_there_on_the_day_they_arrive(shop: Shop) -> None:
    """One order goes out when the stock is low; its goods count from the first line after their lead time on."""
    shop.sell(line(1, 90, 0))
    (order,) = shop.orders
    (shipment,) = shop.shipments
    assert (order.number, order.supplier, order.lead_days) == (1, "Lantern & Co", 7)
    early, late = ((shipment.arrives_ms - START) / DAY + shift for shift in (-0.1, 1.1))
    shop.sell(line(2, 1, early))
    assert shop.stock().received == 0
    shop.sell(line(3, 1, late))
    assert shop.stock().received == order.quantity == shipment.quantity
    assert shop.stock().on_hand == rules.OPENING - 92 + order.quantity - shipment.damaged


def test_a_forgotten_part_comes_when_the_order_is_urged(shop: Shop) -> None:
    """While an order is open no other is made; overdue, it is urged, and then comes in full before the next one."""
    shop.sell(*(line(row, 4, row / 2) for row in range(1, 400)))
    made = [order for order in shop.orders if not order.urged]
    assert [order.number for order in made] == list(range(1, len(made) + 1))
    assert any(order.urged for order in shop.orders)
    for before, order in itertools.pairwise(made):
        urged = [each.at_ms for each in shop.orders if each.urged and each.number == before.number]
        assert all(before.due_ms < at_ms <= order.at_ms for at_ms in urged)
        came = [each for each in shop.shipments if each.order == before.number and each.arrives_ms <= order.at_ms]
        assert sum(each.quantity for each in came) == before.quantity
        assert order.total == before.total + order.quantity
    assert shop.stock().lines == 399


def test_terms_follow_the_supplier(shop: Shop) -> None:
    """Whoever supplies a product may change the terms: the next order is made by them."""
    shop.terms("Lantern & Co", 21)
    shop.sell(line(1, 60, 0))
    assert [order.lead_days for order in shop.orders] == [21]


def test_every_price_change_has_its_own_cause(shop: Shop) -> None:
    """Prices go from one to the next in steps of one twentieth, each for another order."""
    shop.sell(*(line(row, 2, 5 * row) for row in range(1, 60)))
    shop.sell(*(line(row, 60, 300 + 3 * (row - 60)) for row in range(60, 80)))
    changes = shop.prices()
    assert len(changes) == len({change.cause for change in changes}) > 1
    assert changes[0].old == 2.0
    assert {change.cause.split()[-1] for change in changes} == {"scarce", "plenty"}
    for before, after in itertools.pairwise(changes):
        assert after.old == before.new
    for change in changes:
        assert abs(change.new - change.old) <= 0.05 * change.old + 0.01
        assert 1.4 <= change.new <= 2.6
