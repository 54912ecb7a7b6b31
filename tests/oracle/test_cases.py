"""Kafka's own outputs, record by record: every case gives the same here, with stores in RocksDB and in memory."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.oracle.cases import answered
from tests.oracle.internal_topics import first_difference

FOLDERS = (Path(__file__).parent / "cases", Path(__file__).parents[3] / "shared" / "oracle")
FILES = sorted(path for folder in FOLDERS for path in folder.rglob("*.json") if path.stem != "format-vectors")


def case_of(path: Path) -> dict[str, Any]:
    case: dict[str, Any] = json.loads(path.read_text())
    return case


@pytest.mark.skipif(not FILES, reason="no recorded cases beside this repository")
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_outputs_and_description_are_kafkas(path: Path) -> None:
    """With stores in memory."""
    case = case_of(path)
    answer = answered(case)
    assert "error" not in answer, answer["error"]
    assert [step["out"] for step in answer["steps"]] == [step["out"] for step in case["steps"]]
    assert answer["describe"] == case["describe"]
    if "processing_on_error" not in case.get("config", {}):  # Kafka counts those that a function raised for, too
        assert answer["dropped"] == case.get("dropped", answer["dropped"])
    assert first_difference(case.get("bytes", {}), answer.get("bytes", {})) is None


@pytest.mark.skipif(not FILES, reason="no recorded cases beside this repository")
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_outputs_are_the_same_over_rocksdb(path: Path, tmp_path: Path) -> None:
    """The engine makes no difference."""
    case = case_of(path)
    answer = answered(case, directory=tmp_path)
    assert "error" not in answer, answer["error"]
    assert [step["out"] for step in answer["steps"]] == [step["out"] for step in case["steps"]]
