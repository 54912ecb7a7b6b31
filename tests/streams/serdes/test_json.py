"""What JSON serdes say of values that JSON has no form for."""

from __future__ import annotations

import datetime as dt
import re
from typing import Any

import numpy as np
import pandas as pd
import pytest

from streams.serdes import serde_for


@pytest.mark.parametrize(
    ("kind", "value", "plain"),
    [
        (dict, {"n": np.int64(3)}, "number.item()"),
        (list[float], [np.float64(1.5)], "number.item()"),
        (dict, {"all": np.array([1, 2])}, "array.tolist()"),
        (dt.datetime, pd.Timestamp("2026-01-01"), "time.to_pydatetime()"),
        (dict, {"took": pd.Timedelta("1 s")}, "duration.to_pytimedelta()"),
        (list, [pd.NA], "None for pandas' NA"),
        (dt.datetime, pd.NaT, "None for pandas' NaT"),
        (object, {"n": np.int64(3)}, "number.item()"),
    ],
)
def test_values_of_numpy_and_pandas_name_their_plain_form(kind: Any, value: Any, plain: str) -> None:
    """What comes out of an array or a DataFrame is refused within a value, and the message says what to write."""
    with pytest.raises(TypeError, match=f"that JSON can hold, got .*: write {re.escape(plain)}$"):
        serde_for(kind).serialize(value)


def test_other_types_name_no_plain_form() -> None:
    """A type of the user's own has none that is known here."""
    with pytest.raises(TypeError, match="is unsupported$"):
        serde_for(list).serialize([object()])
