"""The shop's rules, as plain functions: which lines count, when to reorder, to urge, to change a price.

Rules: nothing here knows of topics, so everything can be called in a test. Each function gives new values and changes
none.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import NamedTuple

from msgspec.structs import asdict, replace

from examples.retail.messages import Account, Demand, Line, Movement, PriceChange, Reorder, Shipment, Stock, Terms

DAY_MS = 86_400_000
OPENING = 100
WINDOW_DAYS = 14
SAFETY = 20
GRACE_DAYS = 3
STEP = 0.05
HIGHEST, LOWEST = 1.3, 0.7
LONG_COVER_DAYS = 60


class RejectedError(ValueError):
    """A line that does not count; the message says why."""


class Position(NamedTuple):
    """A product as the buyer sees it."""

    stock: Stock
    terms: Terms
    demand: Demand

    @property
    def on_hand(self) -> int:
        """What lies on the shelf; below zero it is owed to customers."""
        return OPENING + self.stock.change

    @property
    def cover_days(self) -> float:
        """How long it lasts, if what was sold in the last two weeks goes on."""
        return round(max(0, self.on_hand) / (max(1, self.demand.quantity) / WINDOW_DAYS), 1)


def complaint(line: Line) -> str | None:
    """Why a line does not count, None when it does. A missing customer is no reason: the goods are gone."""
    if not line.product[:1].isdigit():
        return "no product"
    if line.quantity == 0:
        return "no quantity"
    if line.quantity < 0 and not line.invoice.startswith("C"):
        return "adjustment without cancellation"
    if line.quantity > 0 and line.price <= 0:
        return "no price"
    return None


def movement(line: Line | None) -> Movement | None:
    """What a line does to the stock; nothing any more if it was deleted. Raises: RejectedError if it does not count."""
    if line is None:
        return None
    if reason := complaint(line):
        raise RejectedError(reason)
    change = Stock(lines=1, sold=max(0, line.quantity), returned=max(0, -line.quantity))
    return Movement(line.product, change, line.at_ms)


def receipt(shipment: Shipment) -> Movement:
    """What goods do to the stock when they arrive."""
    change = Stock(delivered=shipment.quantity - shipment.damaged, damaged=shipment.damaged)
    return Movement(shipment.product, change, shipment.arrives_ms)


def book(_product: str, movement: Movement, stock: Stock) -> Stock:
    """The stock with a movement."""
    return Stock(**{name: value + getattr(movement.change, name) for name, value in asdict(stock).items()})


def take_back(_product: str, movement: Movement, stock: Stock) -> Stock:
    """The stock without a movement: its line was taken back, or comes again with other figures."""
    return Stock(**{name: value - getattr(movement.change, name) for name, value in asdict(stock).items()})


def wanted(_product: str, movement: Movement, demand: Demand) -> Demand:
    """The demand of a window with one more sale."""
    return Demand(demand.quantity + movement.change.sold, max(demand.at_ms, movement.at_ms))


def reorder(account: Account, position: Position, at_ms: int) -> Reorder | None:
    """An order, when there is less than is sold until it could arrive. Only asked for while no order is open."""
    terms, fortnight = position.terms.supplier, position.demand.quantity
    if position.on_hand >= SAFETY + fortnight * terms.lead_days // WINDOW_DAYS:
        return None
    quantity = max(terms.least_order, 2 * fortnight) + max(0, -position.on_hand)
    due_ms = at_ms + (terms.lead_days + GRACE_DAYS) * DAY_MS
    supplier = position.terms.product.supplier
    return Reorder(account.orders + 1, quantity, account.ordered, supplier, terms.lead_days, at_ms, due_ms)


def urged(order: Reorder, at_ms: int) -> Reorder:
    """An overdue order once more, with more weight; it has half the time, from now on."""
    due_ms = at_ms + (order.lead_days // 2 + GRACE_DAYS) * DAY_MS
    return replace(order, urged=order.urged + 1, at_ms=at_ms, due_ms=due_ms)


def dearer(account: Account, position: Position, order: Reorder) -> PriceChange | None:
    """A step up, when what is left lasts for less than half the time the order takes."""
    scarce = position.cover_days < order.lead_days / 2
    return _step(account, position, 1 + STEP, f"order {order.number}: scarce", order.at_ms) if scarce else None


def cheaper(account: Account, position: Position, order: Reorder, at_ms: int) -> PriceChange | None:
    """A step down, when with the order that is now complete the stock lasts for months."""
    plenty = position.cover_days > LONG_COVER_DAYS
    return _step(account, position, 1 - STEP, f"order {order.number}: plenty", at_ms) if plenty else None


def _step(account: Account, position: Position, factor: float, cause: str, at_ms: int) -> PriceChange | None:
    first = position.terms.product.price
    new = round(min(first * HIGHEST, max(first * LOWEST, account.price * factor)), 2)
    return PriceChange(cause, position.cover_days, account.price, new, at_ms) if new != account.price else None


def shipments(product: str, order: Reorder) -> Iterator[tuple[str, Shipment]]:
    """What a supplier makes of an order: one or two parts, early or late, a little damage; some he forgets until urged.

    The same order is always answered in the same way.
    """
    chance = random.Random(f"{product} {order.number}")
    first = order.quantity // 2 if chance.random() < 0.3 else order.quantity
    quantities = [first, order.quantity - first] if first < order.quantity else [first]
    forgets = chance.random() < 0.2
    days = 0
    for part, quantity in enumerate(quantities, 1):
        days += chance.randint(order.lead_days // 2 + 1, order.lead_days + 1)
        damaged = chance.randint(0, quantity // 10) if chance.random() < 0.2 else 0
        if (forgets and part == len(quantities)) == (order.urged == 1) and order.urged < 2:
            arrives_ms = order.at_ms + (days // 2 if order.urged else days) * DAY_MS
            shipment = Shipment(product, order.number, part, quantity, damaged, arrives_ms, order.at_ms)
            yield shipment.key, shipment
