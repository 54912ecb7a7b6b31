"""A disk that takes no more: producers are told to retry, readers are served, and room makes it go on."""

import resource
import signal
from collections.abc import Callable, Iterator

import pytest

from broker.errors import BrokerError, ErrorCode
from broker.log.partition_log import PartitionLog

from .conftest import NOW_MS, batch, values_from


@pytest.fixture
def full_disk() -> Iterator[Callable[[int], None]]:
    """Limits how large a file may grow, as a full disk does: writes stop half-way, then fail."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    yield lambda size: resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
    signal.signal(signal.SIGXFSZ, handler)


def test_half_written_batches_are_taken_back(
    make_log: Callable[..., PartitionLog], full_disk: Callable[[int], None]
) -> None:
    """The batch that does not fit is refused with a retriable error and leaves no trace; later it fits."""
    log = make_log()
    log.append(batch("a", producer=(1, 0, 0)), now_ms=NOW_MS)
    whole = log.size
    full_disk(whole + 30)
    with pytest.raises(BrokerError) as caught:
        log.append(batch("b", producer=(1, 0, 1)), now_ms=NOW_MS)
    assert caught.value.code is ErrorCode.KAFKA_STORAGE_ERROR
    assert caught.value.code.retriable
    assert (log.size, log.segments.active.path.stat().st_size) == (whole, whole)
    assert values_from(log) == ["a"]
    full_disk(1 << 30)
    log.append(batch("b", producer=(1, 0, 1)), now_ms=NOW_MS)
    assert values_from(log) == ["a", "b"]
