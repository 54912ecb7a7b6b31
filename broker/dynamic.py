"""What administrators changed while the broker ran: settings, quotas, credentials; kept in one file.

The file (`dynamic.json` in the data directory) is replaced atomically at every change, and its owner alone may read it:
who has what SCRAM keeps of a password can try passwords on it, or pass for the broker. Must not know requests, nor what a
setting does, nor who obeys a quota.
"""

import json
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from broker.errors import CorruptLog
from broker.log.checkpoints import PRIVATE_MODE, write_atomically

FILE_NAME = "dynamic.json"
VERSION = 1

Entity = frozenset[tuple[str, str | None]]
"""Whom a quota is for: (type, name) pairs, with None for the default of a type."""


class Dynamic:
    """All dynamic settings of one data directory.

    `brokers` maps a node id as text, or "" for all, and `groups` a group id, to settings by Kafka's names;
    `credentials` a user to what SCRAM keeps of each mechanism.
    """

    def __init__(self, directory: Path) -> None:
        self._path = directory / FILE_NAME
        self.brokers: dict[str, dict[str, str]] = {}
        self.groups: dict[str, dict[str, str]] = {}
        self.quotas: dict[Entity, dict[str, float]] = {}
        self.credentials: dict[str, dict[str, dict[str, Any]]] = {}

    def open(self) -> None:
        """Read the file, if there is one. Raises: CorruptLog."""
        try:
            self._keep_private()
            stored = json.loads(self._path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return
        except ValueError as error:
            raise CorruptLog(f"{self._path} is not readable ({error}); restore it from a backup") from error
        if stored.get("version") != VERSION:
            raise CorruptLog(
                f"{self._path} has version {stored.get('version')}, this broker knows {VERSION}; use a newer broker"
            )
        self.brokers, self.groups = stored["brokers"], stored["groups"]
        self.credentials = stored.get("credentials", {})
        self.quotas = {frozenset((kind, name) for kind, name in entry[0]): entry[1] for entry in stored["quotas"]}

    def _keep_private(self) -> None:
        """One that was written by an older version, or copied, may have been for everybody. Raises: FileNotFoundError."""
        if self._path.stat().st_mode & ~PRIVATE_MODE & 0o777:
            with suppress(PermissionError):  # it is somebody else's, and replaced with the first change
                self._path.chmod(PRIVATE_MODE)

    def write(self) -> None:
        """Keep what was changed."""
        stored: dict[str, Any] = {
            "version": VERSION,
            "brokers": self.brokers,
            "groups": self.groups,
            "credentials": self.credentials,
            "quotas": [
                [sorted(entity, key=lambda pair: pair[0]), values] for entity, values in self.quotas.items() if values
            ],
        }
        write_atomically(self._path, json.dumps(stored, indent=1), private=True)

    def settings_of(self, node_id: int) -> dict[str, str]:
        """What counts for a broker: the settings for all, and over them its own."""
        return {**self.brokers.get("", {}), **self.brokers.get(str(node_id), {})}

    def alter_quota(self, entity: Entity, values: Mapping[str, float], removed: frozenset[str]) -> None:
        """Set and remove limits of one entity."""
        kept = {key: value for key, value in self.quotas.get(entity, {}).items() if key not in removed}
        self.quotas[entity] = {**kept, **values}
        if not self.quotas[entity]:
            del self.quotas[entity]
