"""Client quotas: how much of the broker a client may use, and for how long one that used more is throttled.

A quota is for a user, a client id, both, or the default of either; the most specific one counts. Clients that share it (all
of a user, whatever their ids, where the quota is the user's) share what is counted, and of a default each has a count of its
own. What was used is averaged over the last windows (`quota.window.num` of `quota.window.size.seconds`), changes of
partitions fill a token bucket. A client over its quota gets its answer at once, with the time in it after which it would be
within again, and its connection is not read before; of a fetch the answer is empty, of changes to topics some are refused.

Nobody is counted without a quota of their own. Must not know connections, nor how answers are written.
Source: Kafka's ClientQuotaManager, ClientRequestQuotaManager, ControllerMutationQuotaManager and ConnectionQuotas.
"""

import math
import time
from collections.abc import Callable, Iterator, Mapping
from ipaddress import ip_address
from typing import NamedTuple

from broker.dynamic import Entity
from broker.errors import BrokerError, ErrorCode
from broker.server.meters import Counter, Meter, Rate, TokenBucket, Windows

ANONYMOUS = "ANONYMOUS"
"""The user of everybody who did not log in, by Kafka's name."""
PRODUCE, FETCH, REQUEST = "producer_byte_rate", "consumer_byte_rate", "request_percentage"
CHANGES, CONNECTIONS = "controller_mutation_rate", "connection_creation_rate"
CLIENT_KEYS = frozenset({PRODUCE, FETCH, REQUEST, CHANGES})
IP_KEYS = frozenset({CONNECTIONS})
IDLE_MS = 3_600_000
"""After this long without use a count is forgotten."""
MAX_CACHED = 10_000
PERCENT_PER_NANOSECOND = 100 / 1_000_000_000

Key = tuple[str, ...]
"""Who shares a count: the quota's name, and user and client id as far as it looks at them."""


class Limits(NamedTuple):
    """What there is for one user with one client id."""

    produce: Meter | None
    fetch: Meter | None
    request: Meter | None
    changes: Meter | None


class Quotas:
    """All quotas of a broker. `limited` is whether there is one for clients; `connection_limits` are those of addresses."""

    def __init__(
        self,
        kept: Mapping[Entity, Mapping[str, float]],
        now_ms: Callable[[], int],
        windows: Windows,
        change_windows: Windows,
    ) -> None:
        self._kept = kept
        self._now_ms = now_ms
        self._windows = windows
        self._change_windows = change_windows
        self._counters: dict[Key, Counter] = {}
        self._limits: dict[tuple[str, str | None], Limits | None] = {}
        self.limited = False
        self.connection_limits: dict[str | None, float] = {}
        self.changed()

    def changed(self) -> None:
        """Other quotas are kept now: they count from here on, for what was used before as well."""
        self._limits.clear()
        self.limited = any(not CLIENT_KEYS.isdisjoint(values) for values in self._kept.values())
        self.connection_limits = {
            _address(dict(entity)["ip"]): values[CONNECTIONS]
            for entity, values in self._kept.items()
            if CONNECTIONS in values
        }

    def expire(self) -> None:
        """Forget what was used by clients that are long gone."""
        before_ms = self._now_ms() - IDLE_MS
        self._limits.clear()  # which refer to the counters
        for key in [key for key, counter in self._counters.items() if counter.used_at_ms < before_ms]:
            del self._counters[key]

    def usage(self, user: str | None, client_id: str | None, size: int) -> "Usage | None":
        """What a request of so many bytes is counted by; None for a client without quotas, and for nobody in particular."""
        if user is None:
            return None
        who = user, client_id
        if who not in self._limits:
            if len(self._limits) >= MAX_CACHED:
                self._limits.clear()
            meters = Limits(*(self._meter(name, user, client_id) for name in (PRODUCE, FETCH, REQUEST, CHANGES)))
            self._limits[who] = meters if any(meters) else None
        limits = self._limits[who]
        return None if limits is None else Usage(limits, size, self._now_ms, self._windows)

    def _meter(self, name: str, user: str, client_id: str | None) -> Meter | None:
        for entity, key in _by_precedence(user, client_id):
            limit = self._kept.get(entity, {}).get(name)
            if limit is not None:
                return Meter(self._counter((name, *key), bucket=name == CHANGES), limit)
        return None

    def _counter(self, key: Key, *, bucket: bool) -> Counter:
        counter = self._counters.get(key)
        if counter is None:
            now_ms = self._now_ms()
            counter = TokenBucket(self._change_windows, now_ms) if bucket else Rate(self._windows, now_ms)
            self._counters[key] = counter
        return counter

    def connection_throttled_ms(self, host: str) -> int:
        """Count a connection from a host; for how long it is to be kept waiting, and then closed; 0 if it is welcome."""
        limit = self.connection_limits.get(host, self.connection_limits.get(None))
        if limit is None:
            return 0
        meter, now_ms = Meter(self._counter((CONNECTIONS, host), bucket=False), limit), self._now_ms()
        throttle_ms = meter.use(1, now_ms)
        if throttle_ms:
            meter.counter.record(-1, limit, now_ms)
        return min(throttle_ms, self._windows.size_ms)


def _address(name: str | None) -> str | None:
    """As the system writes it; the name of a host stays, and meets no address."""
    try:
        return name and str(ip_address(name))
    except ValueError:
        return name


def _by_precedence(user: str, client_id: str | None) -> Iterator[tuple[Entity, tuple[str, str]]]:
    """Whom a quota may be for that counts for this client, the most specific first, and who shares what is counted.

    No quota looks at the client id of a client that gives none, not even the default.
    """
    by_both, by_user, by_client = (user, client_id or ""), (user, ""), ("", client_id or "")
    for name in (user, None):
        if client_id:
            yield frozenset({("user", name), ("client-id", client_id)}), by_both
            yield frozenset({("user", name), ("client-id", None)}), by_both
        yield frozenset({("user", name)}), by_user
    if client_id:
        yield frozenset({("client-id", client_id)}), by_client
        yield frozenset({("client-id", None)}), by_client


class Usage:
    """What one request uses of its client's quotas; `throttle_ms` is for how long the client is throttled then."""

    __slots__ = ("_began_ns", "_limits", "_now_ms", "_size", "_spent_ns", "_windows", "throttle_ms")

    def __init__(self, limits: Limits, size: int, now_ms: Callable[[], int], windows: Windows) -> None:
        self._limits = limits
        self._size = size
        self._now_ms = now_ms
        self._windows = windows
        self._began_ns = time.perf_counter_ns()
        self._spent_ns: int | None = None
        self.throttle_ms = 0

    def handled(self) -> None:
        """The broker has done its part; an answer that comes later costs its client no time."""
        if self._spent_ns is None:
            self._spent_ns = time.perf_counter_ns() - self._began_ns

    def produced(self) -> None:
        """Count the request's bytes as written to the broker."""
        if self._limits.produce is not None:
            self._throttle(self._limits.produce.use(self._size, self._now_ms()))

    def spent(self) -> None:
        """Count the time that the broker spent; nobody is throttled for longer than a window because of it."""
        self.handled()
        assert self._spent_ns is not None
        if self._limits.request is not None:
            used = self._limits.request.use(self._spent_ns * PERCENT_PER_NANOSECOND, self._now_ms())
            self._throttle(min(used, self._windows.size_ms))

    @property
    def most_fetched(self) -> float:
        """Bytes of an answer to a fetch that its client can be given without being throttled, if it got none of late."""
        meter = self._limits.fetch
        return math.inf if meter is None else meter.limit * (self._windows.number - 1) * self._windows.size_ms / 1000

    def fetched(self, size: int) -> bool:
        """Count an answer of so many bytes, and the time it took; False if it must not be given now, and does not count."""
        self.spent()
        meter, now_ms = self._limits.fetch, self._now_ms()
        if meter is not None:
            self._throttle(meter.use(size, now_ms))
            if self.throttle_ms:
                meter.counter.record(-size, meter.limit, now_ms)
        return not self.throttle_ms

    def change(self, partitions: int, *, strict: bool) -> None:
        """Count partitions that are created or deleted; where it is `strict`, none are once the quota is used up.

        Raises: BrokerError.
        """
        meter, now_ms = self._limits.changes, self._now_ms()
        if meter is None:
            return
        if not strict:
            self._throttle(meter.use(partitions, now_ms))
            return
        over_ms = meter.counter.over_ms(meter.limit, now_ms)
        if over_ms:
            self._throttle(over_ms)
            # without words, as Kafka's; the answer says how long
            raise BrokerError(ErrorCode.THROTTLING_QUOTA_EXCEEDED)
        meter.counter.record(partitions, meter.limit, now_ms)

    def may_create(self, partitions: int) -> bool:
        """Count partitions of a topic that is created by being asked for; nobody is throttled because of it."""
        throttle_ms = self.throttle_ms
        try:
            self.change(partitions, strict=True)
        except BrokerError:
            self.throttle_ms = throttle_ms
            return False
        return True

    def _throttle(self, throttle_ms: int) -> None:
        self.throttle_ms = max(self.throttle_ms, throttle_ms)
