"""What travels through the shop: the values of its topics. Every topic is keyed by product.

Rules: times are ms since 1970; money is in pounds.
"""

from __future__ import annotations

import msgspec


class Line(msgspec.Struct, frozen=True):
    """A line of an invoice as the till wrote it; `row` is its place in the file, from 1. Anything may be wrong with it."""

    row: int
    invoice: str
    product: str
    description: str
    quantity: int
    price: float
    customer: str
    country: str
    at_ms: int


class Sale(msgspec.Struct, frozen=True):
    """A line that counts; returns (cancelled invoices) have a quantity below zero."""

    row: int
    quantity: int
    price: float
    at_ms: int


class Reorder(msgspec.Struct, frozen=True):
    """An order to the supplier, the product's `number`-th; `closed` of those before it had arrived in full."""

    number: int
    quantity: int
    closed: int
    at_ms: int


class Shipment(msgspec.Struct, frozen=True):
    """Goods that arrive for an order; `damaged` ones are not taken into stock, and `last` closes the order."""

    order: int
    delivered: int
    damaged: int
    last: bool
    at_ms: int


class PriceChange(msgspec.Struct, frozen=True):
    """A step of a product's price, and the one thing that caused it."""

    cause: str
    old: float
    new: float


class Stock(msgspec.Struct, frozen=True):
    """A product in the shop. `demand` is what was sold on each of the last days, by day since 1970."""

    opening: int = 0
    sold: int = 0
    returned: int = 0
    delivered: int = 0
    orders: int = 0
    closed: int = 0
    list_price: float = 0.0
    price: float = 0.0
    demand: dict[int, int] = {}

    @property
    def on_hand(self) -> int:
        """What lies on the shelf; below zero it is owed to customers."""
        return self.opening - self.sold + self.returned + self.delivered

    @property
    def awaiting(self) -> bool:
        """Whether an order is open."""
        return self.orders > self.closed
