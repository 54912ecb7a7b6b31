"""The file of what administrators changed: who may read it."""

from pathlib import Path

from broker.credentials import credentials_of
from broker.dynamic import FILE_NAME, Dynamic


def mode(path: Path) -> int:
    """Whose a file is."""
    return path.stat().st_mode & 0o777


def test_credentials_are_for_their_owner(tmp_path: Path) -> None:
    """What is written is for nobody else, whatever was left behind by a writer that was killed."""
    left = tmp_path / f"{FILE_NAME}.tmp"
    left.write_text("half")
    left.chmod(0o666)
    with left.open() as held:
        dynamic = Dynamic(tmp_path)
        dynamic.credentials["ann"] = credentials_of("secret")
        dynamic.write()
        assert held.read() == "half"
    assert mode(tmp_path / FILE_NAME) == 0o600


def test_a_file_of_an_older_version(tmp_path: Path) -> None:
    """It was for everybody; reading it ends that."""
    dynamic = Dynamic(tmp_path)
    dynamic.credentials["ann"] = credentials_of("secret")
    dynamic.write()
    (tmp_path / FILE_NAME).chmod(0o644)
    again = Dynamic(tmp_path)
    again.open()
    assert again.credentials == dynamic.credentials
    assert mode(tmp_path / FILE_NAME) == 0o600
