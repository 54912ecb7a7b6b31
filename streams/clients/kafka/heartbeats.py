"""Tells the group that a member lives, and watches that its processing thread does.

Lives on the network loop, so heartbeats go on whatever user code does. Rules: an answer counts only for who still is
the one that asked; a coordinator that has not answered for as long as a session lasts is looked up again, for it may be
gone without a word, and the group elsewhere; a processing thread that neither waits in `poll` nor has been there for
`max_poll_interval_ms` is silent, and then there are no more heartbeats until it comes back.
Source: Kafka's AbstractCoordinator.HeartbeatThread.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from aiokafka import errors as kafka_errors

from streams.clients.base import GroupMetadata
from streams.clients.kafka import group_requests as requests
from streams.clients.kafka.codes import Code
from streams.clients.kafka.coordinator import Coordinator
from streams.clients.kafka.group_states import GroupSettings
from streams.clients.kafka.lease import Lease
from streams.clients.kafka.network import described

log = logging.getLogger(__name__)

KNOWN = (Code.NONE, Code.REBALANCE_IN_PROGRESS)
"""What a group answers its members."""


class Heartbeats:
    """See the module. `member` says who beats now, None: nobody; `answered` gets whose heartbeat it was, and the code."""

    def __init__(
        self,
        coordinator: Coordinator,
        settings: GroupSettings,
        lease: Lease,
        member: Callable[[], GroupMetadata | None],
        *,
        answered: Callable[[GroupMetadata, int], None],
        silent: Callable[[], Awaitable[None]],
    ) -> None:
        self._coordinator = coordinator
        self._lease = lease
        self._interval_s = settings.heartbeat_interval_ms / 1000
        self._session_s = settings.session_timeout_ms / 1000
        self._longest_silence_s = settings.max_poll_interval_ms / 1000
        self._member = member
        self._answered = answered
        self._silent = silent
        self._loop = asyncio.get_running_loop()
        self._polled_at: float | None = None
        """When the processing thread last left `poll`; None while it waits in there, or has not come yet."""

    def polling(self, *, waits: bool) -> None:
        """The processing thread waits in `poll`, or is about to do something else. From any thread."""
        self._polled_at = None if waits else self._loop.time()

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            rested_at = self._loop.time()
            await asyncio.sleep(self._interval_s)
            member = self._member()
            if member is not None:
                await self._beat(member)
            elif (now := self._loop.time()) < rested_at + self._session_s:  # else the process was stopped meanwhile
                self._lease.renew(now)  # a group waits for those who join

    async def _beat(self, member: GroupMetadata) -> None:
        polled_at = self._polled_at
        if polled_at is not None and (silence_s := self._loop.time() - polled_at) > self._longest_silence_s:
            log.warning(
                "leaving the group: no poll for %.1f s, longer than max_poll_interval_ms; process less between two "
                "polls (max_poll_records), or raise it",
                silence_s,
            )
            await self._silent()
            return
        asked_at = self._loop.time()
        try:
            async with asyncio.timeout(self._session_s):
                response = await self._coordinator.ask_once(requests.heartbeat(member))
        except TimeoutError:
            log.warning("the group's coordinator does not answer: looking for another")
            self._coordinator.forget()
            return
        except kafka_errors.KafkaError as error:
            log.debug("heartbeat failed: %s", described(error))
            return
        if member == self._member():
            if response.error_code in KNOWN:
                self._lease.renew(asked_at)
            self._answered(member, response.error_code)
