"""The shop's rules, one by one."""

import pytest
from msgspec.structs import replace

from examples.retail import rules
from examples.retail.messages import Demand, Line, Product, Reorder, Shipment, Stock, Supplier
from examples.retail.suppliers import shipments

LINE = Line("536365/1", "536365", "85123A", "LANTERN", 6, 2.55, "17850", "United Kingdom", 0)
PRODUCT = Product("LANTERN", "Ceramica", 10.0)
TERMS = Supplier(lead_days=14, least_order=50)
DAY = rules.DAY_MS


def position(on_hand: int, fortnight: int) -> rules.Position:
    return rules.Position(Stock(on_hand), PRODUCT, TERMS, Demand(fortnight))


def ordered(number: int, total: int, *, complete: bool = True) -> Reorder:
    return Reorder(number, total, total, "Ceramica", 14, 0, 0, complete=complete)


def complaint(line: Line) -> str | None:
    """Why a line does not count; None when it does."""
    try:
        assert rules.checked(line) == line
    except ValueError as problem:
        return str(problem)
    return None


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
    assert complaint(Line(**{**fields, **change})) == reason


def test_stock_goes_by_sales_returns_and_shipments() -> None:
    """What is on hand changes by what arrived undamaged, less sales, plus returns; taking all back leaves nothing."""
    movements = [replace(LINE, quantity=4), replace(LINE, quantity=-1), Shipment("p/1/1", "p", 1, 7, 2, 5)]
    stock = Stock()
    for each in movements:
        stock = rules.book("p", each, stock)
    assert stock == Stock(on_hand=2, received=7, lines=2)
    for each in movements:
        stock = rules.take_back("p", each, stock)
    assert stock == Stock()


def test_an_order_is_made_below_the_reorder_point() -> None:
    """That is what is sold in the supplier's lead time, and some; the order covers a month, and what is owed."""
    last = ordered(2, 120)
    assert rules.reorder(last, position(60, 40), 7) is None
    assert rules.reorder(replace(last, complete=False), position(59, 40), 7) is None
    order = rules.reorder(last, position(59, 40), 7)
    assert order
    assert (order.number, order.quantity, order.total) == (3, 80, 200)
    assert order.due_ms == 7 + (14 + rules.GRACE_DAYS) * DAY
    owed = rules.reorder(None, position(-30, 4), 7)
    assert owed
    assert (owed.number, owed.quantity, owed.total) == (1, 50 + 30, 50 + 30)


def test_prices_go_in_bounded_steps() -> None:
    """Up when what is left is short, down when there is plenty, never beyond the bounds, each with its cause."""
    made, done = ordered(1, 80, complete=False), ordered(1, 80)
    up = rules.price_change(made, position(5, 40), 10.0)
    down = rules.price_change(done, position(300, 14), 7.1)
    assert up and (up.cause, up.old, up.new, up.cover_days) == ("order 1: scarce", 10.0, 10.5, 1.8)
    assert down and (down.cause, down.old, down.new, down.cover_days) == ("order 1: plenty", 7.1, 7.0, 300.0)
    assert rules.price_change(made, position(5, 40), 13.0) is None
    assert rules.price_change(made, position(50, 40), 10.0) is None
    assert rules.price_change(done, position(60, 14), 10.0) is None
    assert rules.price_change(done, position(5, 40), 10.0) is None


@pytest.mark.parametrize("number", range(1, 30))
def test_suppliers_send_all_in_the_end(number: int) -> None:
    """Parts come to what was ordered, forgotten ones when it is urged, once; the same order is answered the same way."""
    order = rules.reorder(ordered(number - 1, 80), position(0, 40), 5 * DAY)
    assert order
    once = rules.urged(order, order.due_ms + 1)
    answers = [shipment for asked in (order, once) for _, shipment in shipments("85123A", asked)]
    assert sum(each.quantity for each in answers) == order.quantity
    assert {key for key, _ in shipments("85123A", order)}.isdisjoint(dict(shipments("85123A", once)))
    assert list(shipments("85123A", rules.urged(once, once.due_ms))) == []
    assert all(each.arrives_ms > order.at_ms and 0 <= each.damaged <= each.quantity // 10 for each in answers)
    assert list(shipments("85123A", order)) == list(shipments("85123A", order))
