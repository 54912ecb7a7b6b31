"""Fail tells all; continue counts and warns."""

from __future__ import annotations

import logging

import pytest

from streams.errors import DeserializationError, ProcessingError, ProductionError
from streams.on_error import CONTINUE
from streams.record import Record
from streams.runtime.error_handlers import ErrorHandlers

RECORD = Record(b"k", b"\xff" * 500, 7, topic="rides", partition=3, offset=42)


def test_fail_names_topic_partition_offset_node_and_value() -> None:
    """The error of an unreadable record says where it lies and shows it, cut."""
    with pytest.raises(DeserializationError) as caught:
        ErrorHandlers().deserialization("SOURCE-1", RECORD, ValueError("expected JSON"))
    message = str(caught.value)
    for part in ("rides[3]@42", "SOURCE-1", "expected JSON", "\\xff", "bytes)"):
        assert part in message
    assert message.count("\\xff") == 49, "cut to 200 characters as they are shown, b and quote included"
    assert isinstance(caught.value.__cause__, ValueError)


def test_user_code_and_results_have_their_own_errors() -> None:
    """Processing and production are told apart."""
    with pytest.raises(ProcessingError, match="MAP-2 raised KeyError"):
        ErrorHandlers().processing("MAP-2", RECORD, KeyError("x"))
    with pytest.raises(ProductionError, match="a result for out cannot be written"):
        ErrorHandlers().production("SINK-3", "out", RECORD, TypeError("not str"))


def test_continue_counts_all_and_warns_once(caplog: pytest.LogCaptureFixture) -> None:
    """A flood of bad records is one line in the log and a number."""
    handlers = ErrorHandlers(deserialization=CONTINUE)
    with caplog.at_level(logging.WARNING):
        for _ in range(100):
            handlers.deserialization("SOURCE-1", RECORD, ValueError("expected JSON"))
    assert handlers.skipped["DeserializationError"] == 100
    assert len(caplog.records) == 1


def test_an_error_of_ours_is_not_wrapped_again() -> None:
    """A ProcessingError from deeper down passes as it is."""
    inner = ProcessingError("deep")
    with pytest.raises(ProcessingError) as caught:
        ErrorHandlers().processing("OUTER", RECORD, inner)
    assert caught.value is inner
