"""The application that chaos befalls, also a program: counts, sums windows, joins a table, joins by foreign key.

    python application.py BROKER NAME STATE_DIR [setting=value ...]

Without record caches every input has its result, so outputs show what was lost, counted twice, or out of order.
"""

from __future__ import annotations

import logging
import signal
import sys
from typing import Any

from streams import StreamsBuilder, StreamsConfig, TimeWindows, Topology
from streams.clients.kafka import KafkaClients
from streams.runtime.worker import Worker

ORDERS, CUSTOMERS, SHIPMENTS, PRODUCTS = "orders", "customers", "shipments", "products"
INPUTS = (ORDERS, CUSTOMERS, SHIPMENTS, PRODUCTS)
COUNTS, SUMS, ENRICHED, SHIPPED = "counts", "sums", "enriched", "shipped"
OUTPUTS = (COUNTS, SUMS, ENRICHED, SHIPPED)
WINDOW_MS = 10_000
SETTINGS = {"statestore_cache_max_bytes": 0}

Order = dict[str, Any]


def topology(config: StreamsConfig) -> Topology:
    """Four results: a count and a join in the first sub-topology, window sums and a foreign-key join behind others."""
    builder = StreamsBuilder()
    orders = builder.stream(ORDERS, key=str, value=dict)
    orders.group_by_key().count(name="counts").to_stream().to(COUNTS, key=str, value=int)
    customers = builder.table(CUSTOMERS, key=str, value=dict, name="customers")
    orders.join(customers, enriched).to(ENRICHED, key=str, value=dict)
    (
        orders.group_by(lambda _, order: order["product"], key=str, value=dict, name="by-product")
        .windowed_by(TimeWindows.of("10 s", grace="30 days"))
        .aggregate(lambda: 0, lambda _, order, total: total + order["amount"], value=int, name="sums")
        .to_stream()
        .select_key(lambda window, _: f"{window.key}@{window.start_ms}")
        .to(SUMS, key=str, value=int)
    )
    products = builder.table(PRODUCTS, key=str, value=dict, name="products")
    shipments = builder.table(SHIPMENTS, key=str, value=dict, name="shipments")
    shipments.join(
        products, shipped, on=lambda shipment: shipment["product"], name="shipped", value=dict
    ).to_stream().to(SHIPPED, key=str, value=dict)
    return builder.build(config)


def enriched(order: Order, customer: dict[str, Any]) -> dict[str, Any]:
    return {"id": order["id"], "segment": customer["segment"]}


def shipped(shipment: dict[str, Any], product: dict[str, Any]) -> dict[str, Any]:
    return {"pieces": shipment["pieces"], "price": product["price"]}


def configured(broker: str, name: str, state_dir: str, settings: dict[str, str]) -> StreamsConfig:
    return StreamsConfig.of(name, {"broker": broker, "state_dir": state_dir, **SETTINGS}, command_line=settings)


def main(broker: str, name: str, state_dir: str, *settings: str) -> None:
    """Run a worker until SIGTERM."""
    logging.basicConfig(level=logging.INFO, stream=sys.stdout, format="%(asctime)s %(name)s %(message)s")
    config = configured(broker, name, state_dir, dict(setting.split("=", 1) for setting in settings))
    clients = KafkaClients(config)
    worker = Worker(topology(config), config, clients)
    signal.signal(signal.SIGTERM, lambda *_: worker.stop())
    try:
        worker.run()
    finally:
        clients.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
