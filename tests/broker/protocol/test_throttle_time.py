"""The time for which a client is throttled, in every answer that has a place for it."""

import dataclasses
from datetime import timedelta

import pytest
from kio.index import load_response_schema
from kio.serial import entity_reader
from kio.static.primitive import i16

from broker.protocol.apis import ApiKey, flexible
from broker.protocol.messages import encode_response
from broker.protocol.throttle_time import with_throttle_time
from tests.broker.protocol.test_messages import VERSIONS

APIS = [{"api_key": key, "min_version": 1, "max_version": 5} for key in range(200)]


@pytest.mark.parametrize(("key", "version"), VERSIONS)
def test_an_answer_says_it(key: int, version: int) -> None:
    """It is read back by kio, and nothing else has changed; an answer without a place for it stays as it was."""
    body = {"api_keys": APIS} if key == ApiKey.API_VERSIONS else {}
    frame = encode_response(key, version, 7, body)
    said = b"".join(with_throttle_time(key, version, [frame[:4], frame[4:]], 1_234))
    schema = load_response_schema(key, i16(version))
    start = 9 if flexible(key, version) and key != ApiKey.API_VERSIONS else 8
    before, _ = entity_reader(schema)(frame, start)
    after, size = entity_reader(schema)(said, start)
    assert start + size == len(said) == len(frame)
    if any(field.name == "throttle_time" for field in dataclasses.fields(schema)):
        assert after == dataclasses.replace(before, throttle_time=timedelta(milliseconds=1_234))
    else:
        assert said == frame
