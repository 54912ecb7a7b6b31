"""The shop's rules, as plain functions: which lines count, when to reorder, when to change a price.

Rules: nothing here knows of topics, so everything can be called in a test. Each function gives new values and changes
none.
"""

from __future__ import annotations

import random
from collections.abc import Iterator

from msgspec.structs import replace

from examples.retail.messages import Line, PriceChange, Reorder, Sale, Shipment, Stock

DAY_MS = 86_400_000
OPENING = 100
WINDOW_DAYS = 14
LEAD_DAYS = 5
SAFETY = 20
LEAST_ORDER = 50
STEP = 0.05
HIGHEST, LOWEST = 1.3, 0.7
LONG_COVER_DAYS = 60


class RejectedError(ValueError):
    """A line that does not count; the message says why."""


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


def sale(line: Line) -> Sale:
    """What of a line matters to the stock. Raises: RejectedError for a line that does not count."""
    if reason := complaint(line):
        raise RejectedError(reason)
    return Sale(line.row, line.quantity, line.price, line.at_ms)


def sold(stock: Stock, sale: Sale) -> Stock:
    """The stock after a sale or a return."""
    if not stock.list_price and sale.quantity > 0:
        stock = replace(stock, list_price=sale.price, price=sale.price)
    if sale.quantity < 0:
        return replace(stock, returned=stock.returned - sale.quantity)
    day = sale.at_ms // DAY_MS
    newest = max(day, *stock.demand, 0)
    demand = {**stock.demand, day: stock.demand.get(day, 0) + sale.quantity}
    recent = {each: quantity for each, quantity in demand.items() if each > newest - WINDOW_DAYS}
    return replace(stock, sold=stock.sold + sale.quantity, demand=recent)


def arrived(stock: Stock, shipment: Shipment) -> Stock:
    """The stock after a shipment."""
    return replace(stock, delivered=stock.delivered + shipment.delivered, closed=stock.closed + shipment.last)


def reorder(stock: Stock, at_ms: int) -> Reorder | None:
    """An order, when the stock is below what is sold until it could arrive, and none is open."""
    recent = sum(stock.demand.values())
    if stock.awaiting or stock.on_hand >= SAFETY + recent * LEAD_DAYS // WINDOW_DAYS:
        return None
    return Reorder(stock.orders + 1, max(LEAST_ORDER, 2 * recent) + max(0, -stock.on_hand), stock.closed, at_ms)


def dearer(stock: Stock, order: Reorder) -> PriceChange | None:
    """A step up, when the shelf was empty before the order was made."""
    return _step(stock, 1 + STEP, f"order {order.number}: sold out") if stock.on_hand <= 0 else None


def cheaper(stock: Stock, shipment: Shipment) -> PriceChange | None:
    """A step down, when the order that is now complete lasts longer than two months."""
    daily = sum(stock.demand.values()) / WINDOW_DAYS
    long = shipment.last and stock.on_hand > daily * LONG_COVER_DAYS
    return _step(stock, 1 - STEP, f"order {shipment.order}: overstocked") if long else None


def _step(stock: Stock, factor: float, cause: str) -> PriceChange | None:
    new = round(min(stock.list_price * HIGHEST, max(stock.list_price * LOWEST, stock.price * factor)), 2)
    return PriceChange(cause, stock.price, new) if new != stock.price else None


def shipments(product: str, order: Reorder) -> Iterator[Shipment]:
    """What the supplier makes of an order: in one or two parts, after some days, with a little damage."""
    chance = random.Random(f"{product} {order.number}")
    left, at_ms = order.quantity, order.at_ms
    parts = [left // 2, left - left // 2] if chance.random() < 0.3 else [left]
    for number, part in enumerate(parts, 1):
        at_ms += chance.randint(1, 2 * LEAD_DAYS) * DAY_MS
        damaged = part // 20 if chance.random() < 0.2 else 0
        yield Shipment(order.number, part - damaged, damaged, number == len(parts), at_ms)
