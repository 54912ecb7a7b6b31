"""What is not ours to fail for: kafka-python warns about itself on import and leaves sockets to the garbage collector."""

import gc
import warnings
from collections.abc import Iterator

import pytest

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    import kafka
    import kafka.admin

assert kafka.admin


@pytest.fixture(autouse=True)
def swept_sockets() -> Iterator[None]:
    """Collects what a client left open, here and not in some later test."""
    yield
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()
