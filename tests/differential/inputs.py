"""Draws the records that are fed to a topology: few keys, nulls, equal, late and far times.

Times move on in units of the topology's windows, so that records meet, are late, and windows close.
"""

from __future__ import annotations

from random import Random
from typing import Any

from tests.differential.drawing import Handle

KEYS: dict[str, tuple[Any, ...]] = {
    "string": ("ab", "ac", "bc"),
    "int": (0, 1, 2, 3, -1),
    "long": (0, 1, 2, 3, -1),
    "double": (0.5, 1.5, 2.0),
}
RARE_KEYS = ("null", "NULL", "é中", "", "a", "abc")
RARE_PAIRS = ("v||zz", "|ab", "v|", "|", "v|ac|bc")
TODAY_MS = 1_700_000_000_123
FOREIGN_KEYS = ("ab", "ac", "bc", "zz")


def key(random: Random, topic: Handle) -> Any:
    """A key, null at times."""
    if topic.null_keys and random.random() < 0.1:
        return None
    if topic.types.key == "string" and random.random() < 0.04:
        return random.choice(RARE_KEYS)
    return random.choice(KEYS[topic.types.key])


def value(random: Random, topic: Handle, number: int) -> Any:
    """A value, null at times; text looks as the topic's flavour says."""
    if topic.nulls and random.random() < 0.2:
        return None
    if topic.types.value == "double":
        return random.choice((-1.5, 0.5, 2.0, 7.25))
    if topic.types.value != "string":
        return random.choice((0, 1, 2, 3, 4, 7)) if random.random() < 0.9 else random.choice((-1, -3, -4, 1_000_000))
    match topic.flavour:
        case "letters":
            return random.choice("abc")
        case "digits":
            return str(random.randint(0, 9)) if random.random() < 0.95 else random.choice(("-3", "12", "007"))
        case "pairs":
            if random.random() < 0.06:
                return random.choice(RARE_PAIRS)
            return f"v{number}|{random.choice(FOREIGN_KEYS)}" if random.random() < 0.9 else f"v{number}"
        case _:
            return "" if random.random() < 0.02 else f"v{number}"


def headers(random: Random) -> list[list[str]]:
    """One or two headers."""
    return [[random.choice(("h", "other")), str(random.randint(0, 99))] for _ in range(random.choice((1, 1, 2)))]


def steps(
    random: Random, topics: dict[str, Handle], unit_ms: int, *, today: bool, wide: bool = False
) -> list[dict[str, Any]]:
    """The records in the order they are fed: [topic, key, value, timestamp]; `today`: some have the times of our days.

    `wide`: some have headers behind, and between them the clock moves at times.
    """
    names = list(topics)
    now = TODAY_MS if today and random.random() < 0.1 else random.choice((0, 0, 3, 50, 1000)) * unit_ms
    lateness = random.choice((0.25, 0.25, 0.25, 0.6))
    fed = []
    for number in range(random.choice((6, 12, 20, 20, 30, 30, 100))):
        name = random.choice(names)
        now += random.choice((0, 0, 1, 1, 2, 3, 5, 8)) * unit_ms
        if random.random() < 0.06:
            now += random.choice((30, 100, 300, 5000)) * unit_ms
        late = random.choice((1, 3, 7, 15, 40, 120)) * unit_ms if random.random() < lateness else 0
        jitter = random.choice((-1, 0, 1)) if unit_ms > 1 and random.random() < 0.2 else 0
        timestamp = max(0, now - late + jitter)
        record = [name, key(random, topics[name]), value(random, topics[name], number + 1), timestamp]
        if wide:
            fed += [{"clock": random.choice((1, 5, 50)) * unit_ms}] if random.random() < 0.15 else []
            record += [headers(random)] if random.random() < 0.4 else []
        fed.append({"in": record})
    return fed
