"""Kafka's binary layouts of store keys and values, byte for byte (all numbers big endian, signed).

| what | layout |
|---|---|
| window store and changelog key | key, window start (8), sequence (4) |
| session store and changelog key | key, session end (8), session start (8) |
| value with timestamp, in the store | timestamp (8), value |
| value in the changelog | value; the timestamp is the record's |

Bytes only: no serdes, no stores.
"""

from __future__ import annotations

import struct
from operator import itemgetter

_WINDOW = struct.Struct(">qi")
_SESSION = struct.Struct(">qq")
_LONG = struct.Struct(">q")

WINDOW_SUFFIX = _WINDOW.size
SESSION_SUFFIX = _SESSION.size
LONG_MAX = (1 << 63) - 1

pack_window = _WINDOW.pack
pack_session = _SESSION.pack
pack_long = _LONG.pack
_time_part = itemgetter(slice(8))
_value_part = itemgetter(slice(8, None))


def window_key(key: bytes, start_ms: int, sequence: int = 0) -> bytes:
    """The key of one window; `sequence` tells duplicates apart (0 where there are none)."""
    return key + pack_window(start_ms, sequence)


def split_window_key(data: bytes) -> tuple[bytes, int, int]:
    """Shape: (key, window start in ms, sequence)."""
    start_ms, sequence = _WINDOW.unpack_from(data, len(data) - WINDOW_SUFFIX)
    return data[:-WINDOW_SUFFIX], start_ms, sequence


def session_key(key: bytes, start_ms: int, end_ms: int) -> bytes:
    """The key of one session; the end comes first, so that sessions of a key are ordered by end."""
    return key + pack_session(end_ms, start_ms)


def split_session_key(data: bytes) -> tuple[bytes, int, int]:
    """Shape: (key, session start in ms, session end in ms)."""
    end_ms, start_ms = _SESSION.unpack_from(data, len(data) - SESSION_SUFFIX)
    return data[:-SESSION_SUFFIX], start_ms, end_ms


def timestamped(value: bytes, timestamp: int) -> bytes:
    """A value with its timestamp, as the store keeps it."""
    return pack_long(timestamp) + value


def split_timestamped(data: bytes) -> tuple[bytes, int]:
    """Shape: (value, timestamp in ms)."""
    return data[8:], _LONG.unpack_from(data)[0]


def split_timestamped_many(column: list[bytes]) -> tuple[list[bytes], tuple[int, ...]]:
    """Of many. Shape: (values, timestamps in ms)."""
    times = b"".join(map(_time_part, column))
    return list(map(_value_part, column)), struct.unpack(f">{len(column)}q", times)


def time_of_window(data: bytes) -> int:
    """The window start in a window key, in ms."""
    return int(_LONG.unpack_from(data, len(data) - WINDOW_SUFFIX)[0])


def time_of_session(data: bytes) -> int:
    """The session end in a session key, in ms."""
    return int(_LONG.unpack_from(data, len(data) - SESSION_SUFFIX)[0])


def after_prefix(prefix: bytes) -> bytes | None:
    """The first key that is greater than every key with this prefix; None when there is no such key."""
    stripped = prefix.rstrip(b"\xff")
    return stripped[:-1] + bytes((stripped[-1] + 1,)) if stripped else None
