"""What becomes of a store that cannot be opened."""

import pytest

from state import StateError, StoreKind
from state.errors import StateDiskFull
from state.memory import MemoryEngine


class Full(MemoryEngine):
    """On a disk that takes no more: RocksDB says why at the first write only, and fails to close after that."""

    def write(self, changes, *, metadata=None, dropped=()):
        raise StateDiskFull("here", "No space left on device")

    def close(self):
        raise StateError("IO error: Writer has previous error.")


def test_what_went_wrong_first_is_told(bench):
    """The note of how the store is written does not fit on the disk: that is said, and not that it cannot be closed either."""
    spec = bench.spec(StoreKind.KEY_VALUE, engine=lambda name, _path: Full(name))
    with pytest.raises(StateDiskFull, match="No space left"):
        bench.open(spec, directory=bench.task())
