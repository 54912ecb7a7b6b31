"""What a store remembers about itself, kept beside its data and written in the same batch.

The *position* is the changelog offset up to which the data are complete: the next offset to restore. *Stream time*
is the highest time a window or session store has seen, in ms. Both are 8 bytes, big endian.
"""

from __future__ import annotations

import struct

from state.engine import Engine

_NUMBER = struct.Struct(">q")
POSITION = b"position"
STREAM_TIME = b"stream-time"
SEQUENCE = b"sequence"


def read_number(engine: Engine, name: bytes) -> int | None:
    """A number of the store's metadata, None when it was never written."""
    data = engine.metadata(name)
    return None if data is None else int(_NUMBER.unpack(data)[0])


def packed_number(number: int) -> bytes:
    """A number as metadata hold it."""
    return _NUMBER.pack(number)
