"""What a process is set to while it runs a worker: collector, interpreter, allocator and pages.

Rules: settings of the process, not of the worker: they change how long things take and nothing else. Each is put back at
the end, but for what the allocator keeps. What a platform does not have is left alone.
"""

from __future__ import annotations

import ctypes
import gc
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

YOUNG_OBJECTS = 50_000
"""New containers between two collections: several batches, a few MB."""

SHORTEST_TURN_S, LONGEST_TURN_S = 0.0005, 0.005
TURNS_PER_COMMIT = 100
"""How many turns of the interpreter a commit interval has at least, as long as they are not shorter than the shortest."""

_MMAP_THRESHOLD, _TRIM_THRESHOLD = -3, -1
"""Numbers of options in glibc's malloc.h."""

KEPT_BYTES = 32 * 1024**2
"""More than one fetch of a few partitions, and little beside what a worker needs."""


@contextmanager
def tuned(commit_interval_ms: int) -> Iterator[None]:
    """While inside, the process is set for a worker that commits so often."""
    from streams.huge_pages import huge_pages

    with ExitStack() as stack:
        stack.enter_context(seldom_collected())
        stack.enter_context(turns_of(turn_s(commit_interval_ms)))
        keep_freed_memory()
        stack.enter_context(huge_pages())
        yield


@contextmanager
def seldom_collected() -> Iterator[None]:
    """While inside, the cycle collector looks at what a batch left behind, not at each batch while it is being made.

    A batch is thousands of objects that live for a moment and die by their count, and with Python's own threshold of 700
    the collector walks through them several times: half of the time a record takes. Cycles are freed later, no less:
    what was frozen meanwhile is looked at again afterwards, unless the program had frozen something itself.
    """
    before, frozen = gc.get_threshold(), gc.get_freeze_count() > 0
    if frozen:
        gc.collect()  # a run before this one is a cycle, and would be frozen for good
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)
        if not frozen:
            gc.unfreeze()


def turn_s(commit_interval_ms: int) -> float:
    """How long the processing thread may keep the network waiting, and other threads for the interpreter, in seconds.

    Who commits often wants results soon, and several answers are followed by requests until then. Who does not is better
    off with Python's own 5 ms: each turn of the interpreter that is cut short costs two switches of threads and what the
    processor's cache held.
    """
    return min(max(commit_interval_ms / 1000 / TURNS_PER_COMMIT, SHORTEST_TURN_S), LONGEST_TURN_S)


@contextmanager
def turns_of(seconds: float) -> Iterator[None]:
    """While inside, a thread that computes gives the interpreter to one that waits for it after so long."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(seconds)
    try:
        yield
    finally:
        sys.setswitchinterval(before)


def keep_freed_memory() -> bool:
    """Have the allocator keep large blocks that were freed, for the next ones; whether it can be told to.

    A fetch is answered with megabytes. glibc takes such blocks from the kernel and gives them back at once, so that every
    4 KiB of every answer cost a page fault, which is dearer than the copy. Up to KEPT_BYTES at the end of a heap stay
    with the process from now on. Other allocators (macOS, musl) keep them anyway.
    """
    options: Callable[[int, int], int] | None = getattr(ctypes.CDLL(None), "mallopt", None)
    if options is None:
        return False
    return bool(options(_MMAP_THRESHOLD, KEPT_BYTES) and options(_TRIM_THRESHOLD, KEPT_BYTES))
