"""The topics of shop and suppliers: what they carry, and the settings of both programs.

Rules: what lies in one topic has one key: lines and goods their own, everything else the product. Records have the time
of the lines, which may be of any year, so nothing here is deleted because it is old.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any, NamedTuple

from examples.retail.messages import Line, PriceChange, Product, Reorder, Shipment, Stock, Supplier
from streams import App, Topic

PARTITIONS = 2
SETTINGS: dict[str, Any] = {
    "broker": "embedded://.streams/retail",
    "embedded_idle_ms": 3_000,
    "commit_interval_ms": 50,
    "processing_guarantee": "exactly_once_v2",
    "session_timeout_ms": 6_000,
    "heartbeat_interval_ms": 1_000,
    "transaction_timeout_ms": 5_000,
    "statestore_cache_max_bytes": 0,
    "windowstore_changelog_additional_retention_ms": timedelta(days=36_525),
}
FOR_EVER = {"retention.ms": "-1"}


class Topics(NamedTuple):
    """The topics of the shop."""

    lines: Topic
    rejected: Topic
    products: Topic
    suppliers: Topic
    reorders: Topic
    shipments: Topic
    receipts: Topic
    prices: Topic
    stock: Topic


def program(name: str, **settings: Any) -> tuple[App, Topics]:
    """An application, and the topics as it knows them."""
    app = App(name, **{**SETTINGS, **settings})

    def topic(name: str, value: type, time: str = "at_ms") -> Topic:
        known = time in value.__annotations__
        at_ms = (lambda each: getattr(each, time)) if known else None
        return app.topic(
            f"retail_{name}", key=str, value=value, timestamp=at_ms, partitions=PARTITIONS, config=FOR_EVER
        )

    return app, Topics(
        topic("lines", Line),
        topic("rejected", Line),
        topic("products", Product),
        topic("suppliers", Supplier),
        topic("reorders", Reorder),
        topic("shipments", Shipment),
        topic("receipts", Shipment, "arrives_ms"),
        topic("price_changes", PriceChange),
        topic("stock", Stock),
    )
