"""Errors: what a record's error ends with."""

from __future__ import annotations

import traceback

import pytest

from streams import App
from streams.errors import DeserializationError, ProcessingError, ProductionError, RecordError
from streams.testing import TopologyTestDriver


@pytest.mark.parametrize(
    ("kind", "cure"),
    [
        (DeserializationError, "declare the type that was written, or fix whoever writes it"),
        (ProcessingError, "fix the function"),
        (ProductionError, "fix what makes the result"),
    ],
)
def test_a_records_error_ends_with_what_to_do(kind: type[RecordError], cure: str) -> None:
    """Wherever its traceback is shown, in a notebook or a log; where nobody asks `on_error`, its message says it."""
    shown = "".join(traceback.format_exception(kind("it failed", node="sums", topic="rides", partition=0, offset=7)))
    assert shown.rstrip().splitlines()[-1].strip() == (
        f"{cure}, or set such records aside: on_error=dead_letter(TOPIC), --set on_error=dead_letter:TOPIC"
    )
    assert "set such records aside" not in "".join(traceback.format_exception(kind("it failed", node="reader")))


def test_what_to_do_is_no_part_of_the_message() -> None:
    """That of a record which is set aside goes to the log and into its dead letter."""
    app = App("sums", on_error="dead_letter:letters")
    app.stream("in", key=str, value=int).to("out")
    with TopologyTestDriver(app) as driver:
        driver.pipe("in", b"k", b"no number", 0)
        (letter,) = driver.output("letters", key=bytes, value=bytes).read()
    assert not any(b"set such records aside" in (value or b"") for _, value in letter.headers)
