"""Regular expressions that clients send: RE2's syntax, as in Kafka, matched in time linear in the name.

Python's own `re` knows other syntax and can take for ever on a nasty pattern, and the event loop with it.
"""

import functools
from collections.abc import Callable

from broker.errors import BrokerError, ErrorCode

MAX_BYTES = 1 << 20
"""Most memory one compiled pattern may take; a larger one is refused."""


@functools.lru_cache(maxsize=256)
def matcher(pattern: str) -> Callable[[str], bool]:
    """Whether a whole name matches. Raises: BrokerError with INVALID_REGULAR_EXPRESSION."""
    import re2  # few brokers ever need it, and it would cost each its start

    options = re2.Options()
    options.log_errors = False
    options.max_mem = MAX_BYTES
    try:
        compiled = re2.compile(pattern, options)
    except re2.error as error:
        reason = error.args[0].decode(errors="replace") if isinstance(error.args[0], bytes) else str(error)
        raise BrokerError(
            ErrorCode.INVALID_REGULAR_EXPRESSION, f"{pattern!r} is no regular expression of RE2's syntax: {reason}"
        ) from error
    return lambda name: compiled.fullmatch(name) is not None
