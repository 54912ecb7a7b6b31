"""The program that soaks: a count, a sum by window behind a repartition topic, and a join that shows the latency.

What it keeps does not grow: a fixed number of keys, windows that end, topics that are cut off after a while.
"""

from __future__ import annotations

import msgspec

from streams import App, TimeWindows


class Order(msgspec.Struct):
    """`sent` is the machine's monotonic time in ns."""

    sent: int
    product: int
    amount: float


class Priced(msgspec.Struct):
    """An order with what its product is called."""

    sent: int
    name: str


def _soak() -> App:
    app = App("soak")
    orders = app.stream("orders", key=int, value=Order)
    orders.group_by_key().count(name="counts").to_stream().to("counts", key=int, value=int)
    (
        orders.group_by(lambda _, order: order.product, key=int, value=Order, name="by-product")
        .windowed_by(TimeWindows.of("10 s", grace="5 s"))
        .aggregate(float, lambda _, order, total: total + order.amount, value=float, name="sums")
        .to_stream()
        .select_key(lambda window, _: window.key, key=int)
        .to("sums", key=int, value=float)
    )
    products = app.table("products", key=int, value=str, name="products")
    (
        orders.select_key(lambda _, order: order.product, key=int)
        .join(products, lambda order, name: Priced(order.sent, name))
        .to("priced", key=int, value=Priced)
    )
    return app


app = _soak()
