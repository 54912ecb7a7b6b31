"""Names and addresses that settings give: of the application, its broker, and where a worker is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from streams.errors import ConfigError

EMBEDDED = "embedded://"
KAFKA = "kafka://"


def check_place(values: Mapping[str, Any]) -> None:
    """What a worker says of where it is."""
    if server := values.get("application_server"):
        host, _, port = server.rpartition(":")
        if not host or not port.isdigit() or not 0 < int(port) < 65_536:
            raise ConfigError(f"application_server: expected host:port, got {server!r}")
    tags = values.get("client_tags", {})
    for name in filter(None, map(str.strip, values.get("rack_aware_assignment_tags", "").split(","))):
        if name not in tags:
            raise ConfigError(
                f"rack_aware_assignment_tags: this worker has no tag {name!r} in client_tags ({', '.join(tags) or 'none'})"
            )


def broker_address(text: str) -> str:
    """A broker address in the form embedded://DIR or kafka://host:port[,...]."""
    if text.startswith(EMBEDDED) and len(text) > len(EMBEDDED):
        return text
    if text.startswith(KAFKA):
        return KAFKA + ",".join(_host_and_port(each) for each in text.removeprefix(KAFKA).split(","))
    raise ConfigError(f"broker: expected kafka://host:port or embedded://DIR, got {text!r}")


def _host_and_port(text: str) -> str:
    host, colon, port = text.strip().rpartition(":")
    if not colon:
        host, port = text.strip(), "9092"
    if not host or not port.isdigit() or not 0 < int(port) < 65_536:
        raise ConfigError(f"broker: expected kafka://host:port, got {text!r}")
    return f"{host}:{port}"


def check_application_id(name: str) -> None:
    """It becomes part of topic names and of paths."""
    if not isinstance(name, str):
        raise ConfigError(f'the name of an application: expected text, as in App("taxi"), got {name!r}')
    if not name or len(name) > 200 or not all(each.isascii() and (each.isalnum() or each in "._-") for each in name):
        raise ConfigError(
            f"the name of an application may have letters, digits, '.', '_' and '-' (at most 200): it becomes part of "
            f"topic names; got {name!r}"
        )
