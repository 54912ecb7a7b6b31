"""Asking brokers for the first and last offsets of partitions (ListOffsets)."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterable

from aiokafka import errors as kafka_errors
from aiokafka.client import AIOKafkaClient
from aiokafka.protocol.offset import OffsetRequest

from streams.clients.kafka.cluster_client import knows_it_is_gone
from streams.clients.kafka.network import Line
from streams.errors import BrokerUnreachable
from streams.record import TopicPartition

EARLIEST, LATEST = -2, -1
RETRY_S = 0.1


async def list_offsets(
    client: AIOKafkaClient,
    partitions: Iterable[TopicPartition],
    timestamp: int,
    *,
    read_committed: bool,
    timeout_s: float,
) -> dict[TopicPartition, int]:
    """The offset of each partition at a timestamp in ms, or EARLIEST or LATEST; -1 when all records are older.

    Where topics come and go, those of a topic that has gone are absent.
    Raises: BrokerUnreachable when a partition stays unknown, or its leader away, for `timeout_s`.
    """
    missing = set(partitions)
    found: dict[TopicPartition, int] = {}
    last_error = "no broker leads it"
    try:
        async with asyncio.timeout(timeout_s):
            await _look_for_leaders(client, missing)
            while missing:
                last_error = await _ask_leaders(client, missing, timestamp, read_committed, found) or last_error
                missing.difference_update(found)
                missing = {partition for partition in missing if not knows_it_is_gone(client, partition.topic)}
                if missing:
                    await asyncio.sleep(RETRY_S)
    except TimeoutError:
        first = min(missing)
        raise BrokerUnreachable(f"no offset of {first} to be had within {timeout_s:g} s: {last_error}") from None
    return found


async def _look_for_leaders(client: AIOKafkaClient, partitions: Iterable[TopicPartition]) -> None:
    """Have the client ask for topics it does not know yet: whoever waits for offsets spares a RETRY_S in vain."""
    leaders = {partition: client.cluster.leader_for_partition(partition) for partition in partitions}
    unknown = {partition.topic for partition, leader in leaders.items() if leader in {None, -1}}
    for topic in unknown:
        client.add_topic(topic)
    if unknown:
        await client.force_metadata_update()


async def _ask_leaders(
    client: AIOKafkaClient,
    partitions: set[TopicPartition],
    timestamp: int,
    read_committed: bool,
    found: dict[TopicPartition, int],
) -> str | None:
    """Ask each leader once; the answer is what went wrong last."""
    by_node: dict[int, list[TopicPartition]] = defaultdict(list)
    for partition in sorted(partitions):
        node = client.cluster.leader_for_partition(partition)
        if node is not None and node != -1:
            by_node[node].append(partition)
        else:
            client.add_topic(partition.topic)
    error = None
    for node, asked in by_node.items():
        error = await _ask(client, node, asked, timestamp, read_committed, found) or error
    if error or len(by_node) == 0 or any(partition not in found for partition in partitions):
        await client.force_metadata_update()
    return error


async def _ask(
    client: AIOKafkaClient,
    node: int,
    partitions: list[TopicPartition],
    timestamp: int,
    read_committed: bool,
    found: dict[TopicPartition, int],
) -> str | None:
    by_topic: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for partition in partitions:
        by_topic[partition.topic].append((partition.partition, timestamp))
    try:
        request = OffsetRequest(-1, int(read_committed), list(by_topic.items()))
        response = await client.send(node, request, group=Line.REQUESTS)  # not behind a fetch that waits for records
    except kafka_errors.KafkaError as error:
        return str(error) or type(error).__name__
    problem = None
    for topic, answers in response.topics:
        for number, code, _timestamp, offset in answers:
            refusal = kafka_errors.for_code(code)
            if refusal is kafka_errors.NoError:
                found[TopicPartition(topic, number)] = offset
            else:
                problem = f"the broker answers {refusal.__name__}"
    return problem
