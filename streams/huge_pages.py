"""Memory in pages of 2 MiB, where Linux can (6.1 and later): what a process has long had is moved there now and then.

State is reached at random, and a processor remembers where a few thousand pages lie: of 4 KiB each that is a few MB. Every
touch elsewhere is looked up in tables in memory first, and on a virtual machine those tables in others. What passes
through buffers is reached in order, so a process without much state is left as it is: moving would cost it, and bring nothing.

Rules: only the process's own memory, and only where nearly all of a huge page is there already, so that a process grows by
an eighth of what is moved at most. Where the administrator has switched huge pages off they stay off. What the kernel
refuses stays as it is: memory may be somebody else's by the time it is to be moved.
"""

from __future__ import annotations

import ctypes
import mmap
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

HUGE, PAGE = 2 * 1024**2, 4096
MOSTLY = HUGE // PAGE * 7 // 8
"""How many of its small pages have to be there before a huge one takes their place."""
FIRST_LOOK_S, SELDOM_S = 4.0, 60.0
"""A process grows most at first, so each look comes after twice the time of the one before, up to the latter; but not while
it restores, which fills memory once and leaves it."""
STATE_BYTES = 128 * 1024**2
"""What it has to have grown by since its start to be moved at all. Buffers are half of that, in any worker."""
GROWN_BYTES = 8 * 1024**2
"""What it has to have grown by since it was moved last."""
REST_S = 0.01
"""Between two pages: while one is moved, for a millisecond or so, the other threads wait if they touch memory that is new."""

_MADV_COLLAPSE = 25
_SWITCH = Path("/sys/kernel/mm/transparent_hugepage/enabled")
_MAPS, _SIZES = Path("/proc/self/maps"), Path("/proc/self/statm")


@contextmanager
def huge_pages() -> Iterator[None]:
    """While inside, a thread looks now and then for memory to move; where that cannot be, nothing happens."""
    if not available():
        yield
        return
    ended = threading.Event()
    thread = threading.Thread(target=look_again, args=(ended.wait,), name="huge-pages", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def available() -> bool:
    """Whether this system has huge pages of the usual size, and is not told to leave them."""
    return (
        sys.platform == "linux" and mmap.PAGESIZE == PAGE and _SWITCH.exists() and "[never]" not in _SWITCH.read_text()
    )


def look_again(wait: Callable[[float], object]) -> None:
    """Look now and then whether there is enough to be moved, until `wait`, given seconds, returns something true."""
    pause_s, enough = FIRST_LOOK_S, _resident_bytes() + STATE_BYTES
    while not wait(pause_s):
        pause_s = min(2 * pause_s, SELDOM_S)
        if (size := _resident_bytes()) >= enough:
            move_to_huge_pages(wait)
            enough = size + GROWN_BYTES


def move_to_huge_pages(rest: Callable[[float], object] = time.sleep) -> int:
    """Move what nearly fills huge pages into such, where it is not; how many there are.

    After each it rests for REST_S seconds, and ends early when that gives something true.
    """
    libc = ctypes.CDLL(None)
    there = (ctypes.c_ubyte * (HUGE // PAGE))()
    moved: int = 0
    for begin, end in _own_memory():
        for at in range(-(-begin // HUGE) * HUGE, end - HUGE + 1, HUGE):
            address, length = ctypes.c_void_p(at), ctypes.c_size_t(HUGE)
            if libc.mincore(address, length, there) == 0 and bytes(there).count(1) >= MOSTLY:
                moved += libc.madvise(address, length, _MADV_COLLAPSE) == 0
                if rest(REST_S):
                    return moved
    return moved


def _resident_bytes() -> int:
    return int(_SIZES.read_text().split()[1]) * PAGE


def _own_memory() -> Iterator[tuple[int, int]]:
    """Where memory lies that is writable, this process's alone, and of no file: addresses from and to."""
    for line in _MAPS.read_text().splitlines():
        addresses, rights, _, _, _, *name = line.split(maxsplit=5)
        if rights == "rw-p" and (not name or name[0] == "[heap]"):
            begin, end = addresses.split("-")
            yield int(begin, 16), int(end, 16)
