"""What travels through the shop: the values of its topics.

Rules: times are ms since 1970, in fields that end in `_ms`; money is in pounds; quantities are pieces.
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

    @property
    def key(self) -> str:
        """What the line is known by: a line that comes again takes the place of the one before."""
        return f"{self.invoice}/{self.row}"


class Product(msgspec.Struct, frozen=True):
    """What the shop sells, by product code, and who supplies it."""

    description: str
    supplier: str
    price: float


class Supplier(msgspec.Struct, frozen=True):
    """A supplier's terms, by supplier."""

    lead_days: int
    least_order: int


class Terms(msgspec.Struct, frozen=True):
    """A product with the terms of its supplier."""

    product: Product
    supplier: Supplier


class Stock(msgspec.Struct, frozen=True):
    """What came in and went out of a product, by the lines counted and the goods received."""

    lines: int = 0
    sold: int = 0
    returned: int = 0
    delivered: int = 0
    damaged: int = 0

    @property
    def change(self) -> int:
        """By how much there is more on the shelf: shipments - sales + returns."""
        return self.delivered - self.sold + self.returned

    @property
    def received(self) -> int:
        """What suppliers have sent of their orders, in whatever state."""
        return self.delivered + self.damaged


class Movement(msgspec.Struct, frozen=True):
    """A line that counts, or goods received: what changes in a product's stock."""

    product: str
    change: Stock
    at_ms: int


class Demand(msgspec.Struct, frozen=True):
    """What was sold in a window of time; `at_ms` is the last sale in it."""

    quantity: int = 0
    at_ms: int = 0


class Reorder(msgspec.Struct, frozen=True):
    """A product's `number`-th order; all `before` pieces of earlier ones had come. `urged`: how often it was escalated."""

    number: int
    quantity: int
    before: int
    supplier: str
    lead_days: int
    at_ms: int
    due_ms: int
    urged: int = 0


class Shipment(msgspec.Struct, frozen=True):
    """A part of an order on its way; `damaged` of its pieces are not taken into stock."""

    product: str
    order: int
    part: int
    quantity: int
    damaged: int
    arrives_ms: int
    at_ms: int

    @property
    def key(self) -> str:
        """What the shipment is known by."""
        return f"{self.product}/{self.order}/{self.part}"


class PriceChange(msgspec.Struct, frozen=True):
    """A step of a product's price, the one thing that caused it, and how many days the stock would last then."""

    cause: str
    cover_days: float
    old: float
    new: float
    at_ms: int


class Account(msgspec.Struct, frozen=True):
    """What the buyer knows of a product: its price, and how many orders of how many pieces were made."""

    price: float
    orders: int = 0
    ordered: int = 0
