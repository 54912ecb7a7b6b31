"""Dead letters: the record as it was read, and in its headers what went wrong with it.

Names and contents of the headers are Kafka's (KIP-1034, `ExceptionHandlerUtils`), so that what reads dead letters of
Kafka Streams reads these. It knows neither tasks nor producers.
"""

from __future__ import annotations

from traceback import format_exception
from typing import Any

import msgspec

from streams.errors import RecordError
from streams.record import Headers, Record

PREFIX = "__streams.errors."
EXCEPTION, MESSAGE, STACKTRACE = f"{PREFIX}exception", f"{PREFIX}message", f"{PREFIX}stacktrace"
TOPIC, PARTITION, OFFSET = f"{PREFIX}topic", f"{PREFIX}partition", f"{PREFIX}offset"


def letter(read: Record | None, record: Record, error: RecordError) -> Record:
    """What goes to the dead-letter topic, in bytes.

    `read` is the input record as it was fetched; its letter has the time that the record in hand has, by an extractor or a
    join, as Kafka's has. Without it (a punctuator's, or one that was held back in a store) the letter has the record in
    hand: bytes as they are, other values as JSON.
    """
    source = read or record
    return Record(
        source.key if read else _bytes(record.key),
        source.value if read else _bytes(record.value),
        record.timestamp,
        (*source.headers, *headers_of(error)),
    )


def headers_of(error: RecordError) -> Headers:
    """Kafka's headers; the place is left out for a record that a task made itself."""
    cause = error.__cause__ or error
    headers = [
        (EXCEPTION, _text(_name(cause))),
        (MESSAGE, _text(str(cause))),
        (STACKTRACE, _text("".join(format_exception(cause)))),
    ]
    if error.topic:
        headers += [
            (TOPIC, _text(error.topic)),
            (PARTITION, _text(str(error.partition))),
            (OFFSET, _text(str(error.offset))),
        ]
    return tuple(headers)


def _name(error: BaseException) -> str:
    """The class of an error, with its module unless that is Python's own, and what it says: Java's toString."""
    kind = type(error)
    name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    text = str(error)
    return f"{name}: {text}" if text else name


def _text(text: str) -> bytes:
    return text.encode(errors="replace")


def _bytes(value: Any) -> bytes | None:
    if value is None or isinstance(value, bytes):
        return value
    return msgspec.json.encode(value, enc_hook=repr)
