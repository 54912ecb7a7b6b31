"""ApiVersions: what this broker serves, from the dispatch table; the bytes are made once per version."""

import functools
import re
from collections.abc import Iterable
from typing import Any

from broker.errors import BrokerError, ErrorCode
from broker.protocol.apis import APIS, ApiKey
from broker.protocol.bodies import Body
from broker.protocol.messages import encode_response
from broker.server.broker import Broker
from broker.server.exchange import Exchange

MINIMUM_MAY_BE_ZERO = 4
"""Before this version clients take a feature whose lowest level is 0 for garbage."""
_SOFTWARE = re.compile(r"[a-zA-Z0-9](?:[a-zA-Z0-9.-]*[a-zA-Z0-9])?")
FEATURES = {
    "eligible.leader.replicas.version": 1,
    "group.version": 1,
    "metadata.version": 30,
    "transaction.version": 2,
}
"""What is on for the whole cluster: the new consumer groups, and transactions whose every end gives a new epoch."""
LOWEST = {"metadata.version": 7}
"""Lowest levels that are not 0."""

_advertised: list[dict[str, int]] = []


def advertise(api_keys: Iterable[int]) -> None:
    """Set the APIs that answers list: those with a handler, in the versions of the protocol's table."""
    _advertised[:] = [
        {"api_key": key, "min_version": APIS[key].min_version, "max_version": APIS[key].max_version}
        for key in sorted(api_keys)
    ]
    _frame.cache_clear()


def api_versions(_: Broker, exchange: Exchange, request: Any) -> Body | None:
    """Answer with the table; version 3 and later must name the client's software properly."""
    if exchange.version >= 3:
        for text in (request.client_software_name, request.client_software_version):
            if not _SOFTWARE.fullmatch(text):
                raise BrokerError(ErrorCode.INVALID_REQUEST)
    exchange.answer_frame(_numbered(_frame(exchange.version), exchange.correlation_id))
    return None


def fallback(correlation_id: int) -> list[bytes]:
    """The answer to a version from the future: error 35 in version 0, with the versions of this very API and no other.

    By them a client asks again. Given the whole table it might take that, and never hear of the features, which version 0
    does not tell.
    """
    itself = [entry for entry in _advertised if entry["api_key"] == ApiKey.API_VERSIONS]
    body = {"error_code": ErrorCode.UNSUPPORTED_VERSION, "api_keys": itself}
    return [encode_response(ApiKey.API_VERSIONS, 0, correlation_id, body)]


@functools.cache
def _frame(version: int) -> bytes:
    body: dict[str, Any] = {"api_keys": _advertised, "finalized_features_epoch": 0}
    body["finalized_features"] = [
        {"name": name, "max_version_level": level, "min_version_level": level} for name, level in FEATURES.items()
    ]
    body["supported_features"] = [
        {"name": name, "min_version": LOWEST.get(name, 0), "max_version": level}
        for name, level in FEATURES.items()
        if name in LOWEST or version >= MINIMUM_MAY_BE_ZERO
    ]
    return encode_response(ApiKey.API_VERSIONS, version, 0, body)


def _numbered(frame: bytes, correlation_id: int) -> list[bytes]:
    """A cached frame with the correlation id of this request."""
    return [frame[:4], correlation_id.to_bytes(4, "big", signed=True), frame[8:]]
