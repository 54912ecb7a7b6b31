"""The kinds of files: Parquet, CSV and JSON lines, each read row by row."""

from __future__ import annotations

import csv
import gzip
import logging
import zlib
from collections.abc import Iterator
from importlib import import_module
from itertools import islice
from os import SEEK_END
from pathlib import Path
from typing import IO, Any

import msgspec

from state.serde import Serde
from streams.connect.arrow_times import in_microseconds
from streams.connect.file_source import FileSource, Place
from streams.connect.record_lines import headers_of
from streams.connect.row_shape import TIMESTAMP, RowShape, key_of
from streams.dsl.options import Topic
from streams.durations import record_time_ms
from streams.errors import ConfigError, StreamsError, shown
from streams.record import NO_TIMESTAMP, Record
from streams.row_values import decoded, fields_of

log = logging.getLogger(__name__)

ROWS = 10_000
LONGEST_CELL = 64 * 1024 * 1024
"""Characters, more than a record may have by far; an unlimited one would let an open quote take in the rest of a file."""
_UNREADABLE = (UnicodeDecodeError, EOFError, gzip.BadGzipFile, zlib.error)
"""What text, packed or not, raises where it is none."""
_ENVELOPE = {"key", "value", "timestamp", "topic", "partition", "offset", "headers"}
"""What `streams consume` prints: a line with a value and nothing else but these is a record, not a value."""


def read_parquet(path: str | Path) -> FileSource:
    """A Parquet file as a source. Raises: ConfigError when there is none; StreamsError without pyarrow."""
    return ParquetSource(path)


def read_csv(path: str | Path) -> FileSource:
    """A CSV file with a header line as a source; `.tsv` has tabs, `.gz` is unpacked. Raises: ConfigError."""
    return CsvSource(path)


def read_jsonl(path: str | Path) -> FileSource:
    """A file of JSON lines as a source: values, or records as `streams consume` prints them. Raises: ConfigError."""
    return JsonLinesSource(path)


def _pyarrow() -> tuple[Any, Any]:
    """The modules; they are not annotated."""
    try:
        return import_module("pyarrow"), import_module("pyarrow.parquet")
    except ImportError:
        raise StreamsError("Parquet files need pyarrow: pip install 'headrace[pandas]'") from None


class ParquetSource(FileSource):
    """Rows of a Parquet file; only the columns that are wanted are read."""

    def _placed(self, topic: Topic, *, key: Any, timestamp: Any) -> Iterator[tuple[Place, Record]]:
        arrow, parquet = _pyarrow()
        try:
            file = parquet.ParquetFile(self.path)
        except (arrow.ArrowException, OSError) as problem:
            raise ConfigError(f"{self.path} is no Parquet file, or is cut: {problem}") from None
        with file:
            shape = self._shape(topic, file.schema_arrow.names, key=key, timestamp=timestamp)
            number = 0
            try:
                for batch in file.iter_batches(batch_size=ROWS, columns=list(shape.columns)):
                    for row in in_microseconds(arrow, batch).to_pylist():
                        number += 1
                        yield f"row {number}", self._record(shape, row, number)
            except (arrow.ArrowException, OSError) as problem:
                raise self.wrong(f"after row {number}", f"it cannot be read, it may be cut: {problem}") from None

    def _record(self, shape: RowShape, row: dict[str, Any], number: int) -> Record:
        try:
            return shape.record(row)
        except (ValueError, TypeError) as problem:
            raise self.wrong(f"row {number}", f"{problem}; nothing was written") from None


class TextSource(FileSource):
    """A file of text lines, gzipped or not."""

    def _open(self) -> IO[str]:
        if self._packed:
            return gzip.open(self.path, "rt", encoding="utf-8-sig", newline="")
        return self.path.open(encoding="utf-8-sig", newline="")

    def check(self, topic: Topic, default: Serde[Any], *, key: Any = None, timestamp: Any = None) -> int:
        """As for every source; a last line without its end may be whole or cut, so it is only warned of."""
        count = super().check(topic, default, key=key, timestamp=timestamp)
        with self.path.open("rb") as file:
            file.seek(-1, SEEK_END)
            if not self._packed and file.read(1) != b"\n":
                log.warning("%s does not end with a line break: its last row may be cut", self.path)
        return count

    @property
    def _packed(self) -> bool:
        return self.path.suffix.lower() == ".gz"

    @property
    def _kind(self) -> str:
        return self.path.name.lower().removesuffix(".gz").rpartition(".")[2]


class CsvSource(TextSource):
    """Rows of a CSV file; the first line names the columns, an empty cell is null unless its field is text."""

    textual = True

    def _placed(self, topic: Topic, *, key: Any, timestamp: Any) -> Iterator[tuple[Place, Record]]:
        with self._open() as lines:
            csv.field_size_limit(max(csv.field_size_limit(), LONGEST_CELL))  # of the process: it is only raised
            reader = csv.reader(lines, strict=True, delimiter="\t" if self._kind == "tsv" else ",")
            rows = self._rows(reader)
            header = next(rows, None)
            if header is None:
                raise ConfigError(f"{self.path} is empty: expected a first line with the names of the columns")
            shape = self._shape(topic, header, key=key, timestamp=timestamp)
            for cells in rows:
                if not cells:
                    continue
                place = f"line {reader.line_num}"
                if len(cells) != len(header):
                    raise self.wrong(
                        place,
                        f"it has {len(cells)} cell{'' if len(cells) == 1 else 's'} where the header names {len(header)} "
                        "columns: the file may be cut there; nothing was written",
                    )
                try:
                    record = shape.record(dict(zip(header, cells, strict=True)))
                except (ValueError, TypeError) as problem:
                    raise self.wrong(place, f"{problem}; nothing was written") from None
                yield place, record

    def _rows(self, reader: Any) -> Iterator[list[str]]:
        try:
            yield from reader
        except csv.Error as problem:
            raise self.wrong(
                f"line {reader.line_num}", f"{problem}: the file may be cut there; nothing was written"
            ) from None
        except _UNREADABLE as problem:
            raise self.wrong(f"after line {reader.line_num}", f"{problem}; nothing was written") from None


class JsonLinesSource(TextSource):
    """Lines of JSON: each a value, or a record with key, value and timestamp as `streams consume` prints it."""

    def _placed(self, topic: Topic, *, key: Any, timestamp: Any) -> Iterator[tuple[Place, Record]]:
        kind, key_kind = getattr(topic.value_serde, "type", None), getattr(topic.key_serde, "type", None)
        with self._open() as lines:
            for number, line in enumerate(self._lines(lines), 1):
                if not line.strip():
                    continue
                place = f"line {number}"
                try:
                    yield place, _record(line, kind, key_kind, key, timestamp)
                except msgspec.DecodeError as problem:
                    if isinstance(problem, msgspec.ValidationError):
                        raise self.wrong(place, f"{problem}; nothing was written") from None
                    raise self.wrong(
                        place, f"it is not JSON ({problem}): the file may be cut there; nothing was written"
                    ) from None
                except (ValueError, TypeError, LookupError) as problem:
                    raise self.wrong(place, f"{problem}; nothing was written") from None

    def _lines(self, lines: IO[str]) -> Iterator[str]:
        number = 0
        try:
            while chunk := list(islice(lines, ROWS)):
                yield from chunk
                number += len(chunk)
        except _UNREADABLE as problem:
            raise self.wrong(f"after line {number}", f"{problem}; nothing was written") from None


class _Told(msgspec.Struct):
    """A record whose value is left as its text, to be read as the type that it is to have."""

    value: msgspec.Raw


def _record(line: str, kind: Any, key_kind: Any, key: str | None, timestamp: str | None) -> Record:
    parsed = msgspec.json.decode(line)
    told: str | msgspec.Raw = line
    found, moment, headers = None, None, None
    if isinstance(parsed, dict) and "value" in parsed and not parsed.keys() - _ENVELOPE and not _has_value(kind):
        found, moment, headers = parsed.get("key"), parsed.get(TIMESTAMP), parsed.get("headers")
        moment = None if moment == NO_TIMESTAMP else moment  # printed of a record that was written without a time
        parsed, told = parsed["value"], msgspec.json.decode(line, type=_Told).value
    if key is not None:
        found = _column(parsed, key, "key")
    if timestamp is not None:
        moment = _column(parsed, timestamp, "timestamp")
    value = parsed if parsed is None or kind is bytes else decoded(told, kind)
    time = NO_TIMESTAMP if moment is None else record_time_ms(moment, f"column {timestamp or TIMESTAMP}")
    return Record(key_of(found, key_kind), value, time, headers=headers_of(headers))


def _has_value(kind: Any) -> bool:
    """Whether a value's own fields look like a record's."""
    return "value" in (fields_of(kind) or ())


def _column(row: Any, name: str, meaning: str) -> Any:
    if not isinstance(row, dict) or name not in row:
        raise ValueError(f"it has no field {name!r} to be the {meaning}: got {shown(row)}")
    return row[name]
