"""What a store remembers about itself, kept beside its data and written in the same batch.

The *position* is the changelog offset up to which the data are complete: the next offset to restore. *Stream time*
is the highest time a window or session store has seen, in ms. Both are 8 bytes, big endian. *Changelog* is the broker's id
of the topic that the position counts in.
"""

from __future__ import annotations

import struct
from typing import Protocol

from state.engine import Engine

_NUMBER = struct.Struct(">q")
POSITION = b"position"
CHANGELOG = b"changelog"
STREAM_TIME = b"stream-time"
SEQUENCE = b"sequence"


class Positioned(Protocol):
    """A store, as far as it says how complete it is."""

    @property
    def position(self) -> int | None:
        """The changelog offset up to which the engine is complete (the next to restore); None when it is new."""
        ...

    def counts_in(self, changelog: bytes) -> bool:
        """Whether the position is one of the topic with this id. A store that has noted none takes it for its own."""
        ...


def read_number(engine: Engine, name: bytes) -> int | None:
    """A number of the store's metadata, None when it was never written."""
    data = engine.metadata(name)
    return None if data is None else int(_NUMBER.unpack(data)[0])


def packed_number(number: int) -> bytes:
    """A number as metadata hold it."""
    return _NUMBER.pack(number)
