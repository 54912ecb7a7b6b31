"""Changes in the order of their keys, as an engine on disk takes them best."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from operator import itemgetter

_MANY = 4_096
"""From here on numpy is worth the tenth of a second that it takes to be there."""
_LONG_BYTES = 8


def in_order(changes: Mapping[bytes, bytes | None]) -> tuple[Sequence[bytes], Sequence[bytes | None]]:
    """Keys in the order of their bytes, and the value of each.

    Many numbers of 8 bytes are sorted as such, in a third of the time that comparing bytes takes.
    """
    if len(changes) >= _MANY and set(map(len, changes)) == {_LONG_BYTES}:
        return _in_order_of_longs(changes)
    keys = sorted(changes)
    return keys, list(map(changes.__getitem__, keys))


def _in_order_of_longs(changes: Mapping[bytes, bytes | None]) -> tuple[Sequence[bytes], Sequence[bytes | None]]:
    import numpy as np  # here, for few stores need it

    keys = list(changes)
    numbers = np.frombuffer(b"".join(keys), ">u8").astype(np.uint64)
    in_turn = itemgetter(*numbers.argsort().tolist())
    return in_turn(keys), in_turn(list(changes.values()))
