"""The machine a run was made on, and how fast it was at that moment.

Rules: machines are shared and differ, so every run carries the time of one fixed loop made beside it; figures of two
runs compare only after division by it.
"""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import sysconfig
import time
from collections.abc import Mapping
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

_PACKAGES = ("aiokafka", "crc32c", "kio", "msgspec", "rocksdict")
_ROOT = Path(__file__).parent.parent
_IDENTITY = ("cpu", "cores", "memory_gb", "platform", "python")


def calibration_ns(times: int = 5) -> float:
    """CPU time per turn of a fixed loop (a dictionary, some arithmetic, some bytes), the best of some times, in ns."""
    return min(_turn_ns(200_000) for _ in range(times))


def _turn_ns(turns: int) -> float:
    counts: dict[int, int] = {}
    text = b""
    begun = time.process_time_ns()
    for turn in range(turns):
        key = turn * 7919 % 1009
        counts[key] = counts.get(key, 0) + turn
        text = b"%d" % key
    spent = time.process_time_ns() - begun
    assert text
    return spent / turns


def describe() -> dict[str, Any]:
    """What a reader of the figures must know of the machine and the code."""
    return {
        "python": f"{platform.python_version()} ({_build()})",
        "platform": platform.platform(),
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1024**3),
        "commit": _commit(),
        "packages": {name: _version(name) for name in _PACKAGES},
        "calibration_ns": round(calibration_ns(), 1),
    }


def difference(one: Mapping[str, Any], other: Mapping[str, Any]) -> str:
    """In what two machines differ, by what `describe` said of them; empty when they are alike."""
    return ", ".join(
        f"{name} {one.get(name, 'unknown')} instead of {other.get(name, 'unknown')}"
        for name in _IDENTITY
        if one.get(name) != other.get(name)
    )


def _build() -> str:
    """Whose interpreter it is and how it was compiled: one compiled plainly takes a sixth more time for the same.

    Those that distributions, containers and installers bring are optimized; not all say so in what is asked here.
    """
    said = [platform.python_compiler()]
    if sys.base_prefix == "/usr":
        with suppress(OSError):
            said.insert(0, f"of {platform.freedesktop_os_release()['PRETTY_NAME']}")
    arguments = sysconfig.get_config_var("CONFIG_ARGS") or ""
    said += [name for name, flag in (("PGO", "--enable-optimizations"), ("LTO", "--with-lto")) if flag in arguments]
    return ", ".join(said)


def _cpu() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        name, _, text = line.partition(":")
        if name.strip() == "model name":
            return text.strip()
    return platform.machine()


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def _commit() -> str:
    """The commit that is measured; results and pages made from them do not count as changes of it."""
    code = [".", *(f":(exclude){folder}" for folder in ("benchmarks/results", "docs"))]
    try:
        head = _git("rev-parse", "--short", "HEAD")
        changed = _git("status", "--porcelain", "--untracked-files=no", "--", *code)
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return f"{head}-dirty" if changed else head


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=_ROOT, capture_output=True, text=True, check=True)
    return done.stdout.strip()
