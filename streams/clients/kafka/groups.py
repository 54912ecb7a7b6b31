"""Groups as administrators see them: which there are, who is in them, and forgetting their offsets."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any, NamedTuple

from aiokafka import errors as kafka_errors
from aiokafka.client import CoordinationType
from aiokafka.coordinator.protocol import ConsumerProtocolMemberAssignment
from aiokafka.protocol.admin import DeleteGroupsRequest, DescribeGroupsRequest, ListGroupsRequest

from streams.clients.kafka.admin import RETRY_S, KafkaAdmin
from streams.errors import ClientError
from streams.record import TopicPartition

LOADING = (
    kafka_errors.CoordinatorLoadInProgressError,
    kafka_errors.CoordinatorNotAvailableError,
    kafka_errors.NotCoordinatorError,
    kafka_errors.NodeNotReadyError,
)


class GroupInfo(NamedTuple):
    """A group as its coordinator tells of it; `members` are client ids with their hosts, `assigned` what these read."""

    name: str
    state: str
    members: tuple[str, ...]
    assigned: frozenset[TopicPartition] = frozenset()


class KafkaGroups:
    """Asks through an admin client, which stays its maker's to close."""

    def __init__(self, admin: KafkaAdmin) -> None:
        self._admin = admin
        self._client = admin._client

    def names(self) -> list[str]:
        """The names of all groups of all brokers."""
        return self._admin._call(self._names())

    def describe(self, name: str) -> GroupInfo:
        """State and members of a group; one that does not exist is Dead and has none."""
        return self._admin._call(self._describe(name))

    def delete(self, name: str) -> None:
        """Forget a group and its offsets; a missing one is no error. Raises: ClientError while it has members."""
        self._admin._call(self._delete(name))

    async def _names(self) -> list[str]:
        await self._client.force_metadata_update()
        found: set[str] = set()
        for broker in self._client.cluster.brokers():
            answer = await self._client.send(broker.nodeId, ListGroupsRequest())
            _check(answer.error_code, "the list of groups")
            found.update(name for name, _kind in answer.groups)
        return sorted(found)

    async def _describe(self, name: str) -> GroupInfo:
        answer = await self._ask_coordinator(name, DescribeGroupsRequest([name]), lambda body: body.groups[0][0])
        _code, _name, state, kind, _protocol, members, *_ = answer.groups[0]
        assigned = (each for member in members if kind == "consumer" for each in _assigned(member))
        clients = tuple(f"{client} {host}".strip() for client, host in map(_client_of, members))
        return GroupInfo(name, state, clients, frozenset(assigned))

    async def _delete(self, name: str) -> None:
        answer = await self._ask_coordinator(name, DeleteGroupsRequest([name]), lambda body: body.results[0][1])
        code = answer.results[0][1]
        if kafka_errors.for_code(code) is kafka_errors.NonEmptyGroup:
            raise ClientError(f"the group {name!r} still has members: stop them first")
        if kafka_errors.for_code(code) is not kafka_errors.GroupIdNotFound:
            _check(code, f"the group {name!r}, which was to be deleted")

    async def _ask_coordinator(self, group: str, request: Any, code_of: Any) -> Any:
        """Ask whoever coordinates the group, again while it is loading or moving."""
        while True:
            try:
                node = await self._client.coordinator_lookup(CoordinationType.GROUP, group)
                if await self._client.ready(node):
                    answer = await self._client.send(node, request)
                    if kafka_errors.for_code(code_of(answer)) not in LOADING:
                        return answer
            except LOADING:
                pass
            await asyncio.sleep(RETRY_S)


def _client_of(member: Any) -> tuple[str, str]:
    """Client id and host of a member: (member id, client id, host, metadata, assignment)."""
    return member[1], member[2]


def _assigned(member: Any) -> Iterator[TopicPartition]:
    """What a member reads, by the consumer protocol's assignment; nothing while the group rebalances."""
    assignment = member[4]
    if assignment:
        for topic, partitions in ConsumerProtocolMemberAssignment.decode(assignment).assignment:
            yield from (TopicPartition(topic, partition) for partition in partitions)


def _check(code: int, what: str) -> None:
    error = kafka_errors.for_code(code)
    if error is not kafka_errors.NoError:
        raise ClientError(f"{what}: the broker answers {error.__name__}")
