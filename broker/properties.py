"""A server.properties of Apache Kafka, read as settings of this broker; a file of one's own has the same form.

What has no meaning here is named and left out, so that a file can serve both. Of several listeners the first is taken that
clients may use without encryption or a login, else the first for clients, with the settings that are for it alone; a file
that has none, or data in several folders, is refused rather than half obeyed.
"""

import logging
import re
from collections.abc import Mapping
from pathlib import Path

from broker.config import PROTOCOLS, SETTINGS
from broker.errors import ConfigError, nearest

logger = logging.getLogger(__name__)

LISTENERS, ADVERTISED, DIRECTORIES = "listeners", "advertised.listeners", "log.dirs"
OF_A_LISTENER = "listener.name."
"""How a setting begins that is for one listener: its name in small letters, a dot and the setting follow."""
MINUTE_MS, HOUR_MS = 60_000, 3_600_000
COARSER = {
    "log.retention.ms": (("log.retention.minutes", MINUTE_MS), ("log.retention.hours", HOUR_MS)),
    "log.roll.ms": (("log.roll.hours", HOUR_MS),),
}
"""Setting in ms -> Kafka's names of it in coarser units, the finer first, with their unit."""
OLDER = {"broker.id": "node.id", "log.dir": DIRECTORIES}
"""Older names, which count where the newer is not given."""
READ_BY_LISTENERS = frozenset({"controller.listener.names", "listener.security.protocol.map", "process.roles"})
NEAR = 0.94
"""How like a known name an unknown one must be to pass for a typing error of it; Kafka has names that are alike."""


def read_properties(path: Path) -> dict[str, str]:
    """Name -> text of a properties file: `name=value` lines, # and ! start comments, a final backslash continues."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"cannot read properties file {path}: {error.strerror}") from error
    values = {}
    for number, line in enumerate(re.sub(r"\\\n[ \t]*", "", text).splitlines(), 1):
        stripped = line.strip()
        if not stripped or stripped[0] in "#!":
            continue
        name, separator, value = stripped.partition("=")
        if not separator or not name.strip():
            raise ConfigError(f"{path}, line {number}: expected name=value, found {stripped!r}")
        values[name.strip()] = value.strip()
    return values


def from_kafka(values: Mapping[str, str]) -> dict[str, str]:
    """The settings among `values`; a warning names the others. Raises: ConfigError."""
    given = dict(values)
    for older, newer in OLDER.items():
        if older in given:
            given.setdefault(newer, given[older])
            del given[older]
    for name, coarser in COARSER.items():
        _refine(given, name, coarser)
    listeners = _Listeners(given)
    for name in (LISTENERS, ADVERTISED):
        if name in given:
            given[name] = listeners.address(name, given[name])
    _take_own_settings(given, listeners.served)
    if "," in given.get(DIRECTORIES, ""):
        raise ConfigError(
            f"{DIRECTORIES} names several folders, {given[DIRECTORIES]}; this broker keeps its data in one"
        )
    _tell_ignored(given)
    return {name: value for name, value in given.items() if name in SETTINGS}


def _refine(given: dict[str, str], name: str, coarser: tuple[tuple[str, int], ...]) -> None:
    """Take `name` from the finest unit that is given."""
    for other, unit in coarser:
        text = given.pop(other, None)
        if text is None or name in given:
            continue
        if not re.fullmatch(r"-?\d+", text):
            raise ConfigError(f"{other} must be a number, not {text!r}")
        given[name] = str(int(text) * unit if int(text) >= 0 else -1)


class _Listeners:
    """What a file says of listeners' names: which are controllers', and what each speaks. `served` is whom clients reach."""

    def __init__(self, given: Mapping[str, str]) -> None:
        pairs = (pair.partition(":") for pair in _names(given.get("listener.security.protocol.map", "")))
        self._protocols = {name: protocol for name, _, protocol in pairs}
        self._controllers = frozenset(_names(given.get("controller.listener.names", "")))
        self.served = self._of_clients(given.get(LISTENERS, ""))

    def _of_clients(self, listeners: str) -> str:
        """The name of the one of several that is served, "" for one without a name. Raises: ConfigError."""
        named = [_listener_name(url) for url in _names(listeners)]
        for_clients = [name for name in named if name not in self._controllers]
        if named and not for_clients:
            raise ConfigError(f"{LISTENERS} has none for clients, only those of controllers: {listeners}")
        plain = [name for name in for_clients if self._protocol(name) == PROTOCOLS[0]]
        return next(iter(plain or for_clients), "")

    def _protocol(self, name: str) -> str:
        """What a listener of that name speaks: a protocol's name is one, unless the map says otherwise."""
        return self._protocols.get(name, name or PROTOCOLS[0])

    def address(self, setting: str, text: str) -> str:
        """The address in `text` that is served, with its protocol in the place of its name."""
        urls = _names(text)
        url = next((url for url in urls if _listener_name(url) == self.served), None)
        if url is None:
            url = next((url for url in urls if not _listener_name(url)), "")
        if sum(_listener_name(other) not in self._controllers for other in urls) > 1:
            logger.warning("of %s only %s is served: %s", setting, url, text)
        name, separator, address = url.rpartition("://")
        return f"{self._protocol(name)}://{address}" if separator else url


def _take_own_settings(given: dict[str, str], served: str) -> None:
    """Settings for one listener alone go before those for all, if it is the one that is served."""
    for name in [name for name in given if name.startswith(OF_A_LISTENER)]:
        listener, _, setting = name.removeprefix(OF_A_LISTENER).partition(".")
        if setting in SETTINGS and listener == served.lower():
            given[setting] = given.pop(name)
        elif listener != served.lower():
            del given[name]


def _listener_name(url: str) -> str:
    name, separator, _ = url.partition("://")
    return name if separator else ""


def _names(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _tell_ignored(given: Mapping[str, str]) -> None:
    unknown = sorted(given.keys() - SETTINGS.keys() - READ_BY_LISTENERS)
    if unknown:
        logger.warning("settings without meaning here are ignored: %s", ", ".join(map(_with_suggestion, unknown)))


def _with_suggestion(name: str) -> str:
    known = (*SETTINGS, *(other for pairs in COARSER.values() for other, _ in pairs))
    meant = nearest(name, known, NEAR)
    return name if meant is None else f"{name} (did you mean {meant}?)"
