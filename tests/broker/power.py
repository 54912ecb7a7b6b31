"""Power failures: what is left of a data directory when everything that was not synced may be gone.

`powered.py` wrote down what the disk had promised. Of the rest, which lay in memory, a real disk has written some: names
that were made, moved or removed since their directory was synced, and sectors of files, in any order, with zeros where
nothing was written. `Failure` draws one of these outcomes; without dice it is the worst of them, where nothing was.
"""

import json
import random
import shutil
import sys
from collections import Counter
from pathlib import Path

from tests.broker.powered import CONTENTS, JOURNAL, key_of, names_of
from tests.broker.process import BrokerProcess

SECTOR_BYTES = 512
WORST_SHARE = 0.4
Names = dict[str, str]


class PoweredBroker(BrokerProcess):
    """A broker that loses power when it is killed, and also after it was stopped: a clean stop must be safe."""

    def __init__(self, data_dir: Path, *arguments: str, seed: int = 0) -> None:
        super().__init__(data_dir, *arguments)
        self.shadow = data_dir.with_name("shadow")
        self.random = random.Random(seed)
        self.worst: bool | None = None  # every time, never, or as the dice fall
        self.plug_in()

    def plug_in(self, call: str = "-", number: int = 0) -> None:
        """The next start is watched, and dies in a call to the file system if one is named."""
        self.command = (sys.executable, "-m", "tests.broker.powered", str(self.shadow), call, str(number))

    def _gone(self) -> int:
        code = super()._gone()
        if self.shadow.exists():
            worst = self.random.random() < WORST_SHARE if self.worst is None else self.worst
            Failure(self.data_dir, self.shadow, None if worst else self.random).apply()
            shutil.rmtree(self.shadow)
        return code


class Failure:
    """One power failure; without dice everything is lost that can be."""

    def __init__(self, data_dir: Path, shadow: Path, dice: random.Random | None) -> None:
        self._data_dir = data_dir
        self._contents = shadow / CONTENTS
        self._dice = dice
        self._safe: dict[str, Names] = {}
        self._present: dict[str, Path] = {}
        self._names: dict[str, Names] = {}
        self._reused: Counter[int] = Counter()
        for what, key, value in map(json.loads, (shadow / JOURNAL).read_text().splitlines()):
            if what == "names":
                self._safe[key] = value
            else:
                self._reused[key] += 1

    def apply(self) -> None:
        """Put in the data directory's place what is left of it; the directory as it was stays beside it."""
        before = self._data_dir.with_name(self._data_dir.name + ".before")
        shutil.rmtree(before, ignore_errors=True)
        self._data_dir.rename(before)
        self._look(before)
        self._build(key_of(before.stat(), self._reused), self._data_dir)

    def _look(self, directory: Path) -> None:
        key = key_of(directory.stat(), self._reused)
        self._names[key] = names_of(directory, self._reused)
        for name, entry in self._names[key].items():
            self._present[entry] = directory / name
            if entry.startswith("d"):
                self._look(directory / name)

    def _build(self, key: str, target: Path) -> None:
        target.mkdir()
        for name, entry in self._left(self._safe.get(key, {}), self._names.get(key, {})).items():
            if entry.startswith("d"):
                self._build(entry, target / name)
            else:
                (target / name).write_bytes(self._bytes(entry))

    def _left(self, safe: Names, present: Names) -> Names:
        """Each name as it was synced or as it was last; what was renamed is found under one of its names."""
        if self._dice is None:
            return safe
        left = {}
        for name in sorted(safe | present):
            entry = self._dice.choice((safe, present)).get(name)
            if entry is not None:
                left[name] = entry
        for name, entry in safe.items():
            if entry not in present.values() or present.get(name) == entry:
                continue
            holders = [holder for holder, held in left.items() if held == entry]
            for holder in holders[1:]:
                del left[holder]
            if not holders:
                left.setdefault(name, entry)
        return left

    def _bytes(self, entry: str) -> bytes:
        stored, path = self._contents / entry, self._present.get(entry)
        safe = stored.read_bytes() if stored.exists() else b""
        if self._dice is None or path is None:
            return safe
        return mixed(safe, path.read_bytes(), self._dice)


def mixed(safe: bytes, last: bytes, dice: random.Random) -> bytes:
    """Some sectors as they were last, the others as they were synced, or zero where nothing was; any length between."""
    shorter, longer = sorted((len(safe), len(last)))
    size = dice.choice((len(safe), len(last), dice.randint(shorter, longer)))
    share = dice.choice((0.0, 0.5, 0.9, 1.0))
    old, new = safe.ljust(size, b"\0"), last.ljust(size, b"\0")
    parts = []
    for start in range(0, size, SECTOR_BYTES):
        source = new if dice.random() < share else old
        parts.append(source[start : min(start + SECTOR_BYTES, size)])
    return b"".join(parts)
