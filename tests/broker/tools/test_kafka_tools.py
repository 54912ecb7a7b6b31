"""Apache Kafka's own command-line tools against the broker, as somebody who comes from Kafka uses them."""

import json
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from broker.protocol.records import Record, build_batch
from tests.apache_kafka.libraries import KafkaMissingError, java
from tests.broker.process import BrokerProcess
from tests.broker.wire import Wire

pytestmark = [pytest.mark.broker, pytest.mark.kafka, pytest.mark.tools, pytest.mark.timeout(300)]

TOOLS = "org.apache.kafka.tools"
GROUPS = f"{TOOLS}.consumer.group.ConsumerGroupCommand"
PRODUCE, INIT_PRODUCER_ID = 0, 22
RUN_SECONDS = 200

Run = Callable[..., str]


@pytest.fixture
def run(shared_broker: BrokerProcess) -> Run:
    """Runs a tool to its end and gives what it printed; `succeeds=False` where it must fail."""

    def call(main: str, *arguments: str, server: str = "--bootstrap-server", succeeds: bool = True) -> str:
        where = [server, shared_broker.address] if server else []
        try:
            command = java(main, *where, *arguments)
        except KafkaMissingError as missing:
            pytest.skip(str(missing))
        done = subprocess.run(command, capture_output=True, text=True, timeout=RUN_SECONDS)
        assert (done.returncode == 0) is succeeds, done.stdout[-2000:] + done.stderr[-3000:]
        return done.stdout + done.stderr

    return call


def events(output: str) -> list[dict[str, object]]:
    """What a verifiable tool prints: one JSON object a line."""
    return [json.loads(line) for line in output.splitlines() if line.startswith("{")]


def test_api_versions(run: Run) -> None:
    """Every API the tool knows is usable in its newest version, but those of share groups, streams groups and telemetry."""
    lines = [line.strip() for line in run(f"{TOOLS}.BrokerApiVersionsCommand").splitlines() if "(" in line]
    unusable = {line.partition("(")[0] for line in lines if "UNSUPPORTED" in line}
    assert all("Share" in name or "Streams" in name or "Telemetry" in name for name in unusable), unusable
    usable = {line.partition("(")[0]: line for line in lines if "usable" in line}
    assert "0 to 13 [usable: 13]" in usable["Produce"]
    assert "4 to 18 [usable: 18]" in usable["Fetch"]


def test_topics_and_settings(run: Run) -> None:
    """Topics are created, described, grown, configured and deleted; wrong settings are refused."""
    topic = f"{TOOLS}.TopicCommand"
    run(topic, "--create", "--topic", "tools", "--partitions", "2", "--config", "retention.ms=1000000")
    assert "PartitionCount: 2" in run(topic, "--describe", "--topic", "tools")
    run(topic, "--alter", "--topic", "tools", "--partitions", "3")
    assert "tools" in run(topic, "--list")
    assert "already exists" in run(topic, "--create", "--topic", "tools", succeeds=False)
    settings = ("--entity-type", "topics", "--entity-name", "tools")
    config = "kafka.admin.ConfigCommand"
    run(config, "--alter", *settings, "--add-config", "cleanup.policy=[compact,delete],segment.bytes=2000000")
    described = run(config, "--describe", *settings)
    assert "cleanup.policy=compact,delete" in described
    assert "retention.ms=1000000" in described
    assert "no.such" in run(config, "--alter", *settings, "--add-config", "no.such=1", succeeds=False)
    run(topic, "--delete", "--topic", "tools")
    assert "tools" not in run(topic, "--list").split()


def test_verifiable_clients_and_groups(run: Run) -> None:
    """VerifiableProducer and VerifiableConsumer agree to the record; the group is listed, described, reset and deleted."""
    produced = events(run(f"{TOOLS}.VerifiableProducer", "--topic", "verified", "--max-messages", "1000"))
    assert produced[-1]["acked"] == produced[-1]["sent"] == 1000
    group = ("--group-id", "verifiers", "--reset-policy", "earliest")
    consumed = events(run(f"{TOOLS}.VerifiableConsumer", "--topic", "verified", *group, "--max-messages", "1000"))
    assert sum(int(str(event["count"])) for event in consumed if event["name"] == "records_consumed") == 1000
    assert all(event["success"] for event in consumed if event["name"] == "offsets_committed")
    assert "verifiers" in run(GROUPS, "--list")
    described = run(GROUPS, "--describe", "--group", "verifiers").split()
    assert described.count("1000") == 2
    run(GROUPS, "--reset-offsets", "--group", "verifiers", "--topic", "verified", "--to-offset", "7", "--execute")
    assert "993" in run(GROUPS, "--describe", "--group", "verifiers")
    assert "Empty" in run(GROUPS, "--describe", "--group", "verifiers", "--state")
    run(GROUPS, "--delete", "--group", "verifiers")
    assert "verifiers" not in run(GROUPS, "--list").split()


def test_offsets_and_records(run: Run, tmp_path: Path) -> None:
    """GetOffsetShell sees the end of a log, and DeleteRecordsCommand moves its beginning."""
    run(f"{TOOLS}.VerifiableProducer", "--topic", "measured", "--max-messages", "50")
    assert "measured:0:50" in run(f"{TOOLS}.GetOffsetShell", "--topic", "measured")
    wanted = tmp_path / "wanted.json"
    wanted.write_text(json.dumps({"version": 1, "partitions": [{"topic": "measured", "partition": 0, "offset": 20}]}))
    assert "low_watermark: 20" in run(f"{TOOLS}.DeleteRecordsCommand", "--offset-json-file", str(wanted))
    assert "measured:0:20" in run(f"{TOOLS}.GetOffsetShell", "--topic", "measured", "--time", "earliest")


def test_cluster(run: Run, shared_broker: BrokerProcess) -> None:
    """Quorum, features, log directories and cluster id can be asked for."""
    assert "LeaderId" in run(f"{TOOLS}.MetadataQuorumCommand", "describe", "--status")
    assert "transaction.version" in run(f"{TOOLS}.FeatureCommand", "describe")
    assert '"error":null' in run(f"{TOOLS}.LogDirsCommand", "--describe")
    assert "Cluster ID" in run(
        f"{TOOLS}.ClusterTool", "cluster-id", "--bootstrap-server", shared_broker.address, server=""
    )


def test_client_compatibility(run: Run, shared_broker: BrokerProcess) -> None:
    """Kafka's own test of what a client may rely on: everything a broker of this version offers works."""
    run(f"{TOOLS}.TopicCommand", "--create", "--topic", "compatible", "--partitions", "1")
    told = {
        "--offsets-for-times-supported": "true",
        "--cluster-id-supported": "true",
        "--expect-record-too-large-exception": "false",
        "--num-cluster-nodes": "1",
        "--create-topics-supported": "true",
        "--describe-acls-supported": "true",
        "--describe-configs-supported": "true",
        "--idempotent-producer-supported": "true",
        "--topic": "compatible",
    }
    run(f"{TOOLS}.ClientCompatibilityTest", *(part for pair in told.items() for part in pair))


def test_hanging_transaction(run: Run, shared_broker: BrokerProcess) -> None:
    """A transaction nobody ends is found and aborted by kafka-transactions."""
    tool = f"{TOOLS}.TransactionsCommand"
    run(f"{TOOLS}.TopicCommand", "--create", "--topic", "hanging", "--partitions", "1")
    wire = Wire(shared_broker.port)
    init = {"transactional_id": "hangs", "transaction_timeout": 60_000, "producer_id": -1, "producer_epoch": -1}
    given = wire.call(INIT_PRODUCER_ID, 4, **init)
    now_ms = time.time_ns() // 1_000_000
    batch = build_batch(
        [Record(0, now_ms, b"k", b"v")],
        producer_id=int(given.producer_id),
        producer_epoch=int(given.producer_epoch),
        base_sequence=0,
        attributes=0x10,
    )
    partitions = [{"index": 0, "records": batch}]
    topics = [{"name": "hanging", "partition_data": partitions}]
    wire.call(PRODUCE, 12, transactional_id="hangs", acks=-1, timeout=5_000, topic_data=topics)
    wire.socket.close()
    assert "Ongoing" in run(tool, "list")
    assert "hanging-0" in run(tool, "describe", "--transactional-id", "hangs")
    producers = run(tool, "describe-producers", "--topic", "hanging", "--partition", "0")
    assert str(int(given.producer_id)) in producers
    run(tool, "abort", "--topic", "hanging", "--partition", "0", "--start-offset", "0")
    after = run(tool, "describe-producers", "--topic", "hanging", "--partition", "0")
    assert "None" in after


@pytest.mark.crash
def test_transactional_copier_killed_and_restarted(run: Run, shared_broker: BrokerProcess) -> None:
    """TransactionalMessageCopier, killed in the middle and started again, copies every record exactly once."""
    run(f"{TOOLS}.TopicCommand", "--create", "--topic", "copied-from", "--partitions", "1")
    run(f"{TOOLS}.TopicCommand", "--create", "--topic", "copied-to", "--partitions", "1")
    run(f"{TOOLS}.VerifiableProducer", "--topic", "copied-from", "--max-messages", "5000")
    arguments = (
        *("--broker-list", shared_broker.address, "--input-topic", "copied-from", "--output-topic", "copied-to"),
        *("--input-partition", "0", "--transactional-id", "copier", "--consumer-group", "copiers"),
        *("--transaction-size", "50", "--enable-random-aborts", "--transaction-timeout", "10000"),
    )
    command = java(f"{TOOLS}.TransactionalMessageCopier", *arguments)
    first = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert first.stdout is not None
    for line in first.stdout:
        if '"totalProcessed"' in line and json.loads(line).get("totalProcessed", 0) > 500:
            break
    first.kill()
    first.wait()
    first.stdout.close()
    second = subprocess.run(command, capture_output=True, text=True, timeout=RUN_SECONDS)
    assert second.returncode == 0, second.stderr[-3000:]
    reader = ("--group-id", "checkers", "--reset-policy", "earliest", "--max-messages", "5000")
    properties = shared_broker.data_dir.parent / "committed.properties"
    properties.write_text("isolation.level=read_committed\n")
    read = events(
        run(
            f"{TOOLS}.VerifiableConsumer",
            *("--topic", "copied-to", *reader, "--verbose", "--consumer.config", str(properties)),
        )
    )
    values = [str(event["value"]) for event in read if event["name"] == "record_data"]
    assert len(values) == 5000
    assert {int(value) for value in values} == set(range(5000))
