"""Kafka's generated names, to the digit: a prefix and a ten-digit number from one counter per program.

Topic and store names come from these, so two programs that build the same steps in the same order share their state.
Rule: numbers are drawn (burned) exactly when Kafka draws them, even where the user's name wins.
Source: Kafka's InternalStreamsBuilder.newProcessorName and newStoreName, NamedInternal.
"""

from __future__ import annotations

import re

from streams.errors import TopologyError

__all__ = ["Names", "checked_name", "is_generated"]

LONGEST_NAME = 249
LEGAL_NAME = re.compile(r"[A-Za-z0-9._-]+")
GENERATED_NAME = re.compile(r"KSTREAM.*-[0-9]{10}")


class Names:
    """The counter of one program."""

    def __init__(self) -> None:
        self._drawn = 0

    def processor(self, prefix: str) -> str:
        """The next name with this prefix, such as KSTREAM-MAP-0000000003."""
        name = f"{prefix}{self._drawn:010d}"
        self._drawn += 1
        return name

    def store(self, prefix: str) -> str:
        """The next store name with this prefix, such as KSTREAM-AGGREGATE-STATE-STORE-0000000002."""
        return self.processor(f"{prefix}STATE-STORE-")

    def named(self, name: str | None, prefix: str, suffix: str = "") -> str:
        """The user's name with a suffix, or a generated one; a number is burned either way."""
        generated = self.processor(prefix)
        return generated if name is None else checked_name(name + suffix)


def checked_name(name: str, what: str = "a name") -> str:
    """A name that may become part of a topic's name.

    Raises: TopologyError for an empty or too long name, or one with other characters than Kafka allows.
    """
    if not isinstance(name, str):
        raise TopologyError(f"{what}: expected a text, got {name!r}")
    if name in {"", ".", ".."} or len(name) > LONGEST_NAME or not LEGAL_NAME.fullmatch(name):
        raise TopologyError(
            f"{what}: expected 1 to {LONGEST_NAME} of the characters a-z A-Z 0-9 . _ -, got {name!r}: "
            "it becomes part of a topic's name"
        )
    return name


def is_generated(name: str) -> bool:
    """Whether Kafka would take this for a generated stream name, and number the repartition's processors."""
    return GENERATED_NAME.fullmatch(name) is not None
