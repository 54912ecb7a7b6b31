"""Files of invoice lines in the columns of the UCI "Online Retail" data: read and checked, or generated as dirty.

Rules: a file is read to its end before its first line is produced; a damaged one is refused as a whole, with the place
and the cure. Lines that are well-formed but wrong are the shop's business.
"""

from __future__ import annotations

import csv
import random
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from math import isfinite
from os import SEEK_END
from pathlib import Path
from typing import TypeVar

from examples.retail.messages import Line, Product
from examples.retail.suppliers import SUPPLIERS

T = TypeVar("T")

COLUMNS = ("InvoiceNo", "StockCode", "Description", "Quantity", "InvoiceDate", "UnitPrice", "CustomerID", "Country")
MOST_PIECES = 1_000_000_000
CODES = ("POST", "M", "D", "AMAZONFEE", "BANK CHARGES")
THINGS = ("CAKESTAND", "LANTERN", "DOORSTOP", "LUNCH BAG", "CUTLERY SET", "TEA TOWEL", "WALL CLOCK", "HANGING HEART")
COLOURS = ("RED", "WHITE", "VINTAGE", "BLUE", "PINK", "SPACEBOY")


class RowsError(Exception):
    """A file that cannot be used: the place and the cure."""


def read_lines(path: Path) -> list[Line]:
    """All lines of a file in the order of their time. Raises: RowsError."""
    if not path.is_file():
        what = "is a directory" if path.is_dir() else "is no file" if path.exists() else "does not exist"
        raise RowsError(f"{path} {what}. Name a CSV file of the Online Retail data with --lines.")
    with path.open(newline="", encoding="utf-8-sig", errors="replace") as file:
        reader = csv.reader(file)
        try:
            lines = list(_lines(path, reader))
        except csv.Error as problem:
            raise RowsError(
                f"{path}, line {reader.line_num + 1}: not a CSV file ({problem}). Fetch it again."
            ) from None
    if not lines:
        raise RowsError(f"{path} has no lines: fetch it again, or name another with --lines.")
    if _seems_cut(path, lines):
        raise RowsError(
            f"{path}, line {len(lines) + 1}: ends without a line end, in a country of its own "
            f"({lines[-1].country!r}). Is the file cut? Fetch it again, or add the line end if it is whole."
        )
    return sorted(lines, key=lambda line: line.at_ms)


def _lines(path: Path, rows: Iterator[list[str]]) -> Iterator[Line]:
    header = next(rows, None)
    if header is None:
        raise RowsError(f"{path} is empty: fetch it again, or name another with --lines.")
    if tuple(header) != COLUMNS:
        got = ", ".join(header)[:120]
        found = f"got {got}" if got.isprintable() else "got no text"
        raise RowsError(
            f"{path}: expected a first line with the columns {', '.join(COLUMNS)}, {found if got else 'got nothing'}. "
            "Name another file with --lines, or write that line if the columns are these under other names."
        )
    now_ms = time.time_ns() // 1_000_000
    for number, row in enumerate(rows, 1):
        where = f"{path}, line {number + 1}"
        if len(row) != len(COLUMNS):
            raise RowsError(
                f"{where}: expected {len(COLUMNS)} columns, got {len(row)}. Is the file cut? Fetch it again, "
                "or delete the line."
            )
        invoice, product, description, quantity, date, price, customer, country = row
        line = Line(
            id=f"{invoice}/{number}",
            invoice=invoice,
            product=product,
            description=description.strip(),
            quantity=_read(_whole, quantity, f"{where}, Quantity: expected a whole number up to a billion"),
            price=_read(_price, price, f"{where}, UnitPrice: expected a number"),
            customer=customer,
            country=country,
            at_ms=_read(_moment_ms, date, f"{where}, InvoiceDate: expected a date such as 2010-12-01 08:26:00"),
        )
        if not 0 <= line.at_ms <= now_ms:
            raise RowsError(
                f"{where}, InvoiceDate: {date} is before 1970 or yet to come, and a broker takes no records of such a "
                "time. Correct the date, or name another file with --lines."
            )
        yield line


def _read(read: Callable[[str], T], cell: str, expectation: str) -> T:
    try:
        return read(cell)
    except ValueError:
        raise RowsError(f"{expectation}, got {cell[:60]!r}. Correct the cell, or fetch the file again.") from None


def _seems_cut(path: Path, lines: list[Line]) -> bool:
    """Whether the last line has no end, and ends with what no line above it ends with."""
    with path.open("rb") as file:
        file.seek(-1, SEEK_END)
        whole = file.read(1) in b"\r\n"
    return not whole and len(lines) > 1 and all(line.country != lines[-1].country for line in lines[:-1])


def _whole(text: str) -> int:
    if "_" in text or abs(number := int(text)) > MOST_PIECES:
        raise ValueError(text)
    return number


def _price(text: str) -> float:
    if "_" in text or not isfinite(price := float(text)):
        raise ValueError(text)
    return price


def _moment_ms(text: str) -> int:
    return int(_moment(text).timestamp()) * 1000


def _moment(text: str) -> datetime:
    """As the sample has it, or as the original file has it: 12/1/2010 8:26."""
    if "/" in text:
        return datetime.strptime(text, "%m/%d/%Y %H:%M").replace(tzinfo=UTC)
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def catalogue(lines: list[Line]) -> dict[str, Product]:
    """Every product of the lines with its first price; who supplies it is left to chance, always the same."""
    products: dict[str, Product] = {}
    for line in lines:
        if line.product not in products and line.price > 0 and line.product[:1].isdecimal():
            supplier = random.Random(line.product).choice(sorted(SUPPLIERS))
            products[line.product] = Product(line.description, supplier, line.price)
    return products


def write_rows(path: Path, count: int, seed: int) -> None:
    """Generate a file: a year of a shop, with cancellations, adjustments, charges, zero prices and missing customers."""
    chance = random.Random(seed)
    products = [
        (f"{20_000 + number}", f"{chance.choice(COLOURS)} {chance.choice(THINGS)}", chance.randint(40, 1500) / 100)
        for number in range(60)
    ]
    start = datetime(2010, 12, 1, 8, tzinfo=UTC)
    half = path.with_suffix(".half")
    with half.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        for number in range(count):
            moment = start + timedelta(minutes=chance.randint(0, 365 * 24 * 60))
            writer.writerow(_row(chance, 500_000 + number, moment, products))
    half.replace(path)


def _row(chance: random.Random, invoice: int, moment: datetime, products: list[tuple[str, str, float]]) -> list[str]:
    code, description, price = products[min(int(chance.expovariate(0.08)), len(products) - 1)]
    quantity, number = chance.choice((1, 2, 3, 6, 12, 24)), f"{invoice}"
    kind = chance.random()
    if kind < 0.03:
        number, quantity = f"C{invoice}", -quantity
    elif kind < 0.04:
        quantity = -quantity
    elif kind < 0.05:
        code, description = chance.choice(CODES), "Manual"
    elif kind < 0.06:
        price = 0.0
    customer = "" if chance.random() < 0.07 else str(chance.randint(12_346, 18_287))
    date = moment.strftime("%Y-%m-%d %H:%M:%S")
    return [number, code, description, str(quantity), date, f"{price:.2f}", customer, "United Kingdom"]
