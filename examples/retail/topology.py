"""The shop: it keeps stock, reorders and prices. What its suppliers send comes back through the log.

    lines ──► movements ──► stock ──────► buyer ──► reorders ──► suppliers
      │ └──► rejected         demand ──►    └──► price_changes       │
      ▼                       terms ───►                             │
     dock ──► receipts ──► movements                                 │
      ▲                                                              │
      └───────────────────────── shipments ◄─────────────────────────┘

Rules: time is the time of the lines, so a year may pass in a minute; and as they may be of any year, nothing here is
deleted because it is old. What lies in a topic has one key: lines and goods their own, everything else the product.
"""

from __future__ import annotations

from msgspec.structs import replace

from examples.retail import rules
from examples.retail.messages import Demand, Line, PriceChange, Product, Reorder, Shipment, Stock, Supplier
from examples.retail.suppliers import shipments
from streams import App, Processor, Record, SlidingWindows, Topic, dead_letter, key_value_store, punctuator

app = App("retail", processing_guarantee="exactly_once_v2", windowstore_changelog_additional_retention_ms="36525 days")


def _topic(name: str, value: type, time: str | None = None) -> Topic:
    config = {"retention.ms": "-1"}
    return app.topic(f"retail_{name}", key=str, value=value, timestamp=time, partitions=2, config=config)


LINES = _topic("lines", Line, time="at_ms")
REJECTED = _topic("rejected", Line)
PRODUCTS = _topic("products", Product)
SUPPLIERS = _topic("suppliers", Supplier)
REORDERS = _topic("reorders", Reorder)
SHIPMENTS = _topic("shipments", Shipment)
RECEIPTS = _topic("receipts", Shipment)
PRICES = _topic("price_changes", PriceChange)
STOCK = _topic("stock", Stock)


class Dock(Processor):
    """Goods under way wait here, and are let in on the day they arrive; what the time is, the lines tell."""

    under_way = key_value_store("under-way", str, Shipment)

    def process(self, record: Record) -> None:
        """Keep what is under way, by the time it arrives; what is told too late is let in at once."""
        if isinstance(record.value, Shipment):
            self.under_way.put(f"{record.value.arrives_ms:015}/{record.key}", record.value)
            self.let_in(self.context.stream_time_ms())

    @punctuator("1 day", "stream-time")
    def let_in(self, now_ms: int) -> None:
        """Everything that has arrived by now."""
        for key, shipment in list(self.under_way.range(None, f"{now_ms:015}")):
            self.under_way.delete(key)
            self.context.forward(Record(shipment.id, shipment, shipment.arrives_ms))


class Buyer(Processor):
    """One product after the other: whether an order is complete, whether to order, and what that means for the price."""

    orders = key_value_store("newest-orders", str, Reorder)
    prices = key_value_store("prices", str, float)

    def process(self, record: Record) -> None:
        """Close the order that is complete; order if need be and none is open."""
        product, position, now_ms = record.key, record.value, self.context.stream_time_ms()
        order: Reorder | None = self.orders.get(product)
        if order and not order.complete and position.stock.received >= order.total:
            order = replace(order, complete=True)
            self._keep(product, order, position, now_ms)
        if made := rules.reorder(order, position, now_ms):
            self.context.forward(Record(product, made, now_ms))
            self._keep(product, made, position, now_ms)

    def _keep(self, product: str, order: Reorder, position: rules.Position, now_ms: int) -> None:
        self.orders.put(product, order)
        price = self.prices.get(product) or position.product.price
        if change := rules.price_change(order, position, price):
            self.prices.put(product, change.new)
            self.context.forward(Record(product, change, now_ms))

    @punctuator("1 day", "stream-time")
    def urge(self, now_ms: int) -> None:
        """Escalate the orders that are overdue."""
        for product, order in list(self.orders.all()):
            if not order.complete and order.due_ms < now_ms:
                urged = rules.urged(order, now_ms)
                self.orders.put(product, urged)
                self.context.forward(Record(product, urged, now_ms))


lines = app.stream(LINES)
counted = lines.map_values(rules.checked, name="counted").on_error(dead_letter(REJECTED))
lines.merge(app.stream(SHIPMENTS)).process(Dock, key=str, value=Shipment, name="dock").to(RECEIPTS)
stock = (
    counted.merge(app.stream(RECEIPTS))
    .to_table(name="movements", key=str, value=Line | Shipment)
    .group_by(lambda _, movement: (movement.product, movement), key=str, value=Line | Shipment, name="of-product")
    .aggregate(lambda: Stock(rules.OPENING), rules.book, rules.take_back, name="stock")
)
stock.to_stream().to(STOCK)
demand = (
    counted.filter(lambda _, line: line is not None and line.quantity > 0)
    .group_by(lambda _, line: line.product, key=str, name="sold")
    .windowed_by(SlidingWindows.of("14 days", grace="30 days"))
    .aggregate(Demand, rules.sell, name="sold-in-14-days")
    .to_stream()
    .filter(lambda window, demand: window.end_ms == demand.at_ms)
    .select_key(lambda window, _: window.key, key=str)
    .to_table(name="demand", value=Demand, processor="demand-of-product")
)
products, suppliers = app.table(PRODUCTS, name="products"), app.table(SUPPLIERS, name="suppliers")
terms = products.join(
    suppliers, lambda *both: both, on=lambda product: product.supplier, value=tuple[Product, Supplier], name="terms"
)
decisions = (
    stock.join(terms, lambda stock, terms: rules.Position(stock, *terms))
    .left_join(demand, lambda position, demand: position._replace(demand=demand or Demand()))
    .to_stream()
    .process(Buyer, name="buyer")
)
decisions.filter(lambda _, each: isinstance(each, Reorder)).to(REORDERS)
decisions.filter(lambda _, each: isinstance(each, PriceChange)).to(PRICES)
app.stream(REORDERS).flat_map(shipments, key=str, value=Shipment).to(SHIPMENTS)
