"""The suppliers: their terms, and a seeded generator of what they make of an order, in the place of real ones."""

from __future__ import annotations

import random
from collections.abc import Iterator

from examples.retail.messages import Reorder, Shipment, Supplier
from examples.retail.rules import DAY_MS

SUPPLIERS = {
    "Lantern & Co": Supplier(lead_days=7, least_order=48),
    "Northern Glass": Supplier(lead_days=10, least_order=96),
    "Ceramica": Supplier(lead_days=14, least_order=120),
    "Ningbo Export": Supplier(lead_days=21, least_order=240),
}


def shipments(product: str, order: Reorder) -> Iterator[tuple[str, Shipment]]:
    """One or two parts of an order, early or late, a little of them damaged; some are forgotten until it is urged.

    The same order is always answered in the same way.
    """
    chance = random.Random(f"{product} {order.number}")
    first = order.quantity // 2 if chance.random() < 0.3 else order.quantity
    quantities = [first, order.quantity - first] if first < order.quantity else [first]
    forgets = chance.random() < 0.2
    days = 0
    for part, quantity in enumerate(quantities, 1):
        days += chance.randint(order.lead_days // 2 + 1, order.lead_days + 1)
        damaged = chance.randint(0, quantity // 10) if chance.random() < 0.2 else 0
        if (forgets and part == len(quantities)) == (order.urged == 1) and order.urged < 2:
            arrives_ms = order.at_ms + (days // 2 if order.urged else days) * DAY_MS
            shipment = Shipment(
                f"{product}/{order.number}/{part}", product, order.number, quantity, damaged, arrives_ms
            )
            yield shipment.id, shipment
