"""What travels through the shop: the values of its topics and stores.

Rules: times are ms since 1970, in fields that end in `_ms`; money is in pounds; quantities are pieces.
"""

from __future__ import annotations

import msgspec


class Line(msgspec.Struct, frozen=True, tag=True):
    """A line of an invoice as the till wrote it; `id` is the invoice and the line's place in the file, from 1.

    A line that comes again under its id takes the place of the one before. Anything may be wrong with a line.
    """

    id: str
    invoice: str
    product: str
    description: str
    quantity: int
    price: float
    customer: str
    country: str
    at_ms: int


class Product(msgspec.Struct, frozen=True):
    """What the shop sells, by product code, and who supplies it."""

    description: str
    supplier: str
    price: float


class Supplier(msgspec.Struct, frozen=True):
    """A supplier's terms, by supplier."""

    lead_days: int
    least_order: int


class Stock(msgspec.Struct, frozen=True):
    """What a product's lines and goods come to.

    `on_hand` is what was there at first + shipments - sales + returns; below zero it is owed to customers. `received` is
    what suppliers have sent of their orders, in whatever state; `lines`, how many lines are counted.
    """

    on_hand: int = 0
    received: int = 0
    lines: int = 0


class Demand(msgspec.Struct, frozen=True):
    """What was sold in a window of time; `at_ms` is the last sale in it."""

    quantity: int = 0
    at_ms: int = 0


class Reorder(msgspec.Struct, frozen=True):
    """A product's `number`-th order; `total`: what was ordered with it so far. `urged`: how often it was escalated."""

    number: int
    quantity: int
    total: int
    supplier: str
    lead_days: int
    at_ms: int
    due_ms: int
    urged: int = 0
    complete: bool = False


class Shipment(msgspec.Struct, frozen=True, tag=True):
    """A part of an order on its way, `id` its own; `damaged` of its pieces are not taken into stock."""

    id: str
    product: str
    order: int
    quantity: int
    damaged: int
    arrives_ms: int


class PriceChange(msgspec.Struct, frozen=True):
    """A step of a product's price, the one thing that caused it, and how many days the stock would last then."""

    cause: str
    cover_days: float
    old: float
    new: float
