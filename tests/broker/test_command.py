"""The command line of the broker."""

import pytest

from broker.command import main


def test_the_help_names_the_check_of_a_directory(capsys):
    """What verifies a data directory is found where one looks for it."""
    with pytest.raises(SystemExit) as end:
        main(["--help"])
    assert end.value.code == 0
    assert "streams broker check DIR" in capsys.readouterr().out
