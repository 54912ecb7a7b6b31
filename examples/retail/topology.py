"""The two programs: the shop, which keeps stock, reorders and prices, and its supplier. The loop goes through the log.

    lines ──► shop ──► reorders ──► supplier
      rejected ◄─┤ └─► price_changes    │
               ▲ └────► stock           │
               └──────── shipments ◄────┘

Rules: all topics are keyed by product and have the same number of partitions, so that everything about a product meets
in one task, one thing after the other.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from msgspec.structs import replace

from examples.retail import rules
from examples.retail.messages import Line, PriceChange, Reorder, Sale, Shipment, Stock
from streams import App, Processor, ProcessorContext, Record, Topic, dead_letter, key_value_store

PARTITIONS = 2
SETTINGS: dict[str, Any] = {
    "broker": "embedded://.streams/retail",
    "embedded_idle_ms": 3_000,
    "commit_interval_ms": 200,
}


class Topics(NamedTuple):
    """The topics of the shop."""

    lines: Topic
    rejected: Topic
    shipments: Topic
    reorders: Topic
    prices: Topic
    stock: Topic


def program(name: str, **settings: Any) -> tuple[App, Topics]:
    """An application, and the topics as it knows them."""
    app = App(name, **{**SETTINGS, **settings})

    def topic(name: str, value: type) -> Topic:
        at_ms = (lambda each: each.at_ms) if "at_ms" in value.__annotations__ else None
        return app.topic(f"retail_{name}", key=str, value=value, timestamp=at_ms, partitions=PARTITIONS)

    return app, Topics(
        topic("lines", Line),
        topic("rejected", Line),
        topic("shipments", Shipment),
        topic("reorders", Reorder),
        topic("price_changes", PriceChange),
        topic("stock", Stock),
    )


def shop(**settings: Any) -> App:
    """Keeps the stock of every product, reorders, and changes prices. `settings` are the App's."""
    app, topics = program("retail-shop", **settings)
    sales = app.stream(topics.lines).map_values(rules.sale).on_error(dead_letter(topics.rejected))
    decisions = sales.merge(app.stream(topics.shipments)).process(
        Shelf, stores=[key_value_store("stock", key=str, value=Stock)], name="shelf"
    )
    for kind, topic in ((Reorder, topics.reorders), (PriceChange, topics.prices), (Stock, topics.stock)):
        decisions.filter(lambda _, each, kind=kind: isinstance(each, kind)).to(topic)
    return app


def supplier(**settings: Any) -> App:
    """Answers every order with shipments."""
    app, topics = program("retail-supplier", **settings)

    @app.process(topics.reorders, to=topics.shipments)
    def ship(product: str, order: Reorder) -> Iterator[Shipment]:
        return rules.shipments(product, order)

    return app


class Shelf(Processor):
    """One product after the other: its stock after each sale and shipment, and what is decided then."""

    def init(self, context: ProcessorContext) -> None:
        """Find the store."""
        super().init(context)
        self.stock = context.store("stock")

    def process(self, record: Record) -> None:
        """Bring the stock up to date, then reorder if need be, and change the price if there is a cause."""
        stock: Stock = self.stock.get(record.key) or Stock(opening=rules.OPENING)
        event: Sale | Shipment = record.value
        if isinstance(event, Shipment):
            stock = rules.arrived(stock, event)
            stock = self._priced(record, stock, rules.cheaper(stock, event))
        else:
            stock = rules.sold(stock, event)
        if order := rules.reorder(stock, record.timestamp):
            stock = self._priced(record, replace(stock, orders=order.number), rules.dearer(stock, order))
            self._forward(record, order)
        self.stock.put(record.key, stock)
        self._forward(record, stock)

    def _priced(self, record: Record, stock: Stock, change: PriceChange | None) -> Stock:
        if change is None:
            return stock
        self._forward(record, change)
        return replace(stock, price=change.new)

    def _forward(self, record: Record, decision: Reorder | PriceChange | Stock) -> None:
        self.context.forward(Record(record.key, decision, record.timestamp))
