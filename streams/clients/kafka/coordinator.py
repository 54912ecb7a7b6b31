"""The broker that coordinates a group or a transactional id: found, asked, and found again when it has moved.

Rules: what passes by itself (a coordinator that loads or moves, a lost connection) is tried again here until the
deadline, the very same request, which all of these stand; every other code is the caller's to judge.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, NamedTuple

from aiokafka import errors as kafka_errors
from aiokafka.client import AIOKafkaClient, CoordinationType

from streams.clients.kafka.codes import Code, name_of
from streams.clients.kafka.network import Line, described
from streams.errors import BrokerUnreachable

RETRY_S = 0.1
SHORT_RETRY_S = 0.02
MOVED = frozenset({Code.COORDINATOR_NOT_AVAILABLE, Code.NOT_COORDINATOR})
PASSING = frozenset({Code.COORDINATOR_LOAD_IN_PROGRESS, Code.REQUEST_TIMED_OUT, *MOVED})

CodeOf = Callable[[Any], int]
"""Which error code of a response to act upon."""


class Answer(NamedTuple):
    """A response and the code that decided."""

    code: int
    response: Any


def error_code(response: Any) -> int:
    """The code of a response that has one for all."""
    return int(response.error_code)


class Coordinator:
    """See the module. Lives on the network loop."""

    def __init__(self, client: AIOKafkaClient, kind: CoordinationType, key: str) -> None:
        self.client = client
        self._kind = kind
        self._key = key
        self._node: int | None = None

    async def ask(
        self,
        request: Any,
        *,
        within_s: float,
        code_of: CodeOf = error_code,
        also: frozenset[Code] = frozenset(),
    ) -> Answer:
        """Ask until the answer is one to act upon; codes in `also` are waited for, too.

        Raises: BrokerUnreachable when there is none in time.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + within_s
        while True:
            try:
                response = await self.ask_once(request)
            except kafka_errors.IncompatibleBrokerVersion:
                raise
            except kafka_errors.KafkaError as error:
                reason, pause_s = described(error), RETRY_S
            else:
                code = code_of(response)
                if code in MOVED:
                    self.forget()
                elif code not in PASSING and code not in also:
                    return Answer(code, response)
                reason = name_of(code)
                pause_s = RETRY_S if code in PASSING else SHORT_RETRY_S
            if loop.time() + pause_s >= deadline:
                raise BrokerUnreachable(
                    f"the coordinator of {self._key!r} did not take it within {within_s:g} s: {reason}"
                )
            await asyncio.sleep(pause_s)

    async def ask_once(self, request: Any, *, line: Line = Line.REQUESTS, timeout_s: float | None = None) -> Any:
        """One request, one response, whatever is in it. Raises: KafkaError; then the coordinator is looked up again."""
        try:
            node = await self._find()
            if not await self.client.ready(node, group=line):
                raise kafka_errors.NodeNotReadyError(f"node {node} cannot be reached")
            if timeout_s is not None:
                self.client._conns[node, line]._request_timeout = timeout_s
            return await self.client.send(node, request, group=line)
        except kafka_errors.KafkaError:
            self.forget()
            raise

    def forget(self) -> None:
        """Look the coordinator up again before the next request."""
        self._node = None

    async def _find(self) -> int:
        if self._node is None:
            if self.client.get_random_node() is None:
                raise kafka_errors.NodeNotReadyError("no broker is known")
            node = await self.client.coordinator_lookup(self._kind, self._key)
            if self.client.cluster.broker_metadata(node) is None:
                await self.client.force_metadata_update()
            self._node = node
        return self._node
