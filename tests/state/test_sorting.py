"""Changes come in the order of their keys' bytes, however they are sorted."""

import random

import pytest

from state.sorting import in_order


@pytest.mark.parametrize("length", [8, 4, 9, None])
@pytest.mark.parametrize("count", [0, 1, 4_095, 4_096, 9_000])
def test_changes_in_order(length, count):
    """Numbers, negative ones among them, which come last as bytes; keys of other and of several lengths."""
    order = random.Random(count)
    keys = [order.randbytes(length or order.choice([0, 3, 8])) for _ in range(count)]
    changes = {key: order.choice([None, key[::-1]]) for key in keys}
    names, values = in_order(changes)
    assert list(zip(names, values, strict=True)) == sorted(changes.items(), key=lambda change: change[0])
