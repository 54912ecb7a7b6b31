"""Values that no well-behaved client sends, with Kafka's answers, seen by requests that were changed at random."""

import pytest

from tests.broker.wire import Wire

pytestmark = pytest.mark.broker

FETCH, METADATA, INIT_PRODUCER_ID, DESCRIBE_QUOTAS, CONSUMER_HEARTBEAT = 1, 3, 22, 48, 68
INVALID_REQUEST = 42


@pytest.mark.parametrize(
    ("producer_id", "epoch", "error"),
    [
        (-1, -1, 0),
        (5, 3, 0),
        (-2, -2, 0),
        (-1, 0, INVALID_REQUEST),
        (-1, -2, INVALID_REQUEST),
        (-2, -1, INVALID_REQUEST),
    ],
)
def test_a_producers_id_and_its_epoch_come_together(wire: Wire, producer_id: int, epoch: int, error: int) -> None:
    """Without a transactional id too, where neither counts; only -1 says that there is none."""
    producer = {"producer_id": producer_id, "producer_epoch": epoch}
    answer = wire.call(INIT_PRODUCER_ID, 4, transactional_id=None, transaction_timeout=60_000, **producer)
    assert (answer.error_code, answer.producer_id < 0) == (error, error != 0)


@pytest.mark.parametrize("field", ["group_id", "member_id", "instance_id", "rack_id"])
@pytest.mark.parametrize(("blank", "error"), [(" ", 42), ("\x00", 42), ("\u2003", 69)])
def test_blank_names_in_a_heartbeat(wire: Wire, field: str, blank: str, error: int) -> None:
    """Blank is what Java takes for it: control characters, but no spaces beyond ASCII."""
    values = {"group_id": "no-such-group", "member_id": "member", "member_epoch": 1, field: blank}
    assert wire.call(CONSUMER_HEARTBEAT, 1, **values, rebalance_timeout=-1).error_code == error


@pytest.mark.parametrize(("epoch", "error"), [(-1, 0), (-2, 0), (7, 75)])
def test_no_leader_epoch_in_a_fetch(wire: Wire, epoch: int, error: int) -> None:
    """Everything below zero stands for none, where other requests know only -1."""
    wire.call(METADATA, 1, topics=[{"name": "odd-values"}])
    partition = {"partition": 0, "fetch_offset": 0, "current_leader_epoch": epoch, "partition_max_bytes": 100}
    topics = [{"topic": "odd-values", "partitions": [{**partition, "last_fetched_epoch": -1}]}]
    answer = wire.call(FETCH, 12, max_wait=0, min_bytes=0, max_bytes=100, session_epoch=-1, topics=topics)
    assert answer.responses[0].partitions[0].error_code == error


@pytest.mark.parametrize(("kind", "error"), [("", INVALID_REQUEST), ("planet", 35)])
def test_quotas_of_no_kind_of_entity(wire: Wire, kind: str, error: int) -> None:
    """An empty kind is a mistake; another may be known to a later version."""
    components = [{"entity_type": kind, "match_type": 0, "match": "x"}]
    assert wire.call(DESCRIBE_QUOTAS, 1, components=components, strict=False).error_code == error
