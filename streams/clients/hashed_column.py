"""The hashes of many keys of one length, by numpy: each step of murmur2 for the whole column.

From a few hundred keys on that is a third of what the big integers of `partitioner` take, which need no numpy. Imported
where such a column comes: many programs have none.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

_MULTIPLIER = np.uint32(0x5BD1E995)
_WORD_BYTES, _BYTE_BITS = 4, 8

Hashes = npt.NDArray[np.uint32]


def hashes(keys: Sequence[bytes], length: int, seed: int) -> Hashes:
    """The 32-bit hash of each key, unsigned; all are of `length` bytes."""
    data = np.frombuffer(b"".join(keys), np.uint8).reshape(len(keys), length)
    whole = length - length % _WORD_BYTES
    mixed = np.ascontiguousarray(data[:, :whole]).view("<u4").T * _MULTIPLIER
    mixed ^= mixed >> 24
    mixed *= _MULTIPLIER
    hashed = np.full(len(keys), seed ^ length, np.uint32)
    for word in mixed:
        hashed *= _MULTIPLIER
        hashed ^= word
    if whole < length:
        for at in range(whole, length):
            hashed ^= data[:, at].astype(np.uint32) << (at - whole) * _BYTE_BITS
        hashed *= _MULTIPLIER
    hashed ^= hashed >> 13
    hashed *= _MULTIPLIER
    hashed ^= hashed >> 15
    return hashed
