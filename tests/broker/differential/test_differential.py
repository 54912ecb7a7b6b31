"""A short run of the differential; `make differential-broker` goes on as long as one likes."""

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from broker.protocol.apis import ApiKey
from tests.apache_kafka.libraries import KafkaMissingError
from tests.apache_kafka.node import ApacheKafka
from tests.broker.differential.__main__ import KAFKA_SETTINGS, SETTINGS
from tests.broker.differential.campaign import Campaign
from tests.broker.differential.comparison import View, differences
from tests.broker.differential.oddities import odd
from tests.broker.differential.requests import Batch, Request, Symbol
from tests.broker.process import BrokerProcess

SEED = 12
COUNT = 250


@pytest.fixture
def campaign(tmp_path: Path) -> Iterator[Campaign]:
    """Both brokers, each with a new directory."""
    kafka = ApacheKafka(tmp_path / "kafka", KAFKA_SETTINGS)
    try:
        kafka.start()
    except KafkaMissingError as missing:
        pytest.skip(str(missing))
    ours = BrokerProcess(tmp_path / "data", *SETTINGS).start()
    yield Campaign(ours.port, kafka.port)
    ours.stop()
    kafka.kill()


@pytest.mark.broker
@pytest.mark.kafka
@pytest.mark.tools
@pytest.mark.timeout(600)
def test_answers_are_equal(campaign: Campaign) -> None:
    """The same requests get the same answers from Apache Kafka and from us, but for what is known to differ."""
    found = [f"{one.request}: {one.signature}" for one in campaign.run(SEED, COUNT)]
    assert not found
    assert campaign.sent >= COUNT


def test_masks_ids_and_nothing_else() -> None:
    """Ids of each broker's own are equal where they mean the same, and a different code or offset is not."""
    known = [{Symbol("producer", "p"): number} for number in (7, 4000)]
    batches = [Batch(((b"k", b"v", 5),), producer="p", sequence=0).built(each) for each in known]
    answers = [
        {"producer_id": each[Symbol("producer", "p")], "error_code": 0, "records": batch, "throttle_time": index}
        for index, (each, batch) in enumerate(zip(known, batches, strict=True))
    ]
    ours, theirs = (View(each).of(answer) for each, answer in zip(known, answers, strict=True))
    assert list(differences(ours, theirs)) == []
    assert [one.path for one in differences({**ours, "error_code": 3}, theirs)] == [".error_code"]
    other = View(known[1]).of({**answers[1], "records": Batch(((b"k", b"w", 5),)).built(known[1])})
    assert any(".records" in one.path for one in differences(ours, other))


def test_members_are_told_apart_by_what_they_were_handed() -> None:
    """Of a member that nobody was told of it counts that it is there; who was told of it is known by that."""
    ours, theirs = "wire-290e7c4a-b9af-488a-8180-372304681cf2", "wire-c4a5e732-11fb-4929-99a1-3d101061c467"
    listed = [{"members": [{"member_id": each}]} for each in (ours, theirs)]
    nobody = View({})
    assert list(differences(nobody.of(listed[0]), nobody.of(listed[1]))) == []
    told = View({Symbol("member", "group/a"): theirs})
    assert [one.path for one in differences(nobody.of(listed[0]), told.of(listed[1]))] == [".members[].member_id"]
    named = [{"members": [{"member_id": each}]} for each in ("member-a", "member-b")]
    assert [one.path for one in differences(*map(nobody.of, named))] == [".members[].member_id"]


def test_odd_requests() -> None:
    """Something in them is named twice, or for nothing, or is another value, and what was drawn stays as it was."""
    topics = [{"name": "a", "partitions": [{"partition_index": 0}]}]
    request = Request(ApiKey.OFFSET_DELETE, 0, {"group_id": "group", "topics": topics})
    drawn = [odd(request, random.Random(seed)).values for seed in range(200)]
    assert request.values == {"group_id": "group", "topics": [{"name": "a", "partitions": [{"partition_index": 0}]}]}
    assert any(len(values["topics"]) > 1 for values in drawn)
    assert any(values["topics"] == [] for values in drawn)
    assert any(values["group_id"] == "" for values in drawn)
    assert any(topic["partitions"] == [] for values in drawn for topic in values["topics"])
    assert odd(request, random.Random(7)) == odd(request, random.Random(7))
