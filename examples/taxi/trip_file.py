"""A file of trips, row by row, as CSV or Parquet.

Rules: a file that is not what it should be is refused with the place and the cure; a cut is noticed wherever it is.
This module knows nothing of rides and topics.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from examples.taxi.layouts import CellError, Layout, Row, TripsError, expect_file, layout_of


def rows(path: Path) -> Iterator[Row]:
    """Every trip of a CSV or Parquet file, in its order. Raises: TripsError with the place and the cure."""
    expect_file(path, "Name a CSV or Parquet file of trips, or leave --trips out for generated ones.")
    return _parquet_rows(path) if path.suffix.lower() == ".parquet" else _csv_rows(path)


def _csv_rows(path: Path) -> Iterator[Row]:
    with path.open(newline="", encoding="utf-8-sig") as file:
        reader = csv.reader(file, strict=True)
        try:
            header = next(reader, [])
            if not header:
                raise TripsError(f"{path} is empty: expected a line with column names, then trips. Fetch it again.")
            layout, places = layout_of(path, header)
            ends = LineEnds()
            for cells in reader:
                if not cells:  # a blank line
                    continue
                if len(cells) != len(header):
                    raise TripsError(
                        f"{path}, line {reader.line_num}: expected {len(header)} columns, found {len(cells)}. "
                        "The file seems cut or damaged there: fetch it again, or delete the line."
                    )
                ends.add(cells[-1])
                yield _row(
                    f"{path}, line {reader.line_num}",
                    layout,
                    [None if place is None else cells[place] for place in places],
                )
            if ends.seem_cut and not ends_with_newline(path):
                raise TripsError(
                    f"{path}, line {reader.line_num}: ends without a line end, after {ends.last!r} in column "
                    f"{header[-1]}. The file seems cut there: fetch it again, or add the line end if it is whole."
                )
        except (csv.Error, UnicodeDecodeError) as error:
            raise TripsError(
                f"{path}, line {reader.line_num + 1}: not a CSV file of UTF-8 text ({error}). "
                "Fetch it again; a Parquet file must end in .parquet."
            ) from error


class LineEnds:
    """The last cells of all lines: a cut inside the last one can be told only by a value that was never seen."""

    LIMIT = 10_000

    def __init__(self) -> None:
        self.last: str | None = None
        self._seen: set[str] = set()

    def add(self, cell: str) -> None:
        """The next line ends with `cell`."""
        if self.last is not None and len(self._seen) < self.LIMIT:
            self._seen.add(self.last)
        self.last = cell

    @property
    def seem_cut(self) -> bool:
        """Whether the last line's end is empty, or new; too many different ends say nothing."""
        new = self.last not in self._seen and len(self._seen) < self.LIMIT
        return self.last is not None and (new or not self.last)


def ends_with_newline(path: Path) -> bool:
    """Whether the last line of a file that is not empty is a whole one."""
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read(1) in b"\r\n"


def _parquet_rows(path: Path) -> Iterator[Row]:
    try:
        arrow, parquet = import_module("pyarrow"), import_module("pyarrow.parquet")
    except ImportError as error:
        raise TripsError(f"{path}: Parquet files need pyarrow. Install it: pip install 'headrace[pandas]'.") from error
    try:
        with parquet.ParquetFile(path) as file:
            layout, places = layout_of(path, file.schema_arrow.names)
            names = [None if place is None else file.schema_arrow.names[place] for place in places]
            number = 0
            for batch in file.iter_batches(columns=[name for name in names if name]):
                columns = [batch.column(name).to_pylist() if name else [None] * len(batch) for name in names]
                for cells in zip(*columns, strict=True):
                    number += 1
                    yield _row(f"{path}, row {number}", layout, cells)
    except arrow.ArrowException as error:
        cause = str(error).splitlines()[0].rstrip(".")
        raise TripsError(f"{path} cannot be read as Parquet ({cause}). It seems cut: fetch it again.") from error


def _row(where: str, layout: Layout, cells: Sequence[Any]) -> Row:
    try:
        return layout.row(cells)
    except CellError as error:
        raise TripsError(f"{where}, {error}. Correct the cell, or fetch the file again.") from error
