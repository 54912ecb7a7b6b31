"""The shop's rules, one by one."""

import pytest

from examples.retail import rules
from examples.retail.messages import Account, Demand, Line, Movement, Product, Shipment, Stock, Supplier, Terms

LINE = Line(1, "536365", "85123A", "LANTERN", 6, 2.55, "17850", "United Kingdom", 0)
TERMS = Terms(Product("LANTERN", "Ceramica", 10.0), Supplier(lead_days=14, least_order=50))
DAY = rules.DAY_MS


def position(on_hand: int, fortnight: int) -> rules.Position:
    return rules.Position(Stock(delivered=on_hand - rules.OPENING), TERMS, Demand(fortnight))


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
    """What is on hand changes by what arrived undamaged, less sales, plus returns; taking all back leaves nothing."""
    movements = [Movement("p", Stock(lines=1, sold=4), 0), Movement("p", Stock(lines=1, returned=1), 0)]
    movements.append(rules.receipt(Shipment("p", 1, 1, 7, 2, 5, 0)))
    stock = Stock()
    for each in movements:
        stock = rules.book("p", each, stock)
    assert (stock.lines, stock.change, stock.received) == (2, 2, 7)
    for each in movements:
        stock = rules.take_back("p", each, stock)
    assert stock == Stock()


def test_an_order_is_made_below_the_reorder_point() -> None:
    """That is what is sold in the supplier's lead time, and some; the order covers a month, and what is owed."""
    account = Account(10.0, orders=2, ordered=120)
    assert rules.reorder(account, position(60, 40), 7) is None
    order = rules.reorder(account, position(59, 40), 7)
    assert order
    assert (order.number, order.quantity, order.before) == (3, 80, 120)
    assert order.due_ms == 7 + (14 + rules.GRACE_DAYS) * DAY
    owed = rules.reorder(account, position(-30, 4), 7)
    assert owed
    assert owed.quantity == 50 + 30


def test_prices_go_in_bounded_steps() -> None:
    """Up when what is left is short, down when there is plenty, never beyond the bounds, each with its cause."""
    order = rules.reorder(Account(10.0), position(5, 40), 0)
    assert order
    up = rules.dearer(Account(10.0), position(5, 40), order)
    down = rules.cheaper(Account(7.1), position(300, 14), order, 9)
    assert up and (up.cause, up.old, up.new, up.cover_days) == ("order 1: scarce", 10.0, 10.5, 1.8)
    assert down and (down.cause, down.old, down.new, down.cover_days) == ("order 1: plenty", 7.1, 7.0, 300.0)
    assert rules.dearer(Account(13.0), position(5, 40), order) is None
    assert rules.dearer(Account(10.0), position(50, 40), order) is None
    assert rules.cheaper(Account(10.0), position(60, 14), order, 9) is None


@pytest.mark.parametrize("number", range(1, 30))
def test_suppliers_send_all_in_the_end(number: int) -> None:
    """Parts come to what was ordered, forgotten ones when it is urged, once; the same order is answered the same way."""
    order = rules.reorder(Account(10.0, orders=number - 1), position(0, 40), 5 * DAY)
    assert order
    once = rules.urged(order, order.due_ms + 1)
    answers = [shipment for asked in (order, once) for _, shipment in rules.shipments("85123A", asked)]
    assert sum(each.quantity for each in answers) == order.quantity
    assert {key for key, _ in rules.shipments("85123A", order)}.isdisjoint(dict(rules.shipments("85123A", once)))
    assert list(rules.shipments("85123A", rules.urged(once, once.due_ms))) == []
    assert all(each.arrives_ms > each.at_ms and 0 <= each.damaged <= each.quantity // 10 for each in answers)
    assert list(rules.shipments("85123A", order)) == list(rules.shipments("85123A", order))
