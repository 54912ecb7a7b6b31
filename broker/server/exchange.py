"""One request and its one answer.

A handler either returns a body, which dispatch gives to `answer`, or keeps the exchange and answers later: when a
transaction log is synced, a group has joined, a fetch has something to say. Answers leave each connection in the order of
its requests, whatever order they become ready in; that is the connection's business.
"""

from collections.abc import Callable, Sequence
from typing import Any
from uuid import UUID

from broker.protocol.apis import ApiKey
from broker.protocol.bodies import Body
from broker.protocol.framing import RequestHeader
from broker.protocol.hot import TopicPart
from broker.protocol.messages import encode_response
from broker.protocol.throttle_time import with_throttle_time
from broker.server.quotas import Usage

NIL = UUID(int=0)
EXEMPT = frozenset({ApiKey.WRITE_TXN_MARKERS})
"""What brokers ask each other costs no client its time."""


class Exchange:
    """A request under way. `host` is the client's address; `release` tells the connection that an answer is there.

    `usage` is what it uses of its client's quotas, if there are any.
    """

    __slots__ = ("_release", "api_key", "buffers", "client_id", "correlation_id", "host", "usage", "version")

    def __init__(
        self, header: RequestHeader, host: str, release: Callable[[], None], usage: Usage | None = None
    ) -> None:
        self.usage = usage
        self.api_key = header.api_key
        self.version = header.version
        self.correlation_id = header.correlation_id
        self.client_id = header.client_id or ""
        self.host = host
        self.buffers: Sequence[Any] | None = None
        self._release = release

    def answer(self, body: Body) -> None:
        """Send a response body, written by the schema of the request's version."""
        self.answer_frame([encode_response(self.api_key, self.version, self.correlation_id, body)])

    def answer_frame(self, buffers: Sequence[Any]) -> None:
        """Send a whole response frame in pieces; no pieces for a request that has no response."""
        assert self.buffers is None, f"API {self.api_key} was answered twice"
        self.buffers = buffers if self.usage is None else self._counted(self.usage, buffers)
        self._release()

    def _counted(self, usage: Usage, buffers: Sequence[Any]) -> Sequence[Any]:
        """The answer with what its client is to be told of its quotas; one to a fetch was counted before."""
        if self.api_key == ApiKey.PRODUCE:
            usage.produced()
        if buffers and self.api_key not in EXEMPT and self.api_key != ApiKey.FETCH:
            usage.spent()
        if not usage.throttle_ms or not buffers:
            return buffers
        return with_throttle_time(self.api_key, self.version, buffers, usage.throttle_ms)


def topic_part(where: Any, partitions: Sequence[tuple[Any, ...]], *, by_id: bool) -> TopicPart:
    """One topic of a hand-written answer; `where` is its name or, in versions that go by id, its id (None for zero)."""
    return TopicPart("", partitions, where or NIL) if by_id else TopicPart(where, partitions)
