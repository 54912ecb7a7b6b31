"""The two programs: the shop, which keeps stock, reorders and prices, and its suppliers. The loop goes through the log.

    lines ──► movements ──► stock ──────► buyer ──► reorders ──► suppliers
      │ └──► rejected         demand ──►    └──► price_changes       │
      ▼                       terms ───►                             │
     dock ──► receipts ──► movements                                 │
      ▲                                                              │
      └───────────────────────── shipments ◄─────────────────────────┘

Rules: time is the time of the lines, so a year may pass in a minute.
"""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from examples.retail import rules
from examples.retail.messages import Account, Demand, Movement, PriceChange, Reorder, Shipment, Stock, Terms
from examples.retail.topics import Topics, program
from streams import (
    App,
    KTable,
    Processor,
    ProcessorContext,
    PunctuationType,
    Record,
    SlidingWindows,
    dead_letter,
    key_value_store,
)


def shop(**settings: Any) -> App:
    """Keeps the stock of every product, reorders, urges, and changes prices. `settings` are the App's."""
    app, topics = program("retail-shop", **settings)
    lines = app.stream(topics.lines)
    arrived = lines.merge(app.stream(topics.shipments)).process(
        Dock, stores=[key_value_store("under-way", str, Shipment)], key=str, value=Shipment, name="dock"
    )
    arrived.to(topics.receipts)

    counted = lines.map_values(rules.movement, name="counted").on_error(dead_letter(topics.rejected))
    received = app.stream(topics.receipts).map_values(rules.receipt)
    stock = (
        counted.merge(received)
        .to_table(name="movements", key=str, value=Movement)
        .group_by(lambda _, each: (each.product, each), key=str, value=Movement, name="of-product")
        .aggregate(Stock, rules.book, rules.take_back, value=Stock, name="stock")
    )
    stock.to_stream().to(topics.stock)
    demand = (
        counted.filter(lambda _, each: each is not None and each.change.sold > 0)
        .group_by(lambda _, each: each.product, key=str, value=Movement, name="sold")
        .windowed_by(SlidingWindows.of("14 days", grace="30 days"))
        .aggregate(Demand, rules.wanted, value=Demand, name="sold-in-14-days")
        .to_stream()
        .filter(lambda window, demand: window.end_ms == demand.at_ms)
        .select_key(lambda window, _: window.key, key=str)
        .to_table(name="demand", value=Demand, processor="demand-of-product")
    )
    _buy(topics, stock, demand, terms(app, topics))
    return app


def terms(app: App, topics: Topics) -> KTable:
    """Every product with its supplier's terms: they follow when either changes."""
    products, suppliers = app.table(topics.products, name="products"), app.table(topics.suppliers, name="suppliers")
    return products.join(
        suppliers, Terms, on=lambda product: product.supplier, value=Terms, name="terms", processor="terms-of-product"
    )


def _buy(topics: Topics, stock: KTable, demand: KTable, terms: KTable) -> None:
    decisions = (
        stock.join(terms, lambda stock, terms: rules.Position(stock, terms, Demand()))
        .left_join(demand, lambda position, demand: position._replace(demand=demand or Demand()))
        .to_stream()
        .process(
            Buyer,
            stores=[key_value_store("accounts", str, Account), key_value_store("open-orders", str, Reorder)],
            name="buyer",
        )
    )
    decisions.filter(lambda _, each: isinstance(each, Reorder)).to(topics.reorders)
    decisions.filter(lambda _, each: isinstance(each, PriceChange)).to(topics.prices)


def suppliers(**settings: Any) -> App:
    """Answer every order with shipments."""
    app, topics = program("retail-suppliers", **settings)
    app.stream(topics.reorders).flat_map(rules.shipments, key=str, value=Shipment).to(topics.shipments)
    return app


class Dock(Processor):
    """Goods under way wait here, and are let in on the day they arrive; what the time is, the lines tell."""

    def init(self, context: ProcessorContext) -> None:
        """Find the store, and look every morning."""
        super().init(context)
        self.under_way = context.store("under-way")
        context.schedule("1 day", PunctuationType.STREAM_TIME, self.let_in)

    def process(self, record: Record) -> None:
        """Keep what is under way, by the time it arrives; what is told too late is let in at once."""
        if isinstance(record.value, Shipment):
            self.under_way.put(f"{record.value.arrives_ms:015}/{record.key}", record.value)
            self.let_in(self.context.stream_time_ms())

    def let_in(self, now_ms: int) -> None:
        """Everything that has arrived by now."""
        for key, shipment in list(self.under_way.range(None, f"{now_ms:015}")):
            self.under_way.delete(key)
            self.context.forward(Record(shipment.key, shipment, shipment.arrives_ms))


class Buyer(Processor):
    """One product after the other: whether an order is complete, whether to order, and what that means for the price."""

    def init(self, context: ProcessorContext) -> None:
        """Find the stores, and look for overdue orders every morning."""
        super().init(context)
        self.accounts, self.open_orders = context.store("accounts"), context.store("open-orders")
        context.schedule("1 day", PunctuationType.STREAM_TIME, self.urge)

    def process(self, record: Record) -> None:
        """Close the order that is complete; order if need be and none is open."""
        product, position, now_ms = record.key, record.value, self.context.stream_time_ms()
        account: Account = self.accounts.get(product) or Account(position.terms.product.price)
        order: Reorder | None = self.open_orders.get(product)
        if order is not None and position.stock.received >= order.before + order.quantity:
            self.open_orders.delete(product)
            account = self._priced(product, account, rules.cheaper(account, position, order, now_ms))
            order = None
        if order is None and (order := rules.reorder(account, position, now_ms)):
            self.open_orders.put(product, order)
            self.context.forward(Record(product, order, now_ms))
            account = replace(account, orders=order.number, ordered=order.before + order.quantity)
            account = self._priced(product, account, rules.dearer(account, position, order))
        self.accounts.put(product, account)

    def urge(self, now_ms: int) -> None:
        """Escalate the orders that are overdue."""
        for product, order in list(self.open_orders.all()):
            if order.due_ms < now_ms:
                urged = rules.urged(order, now_ms)
                self.open_orders.put(product, urged)
                self.context.forward(Record(product, urged, now_ms))

    def _priced(self, product: str, account: Account, change: PriceChange | None) -> Account:
        if change is None:
            return account
        self.context.forward(Record(product, change, change.at_ms))
        return replace(account, price=change.new)
