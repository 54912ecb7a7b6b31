"""Writing all of some bytes to a file, or saying that they do not fit.

A disk that fills up takes the first part of a write, and that is no error: only the next one fails.
"""

import os

from broker.protocol.primitives import Buffer


def write_whole(descriptor: int, data: Buffer, position: int) -> None:
    """Write all of it at a position. Raises: OSError, with a part of it written perhaps."""
    left = memoryview(data)
    while left:
        written = os.pwrite(descriptor, left, position)
        left, position = left[written:], position + written
