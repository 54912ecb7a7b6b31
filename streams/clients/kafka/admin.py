"""Topics: describe, create, delete, and drop records below an offset.

Rules: what passes by itself (a broker that has not heard of a new topic, a controller that has moved or is slow) is asked
for again until the time of the call is over, which is `BrokerUnreachable`; every other code is an error that says what for.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping
from typing import Any, TypeVar

from aiokafka import errors as kafka_errors
from aiokafka.admin.config_resource import ConfigResourceType
from aiokafka.client import AIOKafkaClient
from aiokafka.protocol.admin import (
    CreateTopicsRequest,
    DeleteRecordsRequest,
    DeleteTopicsRequest,
    DescribeConfigsRequest,
)
from aiokafka.protocol.metadata import MetadataRequest

from streams.clients.base import NewTopic, TopicDescription
from streams.clients.kafka.codes import Code
from streams.clients.kafka.coordinator import PASSING
from streams.clients.kafka.network_loop import Call, NetworkLoop
from streams.clients.kafka.topic_search import unauthorized
from streams.clients.kafka.transaction_requests import list_open
from streams.errors import ClientError
from streams.record import TopicPartition

T = TypeVar("T")

RETRY_S = 0.1
LIST_S = 5.0
"""How long one broker may take to list its transactions: whoever asks wants those of the others soon."""


class KafkaAdmin:
    """An `Admin` over the brokers' own requests."""

    def __init__(self, network: NetworkLoop, client: AIOKafkaClient, *, timeout_s: float) -> None:
        self._network = network
        self._client = client
        self._timeout_s = timeout_s
        self._closed = False

    def describe(self, topics: Iterable[str]) -> dict[str, TopicDescription]:
        """The topics that exist among these, with those settings that this user may see.

        Missing ones are absent, and not made by asking.
        """
        names = list(topics)
        return self._call(self._describe(names)) if names else {}

    def topics(self) -> list[str]:
        """The names of all topics."""
        return self._call(self._list())

    def create(self, topics: Iterable[NewTopic]) -> None:
        """Create the topics, and wait until they can be used; one that exists already is left as it is."""
        wanted = list(topics)
        if wanted:
            self._call(self._create(wanted))

    def delete(self, topics: Iterable[str]) -> None:
        """Delete the topics; missing ones are no error."""
        names = list(topics)
        if names:
            self._call(self._delete(names))

    def begin_delete_records(self, before: Mapping[TopicPartition, int]) -> Call[None]:
        """Begin to drop the records below these offsets."""

        async def delete() -> None:
            async with asyncio.timeout(self._timeout_s):
                await self._delete_records(before)

        return self._network.begin(delete())

    def open_transactions(self) -> list[str]:
        """The ids whose transaction has begun and is not about to end, of all brokers. Raises: ClientError."""
        return self._call(self._open_transactions())

    def close(self) -> None:
        """Disconnect."""
        self._network.call(self.disconnect())

    @property
    def closed(self) -> bool:
        """Whether it is disconnected, or about to be."""
        return self._closed

    async def disconnect(self) -> None:
        """The same, on the network loop; a second time it does nothing."""
        if not self._closed:
            self._closed = True
            await self._client.close()

    def _call(self, work: Coroutine[Any, Any, T]) -> T:
        return self._network.call(work, self._timeout_s)

    async def _list(self) -> list[str]:
        metadata = await self._send(MetadataRequest(None))
        return sorted(_topic_names(metadata))

    async def _describe(self, names: list[str]) -> dict[str, TopicDescription]:
        while True:
            counts = await self._partition_counts(names)
            configs = await self._configs(list(counts))
            if configs.keys() >= counts.keys():
                return {name: TopicDescription(name, count, configs[name]) for name, count in counts.items()}
            await asyncio.sleep(RETRY_S)

    async def _partition_counts(self, names: list[str]) -> dict[str, int]:
        while True:
            metadata = await self._send(MetadataRequest(names, allow_auto_topic_creation=False))
            answers = {entry[1]: entry for entry in metadata.topics}
            errors = {name: kafka_errors.for_code(entry[0]) for name, entry in answers.items()}
            for name, error in errors.items():
                if error is kafka_errors.TopicAuthorizationFailedError:
                    raise ClientError(unauthorized(name))
            if not any(error is kafka_errors.LeaderNotAvailableError for error in errors.values()):
                return {name: len(answers[name][-1]) for name in names if errors.get(name) is kafka_errors.NoError}
            await asyncio.sleep(RETRY_S)

    async def _configs(self, names: list[str]) -> dict[str, dict[str, str]]:
        """The settings of these; those that the broker which was asked does not know, or not now, are absent."""
        if not names:
            return {}
        resources = [(ConfigResourceType.TOPIC, name, None) for name in names]
        answer = await self._send(DescribeConfigsRequest(resources))
        found: dict[str, dict[str, str]] = {}
        for code, message, _kind, name, entries in answer.resources:
            if code == Code.TOPIC_AUTHORIZATION_FAILED:
                found[name] = {}  # who may read a topic need not be allowed to read its settings
            elif _done(code, message, f"the settings of topic {name!r}"):
                found[name] = {entry[0]: entry[1] for entry in entries if entry[1] is not None}
        return found

    async def _create(self, topics: list[NewTopic]) -> None:
        requests: dict[str, Any] = {
            topic.name: (topic.name, topic.partitions, topic.replication_factor, [], list(topic.config.items()))
            for topic in topics
        }

        async def create(names: list[str]) -> list[str]:
            request = CreateTopicsRequest([requests[name] for name in names], self._timeout_ms, False)
            answer = await self._send_to_controller(request)
            return [
                name
                for name, code, *message in answer.topic_errors
                if kafka_errors.for_code(code) is not kafka_errors.TopicAlreadyExistsError
                and not _done(code, message[0] if message else None, f"topic {name!r}, which was to be created")
            ]

        await _until_none(create, list(requests))
        await self._appear(set(requests))

    async def _appear(self, names: set[str]) -> None:
        """Wait until the brokers know the topics."""
        while names:
            names = names.difference(await self._partition_counts(sorted(names)))
            if names:
                await asyncio.sleep(RETRY_S)

    async def _delete(self, names: list[str]) -> None:
        async def delete(some: list[str]) -> list[str]:
            answer = await self._send_to_controller(DeleteTopicsRequest(some, self._timeout_ms))
            return [
                name
                for name, code in answer.topic_error_codes
                if kafka_errors.for_code(code) is not kafka_errors.UnknownTopicOrPartitionError
                and not _done(code, None, f"topic {name!r}, which was to be deleted")
            ]

        await _until_none(delete, names)

    async def _delete_records(self, before: Mapping[TopicPartition, int]) -> None:
        await self._client.set_topics({partition.topic for partition in before})
        by_node: dict[int, dict[str, list[tuple[int, int]]]] = defaultdict(lambda: defaultdict(list))
        for partition, offset in before.items():
            node = self._client.cluster.leader_for_partition(partition)
            if node is None or node == -1:
                raise ClientError(f"no broker leads {partition}: its records cannot be deleted now")
            by_node[node][partition.topic].append((partition.partition, offset))
        for node, topics in by_node.items():
            answer = await self._client.send(node, DeleteRecordsRequest(list(topics.items()), self._timeout_ms))
            for topic, partitions, *_tags in answer.topics:
                for number, _low, code, *_more in partitions:
                    _check(code, None, f"{topic}[{number}], whose records were to be deleted")

    async def _open_transactions(self) -> list[str]:
        await self._client.force_metadata_update()
        return await self._opened([broker.nodeId for broker in self._client.cluster.brokers()])

    async def _opened(self, nodes: Iterable[int]) -> list[str]:
        """The same of these, as far as they answer in time: what one that is away has begun, others coordinate soon."""
        answers = await asyncio.gather(*(self._opened_on(node) for node in nodes), return_exceptions=True)
        failures = [answer for answer in answers if isinstance(answer, BaseException)]
        for failure in failures:
            if len(failures) == len(answers) or not isinstance(failure, kafka_errors.KafkaError | TimeoutError):
                raise failure
        return sorted({name for answer in answers if not isinstance(answer, BaseException) for name in answer})

    async def _opened_on(self, node: int) -> list[str]:
        """Those of one broker, once it has read which they are."""
        async with asyncio.timeout(min(LIST_S, self._timeout_s)):
            while True:
                answer: Any = await self._client.send(node, list_open())
                if answer.error_code not in PASSING:
                    break
                await asyncio.sleep(RETRY_S)
        _check(answer.error_code, None, "the list of transactions")
        return [entry[0] for entry in answer.transactions]

    @property
    def _timeout_ms(self) -> int:
        return int(self._timeout_s * 1000)

    async def _send(self, request: Any) -> Any:
        """Ask any broker, and another one while there is none."""
        while True:
            node = self._client.get_random_node()
            if node is not None:
                try:
                    return await self._client.send(node, request)
                except kafka_errors.NodeNotReadyError:
                    pass
            await asyncio.sleep(RETRY_S)
            await self._client.force_metadata_update()

    async def _send_to_controller(self, request: Any) -> Any:
        """Ask the controller, which may have moved since the last look."""
        while True:
            await self._client.force_metadata_update()
            controller = self._client.cluster.controller
            if controller is not None:
                try:
                    return await self._client.send(controller.nodeId, request)
                except kafka_errors.NodeNotReadyError:
                    pass
            await asyncio.sleep(RETRY_S)


def _topic_names(metadata: Any) -> list[str]:
    """Names in a Metadata answer: (error, name, ...) each."""
    return [entry[1] for entry in metadata.topics]


async def _until_none(attempt: Callable[[list[str]], Awaitable[list[str]]], names: list[str]) -> None:
    """Try with the names that are left of the last attempt, until none is."""
    left = await attempt(names)
    while left:
        await asyncio.sleep(RETRY_S)
        left = await attempt(left)


def _done(code: int, message: str | None, what: str) -> bool:
    """Whether it worked; False for what passes by itself. Raises: ClientError for all else."""
    if getattr(kafka_errors.for_code(code), "retriable", False):
        return False
    _check(code, message, what)
    return True


def _check(code: int, message: str | None, what: str) -> None:
    error = kafka_errors.for_code(code)
    if error is not kafka_errors.NoError:
        raise ClientError(f"{what}: the broker answers {error.__name__}{f' ({message})' if message else ''}")
