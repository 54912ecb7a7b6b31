"""The shop's rules, one by one."""

import pytest

from examples.retail import rules
from examples.retail.messages import Line, Reorder, Sale, Shipment, Stock

LINE = Line(1, "536365", "85123A", "LANTERN", 6, 2.55, "17850", "United Kingdom", 0)
DAY = rules.DAY_MS


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({}, None),
        ({"customer": ""}, None),
        ({"invoice": "C536365", "quantity": -6}, None),
        ({"invoice": "C536365", "quantity": -6, "price": 0.0}, None),
        ({"product": "POST"}, "no product"),
        ({"quantity": 0}, "no quantity"),
        ({"quantity": -6}, "adjustment without cancellation"),
        ({"price": 0.0}, "no price"),
        ({"product": "M", "quantity": 0}, "no product"),
    ],
)
def test_which_lines_count(change: dict[str, object], reason: str | None) -> None:
    """The first reason counts; a missing customer is none."""
    fields = {name: getattr(LINE, name) for name in Line.__struct_fields__}
    assert rules.complaint(Line(**{**fields, **change})) == reason


def test_stock_goes_by_sales_returns_and_shipments() -> None:
    """What is on hand is the opening, less sales, plus returns, plus what arrived undamaged."""
    stock = rules.sold(Stock(opening=10), Sale(1, 4, 2.0, 0))
    stock = rules.sold(stock, Sale(2, -1, 2.0, 0))
    stock = rules.arrived(stock, Shipment(1, 5, 2, last=True, at_ms=0))
    assert (stock.on_hand, stock.list_price, stock.closed) == (12, 2.0, 1)


def test_demand_is_that_of_fourteen_days() -> None:
    """Older days are forgotten, late sales on remembered days count, and later ones do not bring old days back."""
    stock = Stock()
    for day in (0, 3, 13, 14, 2, 0):
        stock = rules.sold(stock, Sale(1, 1, 2.0, day * DAY))
    assert stock.demand == {2: 1, 3: 1, 13: 1, 14: 1}


def test_one_open_order() -> None:
    """Below the reorder point an order is made, and none while it is open."""
    low = Stock(opening=30, sold=15, demand={0: 15})
    order = rules.reorder(low, 7)
    assert order == Reorder(1, 50, 0, 7)
    assert rules.reorder(Stock(opening=30, sold=15, demand={0: 15}, orders=1), 7) is None
    assert rules.reorder(Stock(opening=100), 7) is None
    assert rules.reorder(Stock(opening=0, sold=40), 7) == Reorder(1, 90, 0, 7)


def test_prices_go_in_bounded_steps() -> None:
    """Up when sold out, down when there is too much, never beyond the bounds, each with its cause."""
    order, complete = Reorder(3, 50, 2, 0), Shipment(3, 50, 0, last=True, at_ms=0)
    empty = Stock(list_price=10.0, price=10.0)
    full = Stock(opening=500, list_price=10.0, price=7.1, demand={0: 14})
    up, down = rules.dearer(empty, order), rules.cheaper(full, complete)
    assert up and (up.cause, up.old, up.new) == ("order 3: sold out", 10.0, 10.5)
    assert down and (down.cause, down.new) == ("order 3: overstocked", 7.0)
    assert rules.dearer(Stock(list_price=10.0, price=13.0), order) is None
    assert rules.dearer(full, order) is None
    assert rules.cheaper(full, Shipment(3, 50, 0, last=False, at_ms=0)) is None


@pytest.mark.parametrize("number", range(1, 20))
def test_the_supplier_ships_all_or_damages_it(number: int) -> None:
    """Parts come to what was ordered, the last one closes the order, and the same order is shipped the same way."""
    order = Reorder(number, 90, 0, 5 * DAY)
    parts = list(rules.shipments("85123A", order))
    assert sum(part.delivered + part.damaged for part in parts) == 90
    assert [part.last for part in parts] == [False] * (len(parts) - 1) + [True]
    assert all(part.at_ms > order.at_ms for part in parts)
    assert parts == list(rules.shipments("85123A", order))
