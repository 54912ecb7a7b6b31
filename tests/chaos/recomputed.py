"""The four results once more, with pandas over all inputs at once: what the running totals are held against at the end."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from tests.chaos.application import CUSTOMERS, ORDERS, PRODUCTS, SHIPMENTS, WINDOW_MS
from tests.chaos.inputs import Input
from tests.chaos.outputs import Outputs


def recomputation_problems(inputs: Sequence[Input], outputs: Outputs) -> list[str]:
    """Where what came out differs from what pandas makes of what went in, a line per result."""
    frames = {
        topic: pd.DataFrame([{"key": each.key, "time": each.timestamp, **each.value} for each in chosen])
        for topic in (ORDERS, CUSTOMERS, PRODUCTS, SHIPMENTS)
        if (chosen := [each for each in inputs if each.topic == topic])
    }
    orders = frames[ORDERS]
    windows = orders["product"] + "@" + (orders["time"] // WINDOW_MS * WINDOW_MS).astype(str)
    customers = orders.merge(latest(frames[CUSTOMERS]), on="key", suffixes=("", "_of_customer"))
    pairs: dict[str, tuple[Any, Any]] = {
        "counts": (outputs.counts, orders.groupby("key").size().to_dict()),
        "sums": (outputs.sums, orders.groupby(windows)["amount"].sum().to_dict()),
        "enriched": (outputs.enriched, dict(zip(customers["id"], customers["segment"], strict=True))),
        "shipped": (outputs.shipped, shipped(frames)),
    }
    return [f"{name}: not what pandas makes of the inputs" for name, (seen, made) in pairs.items() if seen != made]


def shipped(frames: dict[str, pd.DataFrame]) -> dict[str, dict[str, int]]:
    """Each shipment's pieces with the price of its product, as both are last."""
    if PRODUCTS not in frames or SHIPMENTS not in frames:
        return {}
    products = latest(frames[PRODUCTS]).rename(columns={"key": "product"})
    joined = latest(frames[SHIPMENTS])[["key", "product", "pieces"]].merge(products, on="product")
    rows = zip(joined["key"], joined["pieces"], joined["price"], strict=True)
    return {key: {"pieces": pieces, "price": price} for key, pieces, price in rows}


def latest(frame: pd.DataFrame) -> pd.DataFrame:
    """The last row of each key."""
    return frame.drop_duplicates("key", keep="last")
