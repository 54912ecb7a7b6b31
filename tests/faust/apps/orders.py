"""Orders with nested, checked models: looked up in a table of customers, parted by amount, with headers."""

import os
from datetime import datetime
from decimal import Decimal
from typing import List, Optional

import faust


class Item(faust.Record, coerce=True):
    article: str
    price: Decimal
    count: int = 1


class Order(faust.Record, coerce=True, validation=True, serializer="json"):
    id: int
    customer: str
    ordered: datetime
    items: List[Item]
    note: Optional[str] = None

    @property
    def total(self) -> Decimal:
        return sum((item.price * item.count for item in self.items), Decimal(0))


class Customer(faust.Record):
    name: str
    city: str


class Bill(faust.Record):
    order: int
    customer: Optional[Customer]
    total: float
    year: int


app = faust.App("orders", broker=os.environ.get("BROKER", "kafka://localhost:9092"), topic_partitions=1)
customers_topic = app.topic("customers", key_type=str, value_type=Customer)
orders_topic = app.topic("orders", key_type=str, value_type=Order)
large = app.topic("large-bills", value_type=Bill)
small = app.topic("small-bills", value_type=Bill)
customers = app.Table("customers", key_type=str, value_type=Customer)


@app.agent(customers_topic)
async def keep_customers(stream):
    async for name, customer in stream.items():
        customers[name] = customer


@app.agent(orders_topic)
async def bill(stream):
    async for event in stream.events():
        order = event.value
        result = Bill(
            order=order.id,
            customer=customers.get(order.customer),
            total=float(order.total),
            year=order.ordered.year,
        )
        target = large if order.total >= 40 else small
        headers = {"source": event.headers.get("source", b"?"), "count": str(len(order.items)).encode()}
        await target.send(key=event.key, value=result, headers=headers)


if __name__ == "__main__":
    app.main()
