"""Memory moved to huge pages: what is there moves, what is not stays away."""

import ctypes
import mmap
import threading
from pathlib import Path

import pytest

from streams.huge_pages import HUGE, REST_S, STATE_BYTES, available, huge_pages, look_again, move_to_huge_pages

pytestmark = pytest.mark.skipif(not available(), reason="this system has no huge pages, or is told to leave them")

PIECES = 4


def _memory() -> tuple[mmap.mmap, int]:
    """Memory for PIECES huge pages and some more, and where in it the first begins."""
    memory = mmap.mmap(-1, (PIECES + 1) * HUGE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    address = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    return memory, -address % HUGE


def _rolled_up(name: str) -> int:
    """Bytes of this process of one kind, as the kernel counts them."""
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(name))


def test_what_is_there_is_moved_and_keeps_its_content() -> None:
    """Memory in small pages, all of it used, lies in huge pages afterwards, byte by byte as before."""
    memory, first = _memory()
    content = bytes(range(256)) * (HUGE // 256)
    for piece in range(PIECES):
        memory[first + piece * HUGE : first + (piece + 1) * HUGE] = content
    if not move_to_huge_pages():
        pytest.skip("this kernel moves nothing on demand")
    assert _rolled_up("AnonHugePages") >= PIECES * HUGE
    for piece in range(PIECES):
        assert memory[first + piece * HUGE : first + (piece + 1) * HUGE] == content


def test_what_is_hardly_used_stays_small() -> None:
    """Of a large mapping with a page in use here and there nothing is moved: the process does not grow."""
    move_to_huge_pages()  # what else there is
    memory, first = _memory()
    for piece in range(PIECES):
        memory[first + piece * HUGE] = 1
    before = _rolled_up("AnonHugePages")
    move_to_huge_pages()
    assert _rolled_up("AnonHugePages") < before + HUGE


def test_who_ends_it_is_not_kept_waiting() -> None:
    """It rests after each page, and leaves the others as they are when it is told to end meanwhile."""
    rests: list[float] = []

    def rest(seconds: float) -> bool:
        rests.append(seconds)
        return True

    memory, first = _memory()
    memory[first : first + PIECES * HUGE] = bytes(PIECES * HUGE)
    assert move_to_huge_pages(rest) <= 1
    assert rests == [REST_S]


@pytest.mark.parametrize("grown, moved", [(STATE_BYTES // 4, False), (STATE_BYTES + 4 * HUGE, True)])
def test_a_process_without_much_state_is_left_as_it_is(grown: int, moved: bool) -> None:
    """Buffers alone are not moved, whatever else the process has; once it has grown by enough, it is."""
    if not move_to_huge_pages():  # what else there is
        pytest.skip("this kernel moves nothing on demand")
    memory = mmap.mmap(-1, grown, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    memory.madvise(mmap.MADV_NOHUGEPAGE)
    before = _rolled_up("AnonHugePages")
    looks: list[float] = []

    def wait(seconds: float) -> bool:
        if seconds == REST_S:
            return False
        looks.append(seconds)
        if len(looks) == 1:
            memory[:] = bytes(grown)
            memory.madvise(mmap.MADV_HUGEPAGE)
        return len(looks) == 2

    look_again(wait)
    assert (_rolled_up("AnonHugePages") >= before + grown // 2) is moved


def test_the_thread_ends_with_its_block() -> None:
    """Whoever leaves the block waits for the thread and is not kept waiting for its next look."""
    with huge_pages():
        assert "huge-pages" in {thread.name for thread in threading.enumerate()}
    assert "huge-pages" not in {thread.name for thread in threading.enumerate()}
