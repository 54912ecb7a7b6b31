"""Transactions of the second version over the wire: partitions added by writing, a new epoch with every end."""

import time
from typing import Any

import pytest

from broker.protocol.compression import Codec
from broker.protocol.record_batch import TRANSACTIONAL_BIT
from broker.protocol.records import Record, build_batch

pytestmark = pytest.mark.broker

PRODUCE, METADATA, INIT, ADD_OFFSETS, END, WRITE_MARKERS, COMMIT, LIST = 0, 3, 22, 25, 26, 27, 28, 2
INVALID_STATE, FENCED, OLD_EPOCH, ABORTABLE, UNSUPPORTED_CODEC = 48, 90, 47, 120, 76


class Producer:
    """A transactional producer that speaks in bare messages."""

    def __init__(self, wire, name: str) -> None:
        self.wire, self.name = wire, name
        wire.call(METADATA, 1, topics=[{"name": name}])
        given = wire.call(INIT, 4, transactional_id=name, transaction_timeout=60_000, producer_id=-1, producer_epoch=-1)
        self.producer_id, self.epoch = given.producer_id, given.producer_epoch

    def send(self, *, version: int = 12, sequence: int = 0, epoch: int | None = None, **batch: Any) -> int:
        """Produces one record, in a batch of a transaction unless `batch` says else; the error code."""
        records = build_batch(
            [Record(0, int(time.time() * 1000), b"key", b"value")],
            producer_id=self.producer_id,
            producer_epoch=self.epoch if epoch is None else epoch,
            base_sequence=sequence,
            **{"attributes": TRANSACTIONAL_BIT, **batch},
        )
        data = [{"name": self.name, "partition_data": [{"index": 0, "records": records}]}]
        answer = self.wire.call(PRODUCE, version, transactional_id=self.name, acks=-1, timeout=1_000, topic_data=data)
        return int(answer.responses[0].partition_responses[0].error_code)

    def end(self, *, commit: bool = True, epoch: int | None = None) -> Any:
        """EndTxn 5, whose answer gives the next epoch."""
        said = self.epoch if epoch is None else epoch
        answer = self.wire.call(
            END,
            5,
            transactional_id=self.name,
            producer_id=self.producer_id,
            producer_epoch=said,
            committed=commit,
        )
        if answer.error_code == 0:
            self.epoch = answer.producer_epoch
        return answer

    def wait_for_stable(self) -> None:
        """Returns when there is something for readers of committed data, by a fetch that waits for it."""
        partition = {"partition": 0, "partition_max_bytes": 9_999, "current_leader_epoch": -1}
        topics = [{"topic": self.name, "partitions": [partition]}]
        limits = {"max_wait": 15_000, "min_bytes": 1, "max_bytes": 99_999, "isolation_level": 1}
        self.wire.call(1, 11, **limits, session_epoch=-1, topics=topics)

    def stable_offset(self) -> int:
        """The end of what readers of committed data see."""
        topics = [{"name": self.name, "partitions": [{"partition_index": 0, "timestamp": -1}]}]
        answer = self.wire.call(LIST, 7, isolation_level=1, replica_id=-1, topics=topics)
        return int(answer.topics[0].partitions[0].offset)


def test_writing_adds_the_partition(wire) -> None:
    """Produce 12 needs no partition added; the end commits it under the next epoch, where sequences start again."""
    producer = Producer(wire, "tv2-write")
    assert producer.send() == 0
    assert producer.stable_offset() == 0
    assert producer.end().producer_epoch == 1
    assert producer.stable_offset() == 2
    assert producer.send() == 0
    assert producer.send(epoch=0) == OLD_EPOCH
    assert producer.end(commit=False).producer_epoch == 2


@pytest.mark.parametrize(("version", "code"), [(9, INVALID_STATE), (11, ABORTABLE)])
def test_older_versions_must_add_first(wire, version: int, code: int) -> None:
    """Before version 12 a partition that was not added is refused, in the words the version knows."""
    assert Producer(wire, f"tv1-write-{version}").send(version=version) == code


def test_refused_codec_is_no_attempt(wire) -> None:
    """A batch whose codec its version does not know leaves no trace: the producer's next one may begin anywhere."""
    producer = Producer(wire, "old-codec")
    assert producer.send(version=6, codec=Codec.ZSTD) == UNSUPPORTED_CODEC
    assert producer.send(version=9, sequence=5, attributes=0) == 0


def test_end_may_be_repeated(wire) -> None:
    """A repeated end is answered with the epoch it gave; the opposite of it, or an end far behind, is refused."""
    producer = Producer(wire, "tv2-repeat")
    producer.send()
    producer.end()
    again = producer.end(epoch=0)
    assert (again.error_code, again.producer_epoch) == (0, 1)
    assert producer.end(epoch=0, commit=False).error_code == INVALID_STATE
    producer.send()
    producer.end()
    assert producer.end(epoch=0).error_code == FENCED


def test_abort_of_nothing_gives_an_epoch(wire) -> None:
    """An abort without any partition succeeds with a new epoch; a commit of nothing is refused."""
    producer = Producer(wire, "tv2-nothing")
    assert producer.end(commit=True).error_code == INVALID_STATE
    assert producer.end(commit=False).producer_epoch == 1
    assert producer.end(commit=False).producer_epoch == 2


def test_committing_offsets_adds_the_group(wire) -> None:
    """TxnOffsetCommit 5 needs no AddOffsetsToTxn; version 4 does, and says that aborting helps."""
    producer = Producer(wire, "tv2-offsets")
    who = {"group_id": "tv2-group", "producer_id": producer.producer_id}
    topics = [{"name": producer.name, "partitions": [{"partition_index": 0, "committed_offset": 7}]}]

    def commit(version: int, epoch: int = 0, name: str = producer.name) -> int:
        said = {**who, "transactional_id": name, "producer_epoch": epoch}
        answer = wire.call(COMMIT, version, **said, generation_id=-1, topics=topics)
        return int(answer.topics[0].partitions[0].error_code)

    assert [commit(4), commit(5)] == [ABORTABLE, 0]
    assert [commit(2, -1, "nobodys"), commit(5, -1)] == [OLD_EPOCH, OLD_EPOCH]  # before the coordinator is asked
    assert producer.end().error_code == 0
    fetched = wire.call(9, 7, group_id="tv2-group", topics=None, require_stable=True)
    assert fetched.topics[0].partitions[0].committed_offset == 7


def test_a_group_of_offsets_alone_knows_no_member(wire) -> None:
    """Before its first offsets a group has no generation; from then on, committed or not, it is the member that is unknown."""
    producer = Producer(wire, "tv2-alone")
    topics = [{"name": producer.name, "partitions": [{"partition_index": 0, "committed_offset": 7}]}]

    def commit(generation: int, member: str) -> int:
        said = {
            "transactional_id": producer.name,
            "producer_id": producer.producer_id,
            "producer_epoch": producer.epoch,
        }
        who = {"group_id": "tv2-alone", "generation_id": generation, "member_id": member}
        return int(wire.call(COMMIT, 5, **said, **who, topics=topics).topics[0].partitions[0].error_code)

    assert [commit(9, "nobody"), commit(-1, ""), commit(9, "nobody")] == [22, 0, 25]
    assert producer.end().error_code == 0
    assert commit(9, "nobody") == 25


def test_features_are_published(wire) -> None:
    """ApiVersions tells that transactions and consumer groups of the new kind are on."""
    answer = wire.call(18, 4, client_software_name="t", client_software_version="1")
    levels = {feature.name: feature.max_version_level for feature in answer.finalized_features}
    assert levels == {
        "transaction.version": 2,
        "group.version": 1,
        "metadata.version": 30,
        "eligible.leader.replicas.version": 1,
    }


def test_administrator_aborts(wire) -> None:
    """WriteTxnMarkers ends a transaction in a partition; what it does not know is refused."""
    producer = Producer(wire, "tv2-hanging")
    producer.send()
    topics = [{"name": producer.name, "partition_indexes": [0, 9]}]
    newest = [{"name": producer.name, "partitions": [{"partition_index": 0, "timestamp": -3}]}]
    marker = {"producer_id": producer.producer_id, "producer_epoch": 0, "coordinator_epoch": 0, "topics": topics}

    def write(version: int = 1, **changed: int) -> list[int]:
        answer = wire.call(WRITE_MARKERS, version, markers=[{**marker, "transaction_result": False, **changed}])
        return [int(partition.error_code) for partition in answer.markers[0].topics[0].partitions]

    assert write(producer_epoch=-1) == [-1, -1]
    assert write(2, transaction_version=2) == [OLD_EPOCH, 3]
    assert wire.call(LIST, 7, isolation_level=1, replica_id=-1, topics=newest).topics[0].partitions[0].offset == -1
    assert write() == [0, 3]
    assert producer.stable_offset() == 2
    assert wire.call(LIST, 7, isolation_level=1, replica_id=-1, topics=newest).topics[0].partitions[0].offset >= 0


def test_power_failure_between_data_and_its_transaction(broker, make_wire) -> None:
    """Data whose transaction the disk has lost are aborted at the next start, and the producer is shut out of it."""
    producer = Producer(make_wire(broker), "tv2-lost")
    producer.send()
    broker.kill()
    for file in broker.data_dir.glob("__transaction_state-*/*.log"):
        with file.open("r+b") as log:
            log.truncate(0)
    broker.start()
    producer.wire = make_wire(broker)
    producer.wait_for_stable()
    assert producer.stable_offset() == 2
    assert producer.send(sequence=1) == OLD_EPOCH
    assert "nobody knows" in broker.log
