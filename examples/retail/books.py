"""The books: what lies in the topics, beside the same figures computed by pandas from the file.

Rules: the figures of the file are computed from its columns alone, without a line of the shop's rules. What cannot be
computed from the file (how suppliers answered, and when) is held to invariants instead.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from examples.retail import topology
from examples.retail.messages import PriceChange, Reorder, Shipment, Stock
from examples.retail.rules import OPENING
from streams import Connection, Record

REASON = "__streams.errors.message"
"""The header of a dead letter that says why."""
SLACK_MS = 8 * 86_400_000
"""Goods that should have come this long before the last line did come: every partition's time is as late as that."""


def table(path: Path) -> pd.DataFrame:
    """The file as it is: text stays text, so that an empty code or one such as NA is a code."""
    kinds = {"Quantity": "int64", "UnitPrice": "float64"}
    columns = pd.read_csv(path, dtype=str, keep_default_na=False, encoding_errors="replace")
    return columns.astype(kinds)


def expected(path: Path) -> tuple[pd.DataFrame, Counter[str]]:
    """Of each product the lines that count, what is sold and what is returned; of each reason the rejected lines."""
    rows = table(path)
    reason = pd.Series("", index=rows.index, dtype=object)
    for name, applies in (
        ("no product", ~rows.StockCode.str.match(r"\d")),
        ("no quantity", rows.Quantity == 0),
        ("adjustment without cancellation", (rows.Quantity < 0) & ~rows.InvoiceNo.str.startswith("C")),
        ("no price", (rows.Quantity > 0) & (rows.UnitPrice <= 0)),
    ):
        reason[applies & (reason == "")] = name
    counted = rows[reason == ""].groupby("StockCode").Quantity
    columns = {
        "lines": counted.size(),
        "sold": counted.agg(lambda each: each.clip(lower=0).sum()),
        "returned": counted.agg(lambda each: -each.clip(upper=0).sum()),
    }
    return pd.DataFrame(columns), Counter(reason[reason != ""])


def differences(path: Path, connection: Connection) -> list[str]:
    """Everything that is not as it must be, a sentence each; empty when the books are right."""
    figures, rejected = expected(path)
    reasons = Counter((dict(each.headers)[REASON] or b"").decode() for each in connection.read(topology.REJECTED))
    wrong = [] if reasons == rejected else [f"rejected: {dict(reasons)} instead of {dict(rejected)}"]
    shipments, receipts = list(connection.read(topology.SHIPMENTS)), list(connection.read(topology.RECEIPTS))
    last_ms = max((record.timestamp for record in connection.read(topology.LINES)), default=0)
    wrong += _goods(shipments, receipts, last_ms)
    delivered, received = Counter[str](), Counter[str]()
    for record in receipts:
        delivered[record.value.product] += record.value.quantity - record.value.damaged
        received[record.value.product] += record.value.quantity
    stock: dict[str, Stock] = {record.key: record.value for record in connection.read(topology.STOCK)}
    wrong += [f"stock of {sorted(set(figures.index) ^ stock.keys())}"] if set(figures.index) != stock.keys() else []
    for product, lines, sold, returned in figures.itertuples():
        must_be = Stock(OPENING + delivered[product] - sold + returned, received[product], lines)
        if stock.get(product, must_be) != must_be:
            wrong.append(f"stock of {product}: {stock[product]} instead of {must_be}")
    orders = list(connection.read(topology.REORDERS))
    wrong += _orders(orders, shipments)
    first = {record.key: record.value.price for record in connection.read(topology.PRODUCTS)}
    wrong += _prices(list(connection.read(topology.PRICES)), orders, first)
    return wrong


def _goods(shipments: list[Record], receipts: list[Record], last_ms: int) -> Iterator[str]:
    """What came had been sent, and came once; what should be there by now is there."""
    sent: dict[str, Shipment] = {record.key: record.value for record in shipments}
    came: dict[str, Shipment] = {record.key: record.value for record in receipts}
    if len(sent) != len(shipments) or len(came) != len(receipts):
        yield f"{len(shipments) - len(sent)} shipments were sent twice, {len(receipts) - len(came)} came twice"
    yield from (f"{key} came as {shipment}" for key, shipment in came.items() if sent.get(key) != shipment)
    for key in sent.keys() - came.keys():
        if sent[key].arrives_ms < last_ms - SLACK_MS:
            yield f"{key} was sent but did not come"


def _orders(records: list[Record], shipments: list[Record]) -> Iterator[str]:
    """Orders are numbered 1, 2, 3, each made when all before had come in full; urging follows the order it urges."""
    sent: Counter[tuple[str, int]] = Counter()
    for record in shipments:
        sent[record.value.product, record.value.order] += record.value.quantity
    newest: dict[str, Reorder] = {}
    for record in records:
        order, before = record.value, newest.get(record.key)
        if order.urged:
            if before is None or (order.number, order.urged) != (before.number, before.urged + 1):
                yield f"{record.key}: {order} was urged after {before}"
        elif (order.number, order.total) != (
            (before.number + 1, before.total + order.quantity) if before else (1, order.quantity)
        ):
            yield f"{record.key}: {order} was made after {before}"
        elif before and sent[record.key, before.number] != before.quantity:
            yield f"{record.key}: order {order.number} was made while order {before.number} was open"
        newest[record.key] = order


def _prices(records: list[Record], orders: list[Record], first: dict[str, float]) -> Iterator[str]:
    """Every change is caused by an order, goes on from the price before by one step within bounds, no cause twice."""
    known = {(record.key, f"order {record.value.number}") for record in orders}
    causes: Counter[tuple[str, str]] = Counter()
    prices: dict[str, float] = {}
    for record in records:
        change: PriceChange = record.value
        causes[record.key, change.cause] += 1
        if (record.key, change.cause.partition(":")[0]) not in known:
            yield f"the price of {record.key} changed for {change.cause}, which never was"
        if prices.setdefault(record.key, first[record.key]) != change.old:
            yield f"the price of {record.key} went on from {change.old}, but was {prices[record.key]}"
        if abs(change.new - change.old) > 0.05 * change.old + 0.01:
            yield f"the price of {record.key} jumped from {change.old} to {change.new}"
        if not 0.7 * first[record.key] - 0.01 < change.new < 1.3 * first[record.key] + 0.01:
            yield f"the price of {record.key} went to {change.new} from {first[record.key]} at first"
        prices[record.key] = change.new
    yield from (f"{product}: two price changes for {cause}" for (product, cause), count in causes.items() if count > 1)
