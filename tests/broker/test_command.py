"""The command line of the broker."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from broker.command import main
from broker.credentials import is_password
from tests.broker.process import BrokerProcess
from tests.broker.secured import add_user


def test_the_help_names_the_check_of_a_directory(capsys):
    """What verifies a data directory is found where one looks for it."""
    with pytest.raises(SystemExit) as end:
        main(["--help"])
    assert end.value.code == 0
    assert "streams broker check DIR" in capsys.readouterr().out


def test_a_user_is_added(tmp_path: Path) -> None:
    """To a directory that is made for it, and again with another password; the password itself is not kept."""
    for password in ("secret", "hidden"):
        said = add_user(tmp_path / "data", "ann", password)
        assert (said.returncode, said.stdout) == (0, "ann may log in, by PLAIN and SCRAM\n"), said.stderr
        text = (tmp_path / "data" / "dynamic.json").read_text()
        assert password not in text
        assert is_password(password, json.loads(text)["credentials"]["ann"])


@pytest.mark.parametrize(("name", "password"), [("", "secret"), ("ann", "")])
def test_a_user_has_a_name_and_a_password(tmp_path: Path, name: str, password: str) -> None:
    """Neither may be empty, and nothing is made then."""
    said = add_user(tmp_path / "data", name, password)
    assert said.returncode == 2
    assert "must be text of at least one character" in said.stderr
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("password", [b"hid\0den\n", b"hid\xffden\n"])
def test_a_password_that_cannot_be_one_is_not_shown(tmp_path: Path, password: bytes) -> None:
    """Neither as a whole nor a part of it; what is no text is told as shortly as what has a NUL."""
    command = [sys.executable, "-m", "broker", "add-user", str(tmp_path / "data"), "ann"]
    said = subprocess.run(command, input=password, capture_output=True, check=False)
    assert said.returncode == 2
    assert said.stderr.startswith(b"broker: a password must be text")
    assert b"hid" not in said.stderr + said.stdout
    assert not (tmp_path / "data").exists()


@pytest.mark.broker
def test_users_of_a_directory_in_use(tmp_path: Path) -> None:
    """The broker would not see what is written beside it: the process that holds the directory is named."""
    broker = BrokerProcess(tmp_path / "data").start()
    said = add_user(tmp_path / "data", "ann", "secret")
    broker.stop()
    assert said.returncode == 2
    assert "is in use by process" in said.stderr
