"""Requests as no well-behaved client sends them: something is named twice, or for nothing, or has a value out of bounds."""

import copy
import random
from collections.abc import Iterator
from typing import Any

from broker.protocol.apis import ApiKey
from tests.broker.differential.requests import Request

AS_THEY_ARE = frozenset({ApiKey.API_VERSIONS, ApiKey.UPDATE_FEATURES, ApiKey.UNREGISTER_BROKER, ApiKey.DELETE_TOPICS})
KEPT = frozenset(
    (
        *("timeout", "max_wait", "max_bytes", "session_timeout", "rebalance_timeout"),  # or nobody answers
        *("replica_id", "replica_epoch", "replica_state"),  # there are no replicas here
        *("cursor", "response_partition_limit", "isolation_level"),  # accidents to Kafka, which answers -1
        "value",  # of settings, of which odd ones are drawn anyway
    )
)
NUMBERS = (0, -1, -2, 1, 2, 127, -128)
WIDE = (2**31 - 1, -(2**31))
WIDE_FIELDS = ("partition", "index", "offset", "count")
TEXTS = ("", " ", "\x00", "ü" * 20, "a" * 249, "a" * 300, "__consumer_offsets")

Place = tuple[Any, Any]
"""A dict or a list, and the name or the index of a value in it."""


def odd(request: Request, chance: random.Random) -> Request:
    """The request with one or two of its values changed."""
    if request.api_key in AS_THEY_ARE:
        return request
    values = copy.deepcopy(request.values)
    for _ in range(chance.choice((1, 1, 2))):
        found = list(_places(values))
        lists = [place for place in found if isinstance(place[0][place[1]], list)]
        if found:
            _change(*chance.choice(lists if lists and chance.random() < 0.5 else found), chance)
    return Request(request.api_key, request.version, values, request.connection, request.label)


def _places(value: Any) -> Iterator[Place]:
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for name, item in items:
        if name in KEPT or (name == "name" and "value" in value):
            continue  # that settings have other names is known
        if isinstance(item, dict | list):
            yield from _places(item)
        if isinstance(item, list | bool | int | str):
            yield value, name


def _change(holder: Any, name: Any, chance: random.Random) -> None:
    value = holder[name]
    if isinstance(value, list):
        again = [copy.deepcopy(chance.choice(value))] if value else []
        holder[name] = chance.choice((value + again, value + again, value * 3, value[::-1] + value, []))
    elif isinstance(value, bool):
        holder[name] = not value
    elif isinstance(value, int):
        holder[name] = chance.choice(NUMBERS + (WIDE if any(part in str(name) for part in WIDE_FIELDS) else ()))
    else:
        holder[name] = chance.choice(TEXTS)
