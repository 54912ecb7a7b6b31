"""The offsets of a group: committed as a member of a generation, and read once no transaction holds them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from streams.clients.base import GroupMetadata, OffsetAndMetadata
from streams.clients.kafka import group_requests as requests
from streams.clients.kafka.codes import Code
from streams.clients.kafka.coordinator import PASSING, Coordinator
from streams.clients.kafka.group_errors import refusal
from streams.clients.kafka.topic_search import without_gone
from streams.record import TopicPartition

UNDECIDED = frozenset({Code.UNSTABLE_OFFSET_COMMIT})


async def commit_offsets(
    coordinator: Coordinator,
    member: GroupMetadata,
    offsets: Mapping[TopicPartition, OffsetAndMetadata],
    *,
    within_s: float,
) -> int:
    """Commit as this member; the answer is the error code that decides. Raises: ClientError when there is no answer.

    Offsets of topics that were deleted meanwhile are left out.
    """
    while True:
        request = requests.commit(member, offsets)
        code, _ = await coordinator.ask(request, within_s=within_s, code_of=_worst_commit)
        if code != Code.UNKNOWN_TOPIC_OR_PARTITION:
            return code
        left = await without_gone(coordinator.client, offsets)
        if len(left) == len(offsets):
            return code
        if not left:
            return Code.NONE
        offsets = left


async def committed_offsets(
    coordinator: Coordinator, group: str, partitions: Iterable[TopicPartition], *, within_s: float
) -> dict[TopicPartition, OffsetAndMetadata]:
    """The committed offsets; partitions without one are absent. Raises: ClientError."""
    request = requests.fetch(group, partitions)
    code, answer = await coordinator.ask(request, within_s=within_s, code_of=_worst_fetch, also=UNDECIDED)
    if code != Code.NONE:
        raise refusal(group, code, "tell its offsets")
    return {
        TopicPartition(topic, entry[0]): OffsetAndMetadata(entry[1], entry[3] or "")
        for topic, entries, _ in answer.topics
        for entry in entries
        if entry[1] >= 0
    }


async def decided_offsets(
    coordinator: Coordinator, group: str, partitions: Iterable[TopicPartition], *, within_s: float
) -> dict[TopicPartition, OffsetAndMetadata | None]:
    """The committed offsets that no open transaction holds, None where there is none. Raises: ClientError."""
    request = requests.fetch(group, partitions)
    code, answer = await coordinator.ask(request, within_s=within_s, code_of=_worst_decided)
    if code != Code.NONE:
        raise refusal(group, code, "tell its offsets")
    return {
        TopicPartition(topic, entry[0]): OffsetAndMetadata(entry[1], entry[3] or "") if entry[1] >= 0 else None
        for topic, entries, _ in answer.topics
        for entry in entries
        if entry[4] not in UNDECIDED
    }


def _worst_commit(response: Any) -> int:
    return _worst([entry[1] for _, entries in response.topics for entry in entries])


def _worst_fetch(response: Any) -> int:
    return _worst([response.error_code, *(entry[4] for _, entries, _ in response.topics for entry in entries)])


def _worst_decided(response: Any) -> int:
    codes = (entry[4] for _, entries, _ in response.topics for entry in entries)
    return _worst([response.error_code, *(code for code in codes if code not in UNDECIDED)])


def _worst(codes: list[int]) -> int:
    """One that calls for another try before any other, else the first error."""
    errors = [code for code in codes if code != Code.NONE]
    passing = [code for code in errors if code in PASSING or code in UNDECIDED]
    return next(iter(passing or errors), Code.NONE)
