"""Enrichment over HTTP: each order asks a service for its customer, up to 20 requests at a time.

Results leave in the order of the orders, and what is not answered yet is never committed: after a kill the question is
asked again. Needs aiohttp.
"""

from __future__ import annotations

import os

import aiohttp
import msgspec

from streams import App

SERVICE = os.environ.get("CUSTOMERS_URL", "http://127.0.0.1:8080/customers")


class Order(msgspec.Struct):
    """An order names its customer by number."""

    customer: int
    amount: float


class Addressed(msgspec.Struct):
    """The order with name and city."""

    amount: float
    name: str
    city: str


class Customer(msgspec.Struct):
    """What the service answers."""

    name: str
    city: str


app = App("enrichment")
orders = app.topic("orders", key=str, value=Order)
addressed = app.topic("addressed_orders", key=str, value=Addressed)


@app.agent(orders, to=addressed, concurrency=20)
async def look_up(order: Order) -> Addressed | None:
    async with aiohttp.request("GET", f"{SERVICE}/{order.customer}") as response:
        if response.status == 404:
            return None  # nobody to send it to
        response.raise_for_status()
        customer = msgspec.json.decode(await response.read(), type=Customer)
    return Addressed(order.amount, customer.name, customer.city)


if __name__ == "__main__":
    app.main()
