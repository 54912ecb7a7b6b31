"""Reprocessing after a change of the code: the new version runs beside the old one, from the beginning, and is compared.

    $ python -m examples.small.reprocessing

Version 1 adds up the revenue of a product; version 2 forgets no refunds. A new application id means new offsets, new
state and, here, a new output topic: the old one serves until the new one has caught up and looks right.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec

from streams import App

SALES = [("lamp", 30.0), ("mug", 8.0), ("lamp", -30.0), ("vase", 25.0), ("mug", 8.0), ("vase", -25.0), ("lamp", 32.0)]


class Sale(msgspec.Struct):
    """Money in, or out where it is below 0."""

    amount: float


def revenue(version: int, counts: Callable[[Sale], bool], directory: Path) -> App:
    """One version of the program; `counts` is what changed."""
    app = App(
        f"revenue-v{version}",
        broker=f"embedded://{directory}",
        state_dir=str(directory / "state"),
    )
    sales = app.topic("sales", key=str, value=Sale, partitions=1)
    total = app.topic(f"revenue_v{version}", key=str, value=float)
    (
        app.stream(sales)
        .filter(lambda _, sale: counts(sale))
        .group_by_key()
        .aggregate(float, lambda _, sale, total: total + sale.amount, name="revenue", value=float)
        .to_stream()
        .to(total)
    )
    return app


def versions(directory: Path) -> tuple[App, App]:
    return (
        revenue(1, lambda sale: sale.amount > 0, directory),
        revenue(2, lambda _: True, directory),
    )


def results(app: App, topic: str) -> dict[str, float]:
    """Run to the end of what is there. Shape: the latest value of each key of the output."""
    with app.running() as run:
        run.catch_up(60)
    return {record.key: record.value for record in app.read(topic)}


def main(directory: Path = Path(".streams/reprocessing")) -> None:
    old, new = versions(directory)
    if not list(old.read("sales")):
        old.write("sales", [(product, Sale(amount)) for product, amount in SALES])
    before, after = results(old, "revenue_v1"), results(new, "revenue_v2")
    print(f"{'product':10}{'version 1':>12}{'version 2':>12}")
    for product in sorted(before | after):
        change = "" if before.get(product) == after.get(product) else "   changed"
        print(f"{product:10}{before.get(product, 0.0):12.2f}{after.get(product, 0.0):12.2f}{change}")


if __name__ == "__main__":
    main()
