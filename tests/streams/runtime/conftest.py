"""A broker whose groups may have short sessions, so that the death of a member shows soon."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pytest


@pytest.fixture(scope="module")
def broker_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of the bundled broker, a process of its own on a free port."""
    data_dir = tmp_path_factory.mktemp("broker")
    settings = ["--set", "group.min.session.timeout.ms=500"]
    command = [sys.executable, "-P", "-m", "broker", "--data-dir", str(data_dir), "--listen", "127.0.0.1:0", *settings]
    with (
        (data_dir.parent / "broker.log").open("w") as log,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True) as process,
    ):
        try:
            line = process.stdout.readline()
            assert line.startswith("ready on "), f"the broker did not start: {line!r}"
            yield f"kafka://{line.removeprefix('ready on ').strip()}"
        finally:
            process.terminate()
