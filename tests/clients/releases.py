"""Which release of a client was run, as its own package manager says."""

import json
import re
import subprocess
from importlib.metadata import version
from pathlib import Path

from tests.apache_kafka.libraries import libraries
from tests.clients.expected import Expected

HERE = Path(__file__).parent


def release(client: Expected) -> str:
    """The release that is installed; the client's program has run."""
    folder = HERE / client.folder
    if client.kind == "python":
        return version(client.name)
    if client.kind == "npm":
        name = client.name.replace("@platformatic-", "@platformatic/")
        installed = json.loads((folder / "node_modules" / name / "package.json").read_text())
        return str(installed["version"])
    if client.kind == "go":
        return _found(rf"/{client.name} v(\S+)", (folder / "go.mod").read_text())
    if client.kind == "cargo":
        return _found(rf'name = "{client.name}"\nversion = "(\S+)"', (folder / "Cargo.lock").read_text())
    if client.kind == "java":
        return _found(r"kafka-clients-([\d.]+)\.jar", " ".join(path.name for path in libraries().iterdir()))
    said = subprocess.run([client.name, "-V"], capture_output=True, text=True, check=True).stdout
    return _found(r"Version (\S+)", said) + " with librdkafka " + _found(r"librdkafka (\S+)", said)


def _found(pattern: str, text: str) -> str:
    match = re.search(pattern, text)
    assert match, f"{pattern} is not in what was said: {text[:500]}"
    return match[1]
