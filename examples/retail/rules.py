"""The shop's rules, as plain functions: which lines count, when to reorder, to urge, to change a price.

Rules: nothing here knows of topics, so everything can be called in a test. Each function gives new values and changes
none.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from msgspec.structs import replace

from examples.retail.messages import Demand, Line, PriceChange, Product, Reorder, Shipment, Stock, Supplier

DAY_MS = 86_400_000
OPENING = 100
WINDOW_DAYS = 14
SAFETY = 20
GRACE_DAYS = 3
STEP = 0.05
HIGHEST, LOWEST = 1.3, 0.7
LONG_COVER_DAYS = 60


COMPLAINTS: dict[str, Callable[[Line], bool]] = {
    "no product": lambda line: not line.product[:1].isdecimal(),
    "no quantity": lambda line: line.quantity == 0,
    "adjustment without cancellation": lambda line: line.quantity < 0 and not line.invoice.startswith("C"),
    "no price": lambda line: line.quantity > 0 and line.price <= 0,
}
"""Why a line does not count: the first that applies. A missing customer is none: the goods are gone."""


class Position(NamedTuple):
    """A product as the buyer sees it."""

    stock: Stock
    product: Product
    supplier: Supplier
    demand: Demand = Demand()

    @property
    def cover_days(self) -> float:
        """How long the stock lasts, if what was sold in the last two weeks goes on."""
        return round(max(0, self.stock.on_hand) / (max(1, self.demand.quantity) / WINDOW_DAYS), 1)


def checked(line: Line | None) -> Line | None:
    """A line that counts; None for one that was deleted. Raises: ValueError with the complaint."""
    for complaint, applies in COMPLAINTS.items():
        if line is not None and applies(line):
            raise ValueError(complaint)
    return line


def book(_product: str, movement: Line | Shipment, stock: Stock) -> Stock:
    """The stock with a line, or with goods that have arrived."""
    if isinstance(movement, Line):
        return Stock(stock.on_hand - movement.quantity, stock.received, stock.lines + 1)
    undamaged = movement.quantity - movement.damaged
    return Stock(stock.on_hand + undamaged, stock.received + movement.quantity, stock.lines)


def take_back(product: str, movement: Line | Shipment, stock: Stock) -> Stock:
    """The stock without it: a line was deleted, or comes again with other figures."""
    booked = book(product, movement, Stock())
    return Stock(stock.on_hand - booked.on_hand, stock.received - booked.received, stock.lines - booked.lines)


def sell(_product: str, line: Line, demand: Demand) -> Demand:
    """The demand of a window with one more sale."""
    return Demand(demand.quantity + line.quantity, max(demand.at_ms, line.at_ms))


def reorder(last: Reorder | None, position: Position, at_ms: int) -> Reorder | None:
    """An order, when there is less than is sold until it could arrive; none while the last one is open."""
    terms, stock, fortnight = position.supplier, position.stock, position.demand.quantity
    if (last and not last.complete) or stock.on_hand >= SAFETY + fortnight * terms.lead_days // WINDOW_DAYS:
        return None
    number, total = (last.number, last.total) if last else (0, 0)
    quantity = max(terms.least_order, 2 * fortnight) + max(0, -stock.on_hand)
    due_ms = at_ms + (terms.lead_days + GRACE_DAYS) * DAY_MS
    return Reorder(number + 1, quantity, total + quantity, position.product.supplier, terms.lead_days, at_ms, due_ms)


def urged(order: Reorder, at_ms: int) -> Reorder:
    """An overdue order once more, with more weight; it has half the time, from now on."""
    due_ms = at_ms + (order.lead_days // 2 + GRACE_DAYS) * DAY_MS
    return replace(order, urged=order.urged + 1, at_ms=at_ms, due_ms=due_ms)


def price_change(order: Reorder, position: Position, price: float) -> PriceChange | None:
    """A step up when an order is made and what is left lasts for less than half the time it takes, a step down when it
    is complete and the stock lasts for months; always within the bounds.
    """
    if order.complete:
        applies, cause, factor = position.cover_days > LONG_COVER_DAYS, "plenty", 1 - STEP
    else:
        applies, cause, factor = position.cover_days < order.lead_days / 2, "scarce", 1 + STEP
    first = position.product.price
    new = round(min(first * HIGHEST, max(first * LOWEST, price * factor)), 2)
    if not applies or new == price:
        return None
    return PriceChange(f"order {order.number}: {cause}", position.cover_days, price, new)
