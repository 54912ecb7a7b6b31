"""The books: what lies in the topics, beside the same figures computed by pandas from the file.

Rules: the figures of the file are computed from its columns alone, without a line of the shop's rules. What cannot be
computed from the file (shipments depend on when they came) is held to invariants instead.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from examples.retail.messages import PriceChange, Reorder, Shipment, Stock
from examples.retail.topology import Topics
from streams import Connection, Record

REASON = "__streams.errors.message"
"""The header of a dead letter that says why."""


def expected(path: Path) -> tuple[dict[str, int], Counter[str]]:
    """Of each product sold minus returned; and of each reason how many lines are rejected."""
    rows = pd.read_csv(path, dtype={"InvoiceNo": str, "StockCode": str})
    reason = pd.Series("", index=rows.index, dtype=object)
    for name, applies in (
        ("no product", ~rows.StockCode.str.match(r"\d")),
        ("no quantity", rows.Quantity == 0),
        ("adjustment without cancellation", (rows.Quantity < 0) & ~rows.InvoiceNo.str.startswith("C")),
        ("no price", (rows.Quantity > 0) & (rows.UnitPrice <= 0)),
    ):
        reason[applies & (reason == "")] = name
    sold = rows[reason == ""].groupby("StockCode").Quantity.sum()
    return {str(product): int(quantity) for product, quantity in sold.items()}, Counter(reason[reason != ""])


def differences(path: Path, connection: Connection, topics: Topics, opening: int) -> list[str]:
    """Everything that is not as it must be, a sentence each; empty when the books are right."""
    sold, rejected = expected(path)
    stock: dict[str, Stock] = {record.key: record.value for record in connection.read(topics.stock)}
    found = list(connection.read(topics.rejected))
    reasons = Counter((dict(record.headers)[REASON] or b"").decode() for record in found)
    wrong = [] if reasons == rejected else [f"rejected: {dict(reasons)} instead of {dict(rejected)}"]
    delivered: Counter[str] = Counter()
    closed: Counter[str] = Counter()
    for record in connection.read(topics.shipments):
        shipment: Shipment = record.value
        delivered[record.key] += shipment.delivered
        closed[record.key] += shipment.last
    wrong += [f"stock of products {sorted(sold.keys() ^ stock.keys())}"] if sold.keys() != stock.keys() else []
    for product, quantity in sold.items():
        must_be = opening + delivered[product] - quantity
        if product in stock and stock[product].on_hand != must_be:
            wrong.append(f"stock of {product}: {stock[product].on_hand} instead of {must_be}")
    wrong += _orders(list(connection.read(topics.reorders)), closed)
    wrong += _prices(list(connection.read(topics.prices)))
    return wrong


def _orders(records: list[Record], closed: Counter[str]) -> Iterator[str]:
    """Every product's orders are numbered 1, 2, 3; each was made when all before had come; all are closed."""
    orders: Counter[str] = Counter()
    for record in records:
        order: Reorder = record.value
        orders[record.key] += 1
        if (order.number, order.closed) != (orders[record.key], orders[record.key] - 1):
            yield f"order {order.number} of {record.key} was made while another was open"
    yield from (f"orders of {product}: {orders[product]}, closed {closed[product]}" for product in orders - closed)


def _prices(records: list[Record]) -> Iterator[str]:
    """Every change goes on from the price before, and no cause counts twice."""
    causes: Counter[tuple[str, str]] = Counter()
    prices: dict[str, float] = {}
    for record in records:
        change: PriceChange = record.value
        causes[record.key, change.cause] += 1
        if prices.setdefault(record.key, change.old) != change.old:
            yield f"the price of {record.key} went on from {change.old}, but was {prices[record.key]}"
        prices[record.key] = change.new
    yield from (f"{product}: two price changes for {cause}" for (product, cause), count in causes.items() if count > 1)


def report(path: Path, connection: Connection, topics: Topics) -> str:
    """The year in figures: what the busiest products took, and what was done about them."""
    lines = pd.read_csv(path, dtype={"InvoiceNo": str, "StockCode": str})
    lines = lines[lines.StockCode.str.match(r"\d") & (lines.UnitPrice > 0)]
    takings = (lines.Quantity * lines.UnitPrice).groupby(lines.StockCode).sum().rename("revenue")
    names = lines.groupby("StockCode").Description.first().str.strip().rename("description")
    counts = {
        name: Counter(record.key for record in connection.read(topic))
        for name, topic in (("orders", topics.reorders), ("price changes", topics.prices))
    }
    frame = pd.concat([names, takings], axis="columns").nlargest(10, "revenue")
    for name, by_product in counts.items():
        frame[name] = [by_product[str(product)] for product in frame.index]
    return str(frame.to_string(float_format=lambda number: f"{number:,.2f}"))
