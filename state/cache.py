"""Kafka's record cache in front of a store: visible, for it decides which updates there are.

Updates of a key replace each other until a commit or an eviction lets them go, all at once, in the order of each key's
last update; only then are they logged and forwarded. What is let go and when is defined by `RecordCacheBudget` alone.
Sizes are counted as Kafka counts them. Below half of a large budget, an update is not measured again where all values
are of one length; where they are not, within so many updates of the store that an eviction comes late only if these make
their values grow by more than 1 KiB each (4 MiB, and a batch's, of a budget of 10).
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Sequence
from itertools import compress, repeat
from operator import itemgetter
from typing import Any, NamedTuple

from state.engine import any_none
from state.ordered import OrderedBytes
from state.proof import LONGEST, SHORTEST, Proof
from state.stores import Cause

ABSENT = object()
RELEASED_AT_ONCE = 4_096  # columns that fit a processor's cache
_LARGE_BYTES = 64 * 1024
_SEVERAL = -1  # lengths of topics' names
_UNMEASURED = 4_096
_TIDY, _UNPLACED = 4_096, 65_536
_GROWTH_BYTES = 1_024
_time = itemgetter(1)
OVERHEAD = 24 + 21  # Kafka: three references of a list node; dirty flag 1, timestamp 8, offset 8, partition 4


class RecordCacheBudget:
    """Bytes that the record caches of a worker may hold together (`statestore_cache_max_bytes`)."""

    __slots__ = ("cause_bytes", "max_bytes", "roomy_bytes", "used")

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self.used = 0
        self.roomy_bytes = max_bytes // 2 if max_bytes >= _LARGE_BYTES else -1
        """While no more than this is used, evictions are far away; a small budget never is as empty as that."""
        self.cause_bytes = 0
        """The length of the name of the topic whose records are processed: every update counts its cause, as in Kafka."""

    @property
    def roomy(self) -> bool:
        """The budget is large, and at most half of it is used."""
        return self.used <= self.roomy_bytes


class CachedEntries(OrderedDict[Any, Any]):
    """Live values by entry key, least recently used first; a key that is missing is read from below."""

    def __init__(self, read: Callable[[Any], Any]) -> None:
        super().__init__()
        self._read = read

    def __missing__(self, entry: Any) -> Any:
        return self._read(entry)

    def replace(self, values: dict[Any, Any]) -> None:
        """Give entries that are all here other values, where they are.

        As a plain dictionary does it: an OrderedDict looks for the place of each besides, which takes five times as long.
        """
        dict.update(self, values)


class Updates(NamedTuple):
    """Columns of what a record cache lets go: entry keys, live values (None deletes), times; causes if any is known."""

    entries: list[Any]
    values: list[Any]
    timestamps: list[int]
    causes: list[Cause | None] | None

    def rows(self) -> Iterable[tuple[Any, Any, int, Cause | None]]:
        """Update by update: entry key, live value, time, cause."""
        return zip(self.entries, self.values, self.timestamps, self.causes or repeat(None), strict=False)

    def part(self, start: int, stop: int) -> Updates:
        """Those from `start` up to, not including, `stop`."""
        entries, values, timestamps, causes = self
        return Updates(entries[start:stop], values[start:stop], timestamps[start:stop], causes and causes[start:stop])

    def only(self, keep: Sequence[bool]) -> Updates:
        """Those whose entry in `keep` is true."""
        entries, values, timestamps = (list(compress(column, keep)) for column in self[:3])
        return Updates(entries, values, timestamps, self.causes and list(compress(self.causes, keep)))


Release = Callable[[Updates], None]
"""Takes what a record cache lets go."""


class RecordCache:
    """Kafka's record cache of one store.

    `below` answers for the store under the cache, `release` takes what is let go. `size` gives the bytes of an entry
    key and live value, `sizes` those of many. `keep_reads`: values read from below are kept too, clean (Kafka: in
    key-value stores only).
    `fixed_size`: values are as long as each other, so that an update is as long as the one that it replaces.
    `proof`: that what is put can be written, though it is not measured. `timestamped`: live values have their times.
    """

    counts_uses = True

    def __init__(
        self,
        budget: RecordCacheBudget,
        *,
        below: Callable[[Any], Any],
        release: Release,
        size: Callable[[Any, Any], int],
        sizes: Callable[[list[Any], list[Any]], list[int]] | None = None,
        keep_reads: bool,
        fixed_size: bool = False,
        proof: Proof | None = None,
        timestamped: bool = False,
    ) -> None:
        self._budget = budget
        self._below = below
        self._release = release
        self._size = size
        self._sizes_of = sizes or (lambda entries, values: list(map(size, entries, values)))
        self._keep_reads = keep_reads
        self._fixed_size = fixed_size
        self.entries = CachedEntries(self.read)
        self._dirty: dict[Any, int] = {}
        self._unplaced: list[Any] = []
        """Entries that `put_known` replaced, and those that came new since, update by update.

        They get their places in both orders when somebody asks. Their values carry their times.
        """
        self._tidy_at = _TIDY
        self._causes: dict[Any, Cause | None] = {}
        self._sizes: dict[Any, int] = {}
        self._alike = 0
        """The size of entries that have none in `_sizes`."""
        self._bytes = 0
        self._cause_bytes = _SEVERAL
        """What each put counts for its cause: all that are here (one length), or the unmeasured ones."""
        self.cause: Cause | None = None
        """The cause of updates that come without one, if it is not simply a record of the topic in process."""
        self._read: set[Any] = set()
        """Entries that were read and not put since, and so count no cause; known when values are of one length."""
        self._unmeasured: dict[Any, None] = {}
        """Entries with updates that were not measured yet; kept when values are of several lengths."""
        self._skipped = 0
        """How many updates these are."""
        self._order: OrderedBytes | None = None
        """The keys of all entries as bytes, once somebody has asked for ranges."""
        self._key_bytes: Callable[[Any], bytes] = bytes
        self.dropped = False
        """Whether an entry was ever dropped for lack of room: else all that was ever put is here, or deleted."""
        self.looks_first = False
        """Whether those who put look at the entry first, as Kafka's tables do: what they read is kept, and needs room."""
        self._read_since = False
        """Whether some entry was read since the last flush: else what is clean was used before all that is dirty."""
        self._proof, self._timestamped, self._certain = proof, timestamped, proof and proof.certain
        self.vouched = proof is None
        """Whether all that is put can be written, as somebody has seen to."""
        self._may_skip = 1 if fixed_size else min(_UNMEASURED, budget.max_bytes // 2 // _GROWTH_BYTES)

    @property
    def dirty(self) -> dict[Any, int]:
        """The times of the updates that wait here, in the order of each entry's last one."""
        if self._unplaced:
            self._place_known()
        return self._dirty

    @property
    def waits(self) -> bool:
        """Whether there is anything to let go."""
        return bool(self.dirty)

    def in_order(self, key_bytes: Callable[[Any], bytes]) -> OrderedBytes:
        """The keys of what is here; `key_bytes` gives that of an entry, always the same."""
        if self._order is None:
            self._key_bytes = key_bytes
            self._order = OrderedBytes()
            self._order.update(zip(map(key_bytes, self.entries), repeat(None)))
        return self._order

    def get(self, entry: Any) -> Any:
        """The value here or below; counts as a use."""
        value = self.entries.get(entry, ABSENT)
        if value is ABSENT:
            return self.read(entry)
        if self._unplaced:
            self._place_known()
        self._read_since = True
        self.entries.move_to_end(entry)
        return value

    def peek(self, entry: Any) -> Any:
        """The value here or below, for queries: no use, and nothing is kept."""
        value = self.entries.get(entry, ABSENT)
        return self._below(entry) if value is ABSENT else value

    def get_all(self, entries: Sequence[Any]) -> list[Any]:
        """The values of many, as `get` gives them one after the other: each entry has its place by its last use."""
        values = list(map(self.entries.get, entries))
        if not all(values):  # deleted, not here, or no more than a value that is false
            return list(map(self.get, entries))
        if self._unplaced:
            self._place_known()
        self._read_since = True
        each(map(self.entries.move_to_end, by_last(entries)))
        return values

    def read(self, entry: Any) -> Any:
        """The value below, kept here when Kafka keeps it."""
        value = self._below(entry)
        if self._keep_reads and value is not None:
            if self._fixed_size:
                self._read.add(entry)
            if self._unplaced:
                self._place_known()
            self._read_since = True
            self._place(entry, value, self._size(entry, value) + OVERHEAD)
        return value

    def put(self, entry: Any, value: Any, timestamp: int, cause: Cause | None) -> None:
        """Replace the entry's update, which becomes the latest of all.

        Raises: what the serdes raise; nothing has changed then.
        """
        entries, dirty, budget = self.entries, self._dirty, self._budget
        waits = bool(self._unplaced) and budget.roomy and value is not None and entry not in entries
        if self._unplaced and not waits:
            self._place_known()
        cause = cause or self.cause
        cause_bytes = budget.cause_bytes if cause is None else _cause_size(cause)
        if (
            self._cause_bytes == cause_bytes
            and budget.used <= budget.roomy_bytes
            and value is not None
            and entries.get(entry) is not None
            and not (self._read and entry in self._read)
            and self._skipped < self._may_skip
        ):
            if not self.vouched:
                plain = value[0] if self._timestamped else value
                kind = plain.__class__
                within = SHORTEST <= plain <= LONGEST if kind is int else kind is not str or plain.isascii()
                if kind is not self._certain or not within:
                    self._proof.write(plain)  # type: ignore[union-attr]  # without, all is vouched for
            dirty.pop(entry, None)
            dirty[entry] = timestamp
            if cause or self._causes:
                self._causes[entry] = cause
            entries[entry] = value
            entries.move_to_end(entry)
            if not self._fixed_size:
                self._unmeasured[entry] = None
                self._skipped += 1
            return
        if self.looks_first and not budget.roomy and entry not in entries:
            self.read(entry)
        size = self._size(entry, value) + cause_bytes + OVERHEAD
        self._note_measured(entry, cause_bytes)
        if waits:
            self._unplaced.append(entry)
        else:
            dirty.pop(entry, None)
            dirty[entry] = timestamp
        if cause or self._causes:
            self._causes[entry] = cause
        if self._sizes.get(entry) == size and budget.used <= budget.max_bytes:
            entries[entry] = value
            entries.move_to_end(entry)
        else:
            self._place(entry, value, size)

    def _note_measured(self, entry: Any, cause_bytes: int) -> None:
        """Keep what is known of sizes true of a cache that gets a measured entry."""
        if self._fixed_size:
            if len(self._read) == len(self.entries):
                self._cause_bytes = cause_bytes
            elif self._cause_bytes != cause_bytes:
                self._cause_bytes = _SEVERAL
            self._read.discard(entry)
            return
        if cause_bytes != self._cause_bytes:
            self._measure()
            self._cause_bytes = cause_bytes
        elif self._skipped >= self._may_skip if self._budget.roomy else self._skipped:
            self._measure()

    def _measure(self) -> None:
        """Count what updates that were not measured have made of their entries' sizes."""
        sizes, more = self._sizes, 0
        entries = list(filter(sizes.__contains__, self._unmeasured))  # others were deleted since
        values = list(map(self.entries.__getitem__, entries))
        try:
            parts = [(entries, self._sizes_of(entries, values))]
        except Exception:  # raised again by the flush: the record in process has no part in it
            found = map(self._size_if_any, entries, values)
            parts = [([entry], size) for entry, size in zip(entries, found, strict=True) if size]
        for measured, plain in parts:
            counted = [size + self._cause_bytes + OVERHEAD for size in plain]
            more += sum(counted) - sum(map(sizes.__getitem__, measured))
            sizes.update(zip(measured, counted, strict=True))
        self._unmeasured.clear()
        self._skipped = 0
        self._bytes += more
        self._budget.used += more

    def _size_if_any(self, entry: Any, value: Any) -> list[int]:
        """The size of an entry as a column; empty when it cannot be told."""
        try:
            return self._sizes_of([entry], [value])
        except Exception:
            return []

    @property
    def roomy(self) -> bool:
        """Whether evictions are far away: then `put_known` may be used."""
        return self._budget.roomy

    def put_known(
        self,
        touched: Sequence[Any],
        updates: dict[Any, tuple[Any, int]],
        causes: Sequence[Cause] | None,
        count: int = 0,
    ) -> None:
        """Replace (value, time) of entries that have one here, as by `put` one by one.

        `touched` are the same entries update by update, and `causes` theirs: the last one of each counts, and gives its
        place. All causes are of one size. While the cache is `roomy` only. At the speed of C, and without places in both
        orders, which mostly nobody asks for before the next commit.
        """
        assert self._budget.roomy, "puts count one by one when room is short"
        latest = dict(zip(touched, causes, strict=True)) if causes else {}
        cause_bytes = _cause_size(causes[0]) if causes else self._budget.cause_bytes
        if self._cause_bytes != cause_bytes or (self._read and not self._read.isdisjoint(updates)):
            for entry in by_last(touched):
                value = updates[entry]
                self.put(entry, value, value[1], latest.get(entry))
            return
        self.entries.replace(updates)
        self._unplaced += touched
        if latest or self._causes:
            self._causes.update(latest or zip(updates, repeat(None)))
        if not self._fixed_size:
            self._unmeasured |= dict.fromkeys(updates)
            self._skipped += count or len(touched)
            if self._skipped >= self._may_skip:
                self._evict_excess()
        if len(self._unplaced) >= self._tidy_at:
            self._tidy()

    def _tidy(self) -> None:
        """Keep of each entry that waits for its places the last update alone; where entries are many, give them places.

        A few that come again and again stay few that way: tens of thousands of their updates, each with an entry key of its
        own, would take more room than a core's cache has, and be met again when they are in none any more.
        """
        self._unplaced = by_last(self._unplaced)
        self._tidy_at = max(_TIDY, 4 * len(self._unplaced))
        if self._tidy_at > _UNPLACED:
            self._place_known()

    def _place_known(self) -> None:
        """Give what `put_known` replaced its places among the updates and among the uses."""
        order, entries, dirty = by_last(self._unplaced), self.entries, self._dirty
        each(map(dirty.pop, order, repeat(None)))
        dirty.update(zip(order, map(_time, map(entries.__getitem__, order)), strict=True))
        each(map(entries.move_to_end, order))
        self._unplaced.clear()
        self._tidy_at = _TIDY

    def _place(self, entry: Any, value: Any, size: int) -> None:
        """Put an entry of `size` bytes in front, and evict what is too much."""
        entries, sizes, alike = self.entries, self._sizes, self._alike
        more = size - sizes.pop(entry, alike if alike and entry in entries else 0)
        if size != alike:
            sizes[entry] = size
        self._bytes += more
        if self._order is not None:
            self._order[self._key_bytes(entry)] = None
        entries[entry] = value
        entries.move_to_end(entry)
        budget = self._budget
        budget.used += more
        if budget.used > budget.max_bytes:
            self._evict_excess()

    def _evict_excess(self) -> None:
        """Drop the least recently used while the budget is exceeded; with a dirty one everything dirty goes, it first.

        As in Kafka the budget hears of an eviction only after everything that it set off, which may read and write here.
        """
        entries, budget = self.entries, self._budget
        if self._unmeasured:
            self._measure()
        if budget.used <= budget.max_bytes:
            return
        if self._unplaced:
            self._place_known()
        dirty = self._dirty
        self.dropped = True
        while budget.used > budget.max_bytes and entries:
            entry, value = entries.popitem(last=False)
            before = self._bytes
            self._forget(entry)
            self._read.discard(entry)
            if entry in dirty:
                time, cause = dirty.pop(entry), self._causes.pop(entry, None)
                self._let_go(Updates([entry], [value], [time], [cause] if cause else None))
            budget.used += self._bytes - before

    def flush(self) -> None:
        """Let go of everything dirty."""
        if self.dirty:
            before = self._bytes
            self._let_go(Updates([], [], [], None))
            self._budget.used += self._bytes - before

    def _let_go(self, evicted: Updates) -> None:
        cached, dirty, causes = self.entries, self.dirty, None
        self._read_since = False
        if not dirty:  # in a cache without room nothing else ever waits
            self._release(evicted)
            return
        if self._causes or evicted.causes:
            causes = [*(evicted.causes or [None] * len(evicted.entries)), *map(self._causes.get, dirty)]
        values = list(map(cached.__getitem__, dirty))
        deleted = [entry for entry in dirty if cached[entry] is None] if any_none(values) else []
        updates = Updates(
            evicted.entries + list(dirty), evicted.values + values, evicted.timestamps + list(dirty.values()), causes
        )
        dirty.clear()
        self._causes.clear()
        for start in range(0, len(updates.entries), RELEASED_AT_ONCE):
            self._release(updates.part(start, start + RELEASED_AT_ONCE))
        for entry in deleted:
            self._drop(entry)

    def _drop(self, entry: Any) -> None:
        """Forget a deletion that was let go; until everything it set off was done, it took its room, as in Kafka.

        So is what was read again before its turn had come. What was put meanwhile stays (Kafka loses it).
        """
        if entry in self.entries and entry not in self._dirty:
            del self.entries[entry]
            self._forget(entry)

    def _forget(self, entry: Any) -> None:
        """An entry is gone."""
        self._bytes -= self._sizes.pop(entry, self._alike)
        if self._order is not None:
            self._order.discard(self._key_bytes(entry))

    def clear(self) -> None:
        """Forget everything, dirty or not."""
        self.entries.clear()
        self._order = None
        self._dirty.clear()
        self._unplaced.clear()
        self._causes.clear()
        self._budget.used -= self._bytes
        self._bytes = 0
        self._sizes.clear()
        self._read.clear()
        self._unmeasured.clear()
        self._skipped = 0


def by_last(updates: Sequence[Any]) -> list[Any]:
    """What is among `updates`, each once, in the order of the last of each."""
    order = list(dict.fromkeys(reversed(updates)))
    order.reverse()
    return order


def each(calls: Iterable[Any]) -> None:
    """Make the calls, and drop what they answer."""
    deque(calls, maxlen=0)


def _cause_size(cause: Cause) -> int:
    """What Kafka counts of a cause beside its fixed parts."""
    headers, topic = cause[0], cause[1]
    size = 0 if topic is None else len(topic)
    return size + sum(len(name) + len(value or b"") for name, value in headers) if headers else size
