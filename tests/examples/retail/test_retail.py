"""The shop as a command: its files, its books, kills in the middle, its report."""

import subprocess
import sys
from pathlib import Path
from random import Random

import pytest

from examples.retail.rows import COLUMNS, RowsError, catalogue, read_lines, write_rows
from tests.examples.retail.campaign import Run
from tests.examples.retail.test_rules import complaint

ROOT = Path(__file__).parents[3]
REAL = ROOT.parent / "shared" / "data" / "online_retail.csv"
EQUAL = "books, recomputed by pandas: equal"


def retail(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "examples.retail", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=240, check=False)


def test_generated_lines_are_dirty_and_always_the_same(tmp_path: Path) -> None:
    """A seed gives one file, with every kind of line that real ones have; lines are read in the order of time."""
    for name in ("one.csv", "two.csv"):
        write_rows(tmp_path / name, 2_000, seed=3)
    assert (tmp_path / "one.csv").read_bytes() == (tmp_path / "two.csv").read_bytes()
    lines = read_lines(tmp_path / "one.csv")
    assert {complaint(each) for each in lines} == {None, "no product", "no price", "adjustment without cancellation"}
    assert {each.customer == "" for each in lines} == {True, False}
    assert [each.at_ms for each in lines] == sorted(each.at_ms for each in lines)
    assert {each.product for each in lines if complaint(each) is None} == catalogue(lines).keys()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "is empty: fetch it again"),
        ("\n", "expected a first line with the columns InvoiceNo, .* got nothing"),
        ("a,b\n", "got a, b. Name another file"),
        ("PAR1\x15\x04,\x15\n", "got no text. Name another file"),
        (",".join(COLUMNS) + "\n", "has no lines"),
        (
            ",".join(COLUMNS) + "\n1,2,X,3,2011-01-01 00:00:00,1.0,,UK\n1,2,X,3,2011-0",
            "line 3: expected 8 columns, got 5. Is the file",
        ),
        (
            ",".join(COLUMNS) + "\n1,2,X,3,2011-01-01 00:00:00,1.0,,UK\n1,2,X,3,2011-01-01 00:00:00,1.0,,U",
            "in a country of",
        ),
        (
            ",".join(COLUMNS) + "\n1,2,X,many,2011-01-01 00:00:00,1.0,,UK\n",
            "line 2, Quantity: expected a whole number up to a billion, got",
        ),
        (
            ",".join(COLUMNS) + "\n1,2,X,9999999999,2011-01-01 00:00:00,1.0,,UK\n",
            "line 2, Quantity: expected a whole number up to a billion, got '9999999999'",
        ),
        (
            ",".join(COLUMNS) + "\n1,2,X,3,1.1.2011,1.0,,UK\n",
            "line 2, InvoiceDate: expected a date such as .*'1.1.2011'",
        ),
        (
            ",".join(COLUMNS) + "\n1,2,X,3,2011-01-01 00:00:00,nan,,UK\n",
            "line 2, UnitPrice: expected a number, got 'nan'",
        ),
        (",".join(COLUMNS) + "\n1,2,X,3,2999-01-01 00:00:00,1.0,,UK\n", "line 2, InvoiceDate: 2999.* yet to come"),
        (",".join(COLUMNS) + "\n1,2,X,3,2011-01-01 00:00:00,1.0,,UK\n\0,2,X,3,2011,1.0,,UK\n", "line 3"),
    ],
)
def test_a_damaged_file_is_refused(tmp_path: Path, content: str, message: str) -> None:
    """Whatever is wrong with a file is told with the place."""
    (tmp_path / "lines.csv").write_text(content)
    with pytest.raises(RowsError, match=message):
        read_lines(tmp_path / "lines.csv")


def test_a_missing_file_is_one_sentence(tmp_path: Path) -> None:
    """The command ends with exit code 2 before anything is started."""
    done = retail("--lines", tmp_path / "nowhere.csv", "--dir", tmp_path / "retail")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "does not exist" in done.stderr
    assert not (tmp_path / "retail").exists()


def test_what_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    """A file where a directory should be, and a picture in no directory: told before anything is started."""
    (tmp_path / "file").write_text("")
    for arguments, sentence in (
        (("--dir", tmp_path / "file" / "retail"), "Name another directory with --dir"),
        (("--dir", tmp_path / "retail", "--plot", tmp_path / "nowhere" / "a.png"), "is no directory: name a file"),
        (("--dir", tmp_path / "retail", "--plot", tmp_path), "is no picture: name a file that ends in .png"),
    ):
        done = retail(*arguments)
        assert (done.returncode, done.stderr.count("\n")) == (2, 1), done
        assert sentence in done.stderr
    assert not (tmp_path / "retail").exists()


def test_both_forms_of_dates(tmp_path: Path) -> None:
    """The original file writes American dates; they are the same moments."""
    for name, date in (("one.csv", "2010-12-01 08:26:00"), ("two.csv", "12/1/2010 8:26")):
        (tmp_path / name).write_text(",".join(COLUMNS) + f"\n536365,85123A,LANTERN,6,{date},2.55,17850,UK\n")
    assert read_lines(tmp_path / "one.csv") == read_lines(tmp_path / "two.csv")


@pytest.mark.broker
@pytest.mark.timeout(300)
def test_odd_lines_are_counted_alike(tmp_path: Path) -> None:
    """Latin letters, a byte order mark, codes such as NA, none at all, other digits: the shop and pandas agree."""
    codes = ("", "NA", "nan", "²4", "٣4", "4 5", "20001", "20001")
    rows = [
        f"{invoice},{code},CAFE,{quantity},2011-01-0{day} 00:00:00,1.25,,UK\n"
        for invoice, quantity in (("1", 4), ("C1", -3), ("", -2), ("NA", 0))
        for day, code in enumerate(codes, 1)
    ]
    text = (",".join(COLUMNS) + "\n" + "".join(rows)).encode("utf-8-sig")
    (tmp_path / "lines.csv").write_bytes(text.replace(b"CAFE", b"CAF\xc9"))
    done = retail("--lines", tmp_path / "lines.csv", "--dir", tmp_path / "retail", "--steps", 1)
    assert EQUAL in done.stdout, done


@pytest.mark.broker
@pytest.mark.crash
@pytest.mark.timeout(300)
def test_a_year_with_kills(tmp_path: Path) -> None:
    """A worker, the broker and the command are killed on the way: the books are right, and there is a picture."""
    path = tmp_path / "lines.csv"
    write_rows(path, 800, seed=5)
    run = Run(path, tmp_path / "retail", 3, ["worker", "broker", "command"], Random(5), (0.1, 0.6))
    assert EQUAL in run.go(240)
    assert run.killed == ["worker", "broker", "command"]
    assert (tmp_path / "retail" / "report.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.broker
@pytest.mark.timeout(300)
def test_real_lines(tmp_path: Path) -> None:
    """Lines of the real shop, dirty as they are: the books are right; `clean` leaves nothing."""
    if not REAL.exists():
        pytest.skip("the sample of real lines is not on this machine")
    path = tmp_path / "lines.csv"
    path.write_text("".join(REAL.read_text().splitlines(keepends=True)[:1_001]))
    done = retail("--lines", path, "--dir", tmp_path / "retail", "--steps", 1)
    assert EQUAL in done.stdout, done
    assert retail("--dir", tmp_path / "retail", "clean").returncode == 0
    assert not (tmp_path / "retail").exists()
