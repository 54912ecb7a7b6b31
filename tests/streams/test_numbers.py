"""Whole numbers that arguments take."""

from enum import IntEnum
from typing import Any

import numpy as np
import pytest

from streams.errors import ConfigError, TopologyError
from streams.numbers import whole_number


class Size(IntEnum):
    LARGE = 3


@pytest.mark.parametrize("given", [3, Size.LARGE, np.int64(3)])
def test_whole_numbers_of_any_class(given: Any) -> None:
    """Whatever Python counts by."""
    assert whole_number(given, "partitions") == 3


@pytest.mark.parametrize("given", [0, -5, True, np.True_, 2.0, "x", None])
def test_what_is_none_is_refused_by_its_name(given: Any) -> None:
    """With what was expected and what came, in the error that is wanted."""
    with pytest.raises(ConfigError, match=f"partitions: expected a whole number of at least 1, got {given!r}$"):
        whole_number(given, "partitions", error=ConfigError)


def test_text_is_told_to_lose_its_quotes() -> None:
    """A number as text is an oversight; it is named as one."""
    with pytest.raises(TopologyError, match="at least 2, got '4'; write it without quotes"):
        whole_number("4", "partitions", 2)
