"""Headers and bytes in JSON lines, as `streams consume` prints them and as they are read again.

Rules: what is printed comes back as it was, byte by byte. Bytes are text where they are that, else {"bytes": HEX}. Names
of headers may repeat, which those of an object may not: such headers are a list of pairs.
"""

from __future__ import annotations

from typing import Any

from streams.errors import shown
from streams.record import Headers


def told_headers(headers: Headers, told: Any) -> Any:
    """Headers as JSON can say them: an object, or pairs where a name repeats; `told` says the bytes of one."""
    pairs = [(name, None if data is None else told(data)) for name, data in headers]
    return dict(pairs) if len({name for name, _ in pairs}) == len(pairs) else pairs


def headers_of(told: Any) -> Headers:
    """What `told_headers` made. Raises: ValueError for anything else."""
    pairs = list(told.items()) if isinstance(told, dict) else told
    if pairs is None:
        return ()
    if not isinstance(pairs, list) or not all(_is_header(pair) for pair in pairs):
        raise ValueError(
            'expected headers as {"name": "text"}, or [["name", "text"], ...] where names repeat, with {"bytes": HEX} or '
            f"null for what is no text; got {shown(told)}"
        )
    return tuple((name, bytes_of(data)) for name, data in pairs)


def bytes_of(told: Any) -> Any:
    """The bytes that text or {"bytes": HEX} tells; anything else is left for a serde to refuse.

    Raises: ValueError for what is no hex.
    """
    if isinstance(told, str):
        return told.encode()
    return bytes.fromhex(told["bytes"]) if _tells_bytes(told) else told


def _is_header(pair: Any) -> bool:
    if not isinstance(pair, list | tuple) or len(pair) != 2 or not isinstance(pair[0], str):
        return False
    return pair[1] is None or isinstance(pair[1], str) or _tells_bytes(pair[1])


def _tells_bytes(told: Any) -> bool:
    return isinstance(told, dict) and told.keys() == {"bytes"} and isinstance(told["bytes"], str)
