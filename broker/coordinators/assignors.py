"""Who reads what in a consumer group: the two assignors of the broker, as pure functions.

Both go from each member's topics, and each topic's number of partitions, to each member's partitions. `uniform` gives every
member as many partitions as any other, as far as subscriptions allow, and moves as few as it can; `range` gives each member
a run of every topic's partitions, the same run in topics of the same size, so that they can be joined.
Must not know epochs, records or members beyond their ids.
"""

from collections.abc import Callable, Mapping

from broker.errors import BrokerError, ErrorCode

Partition = tuple[str, int]
Assignment = dict[str, set[Partition]]
"""Member id -> (topic, partition)."""


def uniform(subscriptions: Mapping[str, frozenset[str]], sizes: Mapping[str, int], now: Assignment) -> Assignment:
    """As even as subscriptions allow, starting from what each member has now."""
    readers = _readers(subscriptions, sizes)
    assigned: Assignment = {member: set() for member in sorted(subscriptions)}
    free = {(topic, index) for topic, members in readers.items() if members for index in range(sizes[topic])}
    for member, partitions in sorted(now.items()):
        kept = {p for p in partitions if p in free and member in readers.get(p[0], ())}
        assigned.setdefault(member, set()).update(kept)
        free -= kept
    for partition in sorted(free):
        lightest = min(readers[partition[0]], key=lambda member: len(assigned[member]))
        assigned[lightest].add(partition)
    _even_out(assigned, readers, above_average=True)
    while _even_out(assigned, readers):
        pass
    return {member: assigned[member] for member in subscriptions}


def _readers(subscriptions: Mapping[str, frozenset[str]], sizes: Mapping[str, int]) -> dict[str, list[str]]:
    readers: dict[str, list[str]] = {topic: [] for topic in sizes}
    for member in sorted(subscriptions):
        for topic in subscriptions[member]:
            if topic in readers:
                readers[topic].append(member)
    return readers


def _even_out(assigned: Assignment, readers: Mapping[str, list[str]], *, above_average: bool = False) -> bool:
    """Move partitions from members that have at least two more than another reader; whether any was moved.

    With `above_average` only what a member has beyond its share moves, so that nobody gives away what it would get back.
    """
    moved = False
    for member in sorted(assigned, key=lambda name: -len(assigned[name])):
        for partition in sorted(assigned[member], reverse=True):
            others = readers[partition[0]]
            if above_average and len(assigned[member]) * len(others) <= sum(len(assigned[name]) for name in others):
                continue
            lightest = min(others, key=lambda name: len(assigned[name]))
            if len(assigned[member]) - len(assigned[lightest]) >= 2:
                assigned[member].remove(partition)
                assigned[lightest].add(partition)
                moved = True
    return moved


def by_range(subscriptions: Mapping[str, frozenset[str]], sizes: Mapping[str, int], now: Assignment) -> Assignment:
    """Runs of partitions in the order of member ids, the first members one longer where it does not come out even."""
    del now
    assigned: Assignment = {member: set() for member in subscriptions}
    for topic, members in _readers(subscriptions, sizes).items():
        start = 0
        for position, member in enumerate(members):
            count = sizes[topic] // len(members) + (position < sizes[topic] % len(members))
            assigned[member].update((topic, index) for index in range(start, start + count))
            start += count
    return assigned


Assignor = Callable[[Mapping[str, frozenset[str]], Mapping[str, int], Assignment], Assignment]
ASSIGNORS: dict[str, Assignor] = {"uniform": uniform, "range": by_range}
DEFAULT_ASSIGNOR = "uniform"


def check_assignor(name: str | None) -> None:
    """Raises: BrokerError with UNSUPPORTED_ASSIGNOR for a name no assignor has."""
    if name is not None and name not in ASSIGNORS:
        raise BrokerError(
            ErrorCode.UNSUPPORTED_ASSIGNOR,
            f"ServerAssignor {name} is not supported. Supported assignors: {', '.join(sorted(ASSIGNORS))}.",
        )
