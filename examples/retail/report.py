"""The year in figures and in a picture, by pandas: revenue, turns, days sold out that reorders avoided.

Rules: money and sales come from the file of lines, everything else from the topics.
"""

from __future__ import annotations

from pathlib import Path
from textwrap import shorten
from typing import Any, NamedTuple

import pandas as pd

from examples.retail.books import table
from examples.retail.rules import OPENING
from examples.retail.topology import PRICES, PRODUCTS, RECEIPTS, REORDERS
from streams import Connection

INK, MUTED, BLUE, RED, GREEN = "#22303c", "#9aa5b1", "#2f6f9f", "#c8553d", "#5b8e4d"


class Report(NamedTuple):
    """`products` by code: description, revenue, turns, orders, urged, price, days sold out without and with reorders.

    `revenue` by week; `shelf`: what lay there at the end of each day, a column per product; `receipts`: what came, by
    product, number and day.
    """

    products: pd.DataFrame
    revenue: pd.Series[float]
    shelf: pd.DataFrame
    receipts: pd.DataFrame


def report(path: Path, connection: Connection) -> Report:
    """Everything that is told of the year."""
    lines = table(path).assign(InvoiceDate=lambda rows: pd.to_datetime(rows.InvoiceDate))
    adjustment = (lines.Quantity < 0) & ~lines.InvoiceNo.str.startswith("C")
    lines = lines[lines.StockCode.str.match(r"\d") & (lines.UnitPrice > 0) & ~adjustment]
    lines = lines.assign(revenue=lines.Quantity * lines.UnitPrice, day=lines.InvoiceDate.dt.floor("D"))
    days = pd.date_range(lines.day.min(), lines.day.max(), freq="D")

    def daily(frame: pd.DataFrame, column: str) -> pd.DataFrame:
        table = frame.pivot_table(index="day", columns="StockCode", values=column, aggfunc="sum", fill_value=0)
        return table.reindex(index=days, columns=products, fill_value=0)

    received = [
        (each.value.product, each.value.quantity - each.value.damaged, each.timestamp)
        for each in connection.read(RECEIPTS)
    ]
    receipts = pd.DataFrame(received, columns=["StockCode", "pieces", "at_ms"])
    receipts["day"] = pd.to_datetime(receipts.at_ms, unit="ms").dt.floor("D")
    products = sorted(lines.StockCode.unique())
    without = OPENING - daily(lines, "Quantity").cumsum()
    shelf = without + daily(receipts, "pieces").cumsum()
    orders = [(each.key, each.value.urged) for each in connection.read(REORDERS)]
    ordered = pd.DataFrame(orders, columns=["StockCode", "urged"]).groupby("StockCode").urged
    sold = lines[lines.Quantity > 0].groupby("StockCode").Quantity.sum()
    prices = {each.key: each.value.price for each in connection.read(PRODUCTS)}
    prices |= {each.key: each.value.new for each in connection.read(PRICES)}
    frame = pd.DataFrame(index=pd.Index(products, name="StockCode"))
    frame["description"] = lines.groupby("StockCode").Description.first().str.strip()
    frame["revenue"] = lines.groupby("StockCode").revenue.sum()
    frame["turns"] = sold / shelf.clip(lower=0).mean().clip(lower=1)
    frame["orders"] = ordered.agg(lambda urged: (urged == 0).sum())
    frame["urged"] = ordered.agg(lambda urged: (urged > 0).sum())
    frame["price"] = pd.Series(prices, dtype=float)
    frame["sold out"] = (shelf <= 0).sum()
    frame["avoided"] = (without <= 0).sum() - frame["sold out"]
    weekly = lines.set_index("InvoiceDate").revenue.resample("W").sum()
    return Report(frame.sort_values("revenue", ascending=False), weekly, shelf, receipts)


def told(report: Report) -> str:
    """The report as text: totals, and the ten products that brought most."""
    products = report.products
    sold_out, avoided = int(products["sold out"].sum()), int(products["avoided"].sum())
    top = products.head(10).fillna({"orders": 0, "urged": 0}).astype({"orders": int, "urged": int})
    return (
        f"revenue {products.revenue.sum():,.0f} pounds of {len(products):,} products, median turns "
        f"{products.turns.median():.1f}\n"
        f"days sold out, over all products: {sold_out:,}; without reorders {sold_out + avoided:,}, so {avoided:,} avoided\n"
        f"orders {int(products.orders.sum()):,}, urged {int(products.urged.sum()):,} times\n\n"
        + top.to_string(float_format=lambda number: f"{number:,.2f}")
    )


def draw(report: Report, path: Path) -> None:
    """The picture, as PNG. Raises: ImportError without matplotlib."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    style: Any = {
        "font.size": 9,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.edgecolor": MUTED,
        "text.color": INK,
        "axes.labelcolor": INK,
        "xtick.color": INK,
        "ytick.color": INK,
    }
    with mpl.rc_context(style):
        figure = Figure(figsize=(11, 7), layout="constrained")
        grid = figure.add_gridspec(2, 2, width_ratios=(3, 2))
        _draw_revenue(figure.add_subplot(grid[0, :]), report)
        _draw_shelf(figure.add_subplot(grid[1, 0]), report)
        _draw_sold_out(figure.add_subplot(grid[1, 1]), report)
        figure.suptitle("A year of the shop", x=0.01, ha="left", fontsize=14, fontweight="bold")
        figure.savefig(path, dpi=130)


def _draw_revenue(axes: Any, report: Report) -> None:
    weeks = report.revenue / 1000
    axes.fill_between(weeks.index, weeks, color=BLUE, alpha=0.18, linewidth=0)
    axes.plot(weeks.index, weeks, color=BLUE, linewidth=1.8)
    axes.set_title("Revenue by week, thousand pounds", loc="left", fontsize=10)
    axes.set_ylim(bottom=min(0, weeks.min()))
    axes.margins(x=0.01)
    axes.grid(axis="y", color=MUTED, alpha=0.25)


def _draw_shelf(axes: Any, report: Report) -> None:
    code = str(report.products.orders.fillna(0).idxmax())
    shelf, came = report.shelf[code], report.receipts[report.receipts.StockCode == code]
    axes.axhline(0, color=INK, linewidth=0.8)
    axes.fill_between(shelf.index, shelf, 0, where=shelf <= 0, step="post", color=RED, alpha=0.35, label="sold out")
    axes.step(shelf.index, shelf, where="post", color=INK, linewidth=1.3, label="on the shelf")
    arrivals = came.day[came.day.isin(shelf.index)]
    axes.plot(arrivals, shelf[arrivals], "^", color=GREEN, markersize=6, label="goods came")
    name = str(report.products.description[code]).capitalize()
    axes.set_title(f"{code} {name}: pieces on the shelf", loc="left", fontsize=10)
    axes.legend(frameon=False, ncols=3, fontsize=8, loc="upper left")
    axes.margins(x=0.01, y=0.2)


def _draw_sold_out(axes: Any, report: Report) -> None:
    top = report.products.head(10).iloc[::-1]
    names = [f"{shorten(name.capitalize(), 24, placeholder='…')} {code}" for code, name in top.description.items()]
    without = top["sold out"] + top.avoided
    axes.barh(names, without, color=MUTED, alpha=0.45, label="without reorders")
    axes.barh(names, top["sold out"], color=RED, alpha=0.85, label="as it was")
    axes.set_title("Days sold out, products with most revenue", loc="left", fontsize=10)
    axes.legend(frameon=False, fontsize=8, loc="upper center", bbox_to_anchor=(0.4, -0.08), ncols=2)
    axes.tick_params(axis="y", length=0)
