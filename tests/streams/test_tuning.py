"""What a process is set to for a run, and that it is left as it was."""

from __future__ import annotations

import gc
import platform
import resource
import subprocess
import sys
import weakref

import pytest

from streams.tuning import YOUNG_OBJECTS, seldom_collected, turn_s, turns_of


def test_the_collector_is_left_as_it_was_found() -> None:
    """Fewer collections while running; the program's own thresholds afterwards."""
    before = gc.get_threshold()
    with seldom_collected():
        assert gc.get_threshold() == (YOUNG_OBJECTS, *before[1:])
    assert gc.get_threshold() == before


class Link:
    """What holds itself, as the parts of a worker hold each other."""

    def __init__(self) -> None:
        self.itself = self


@pytest.mark.parametrize("frozen", [False, True])
def test_what_a_run_has_left_is_freed(frozen: bool) -> None:
    """A run that is over lies in cycles when the next one begins: each would stay for good, also in a program that froze."""
    if frozen:
        gc.freeze()
    try:
        left = weakref.ref(Link())
        with seldom_collected():
            pass
        gc.collect()
        assert left() is None
        assert (gc.get_freeze_count() > 0) == frozen
    finally:
        gc.unfreeze()


BLOCKS = """
import resource, sys
from streams.tuning import keep_freed_memory
assert sys.argv[1] != "kept" or keep_freed_memory()
def three(): return [bytearray(9 << 20) for _ in range(3)]
three()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(10):
    three()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""
PAGES = 3 * (9 << 20) // resource.getpagesize()


def test_turns_are_left_as_they_were_found() -> None:
    """While an application runs threads take its turns; whoever started it has theirs again, also after an error."""
    before = sys.getswitchinterval()
    with pytest.raises(KeyError), turns_of(0.0007):
        assert sys.getswitchinterval() == pytest.approx(0.0007)
        raise KeyError
    assert sys.getswitchinterval() == before


@pytest.mark.parametrize(
    ("commit_interval_ms", "seconds"), [(0, 0.0005), (10, 0.0005), (100, 0.001), (500, 0.005), (30_000, 0.005)]
)
def test_who_commits_often_takes_short_turns(commit_interval_ms: int, seconds: float) -> None:
    """A hundredth of the commit interval, within half a millisecond and the five that are Python's own."""
    assert turn_s(commit_interval_ms) == pytest.approx(seconds)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc gives large blocks back at once")
def test_large_blocks_are_not_taken_from_the_kernel_again_and_again() -> None:
    """Three blocks of 9 MB, ten times over: each time all pages are new, unless the allocator keeps them."""
    faults = {}
    for mode in ("kept", "as it is"):
        command = [sys.executable, "-c", BLOCKS, mode]
        faults[mode] = int(subprocess.run(command, capture_output=True, check=True, text=True).stdout)
    assert faults["kept"] < PAGES
    assert faults["kept"] < faults["as it is"] / 5 or faults["as it is"] < PAGES  # with huge pages there are few anyway
