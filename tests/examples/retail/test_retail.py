"""The shop: its topology under the driver, its command, and its books."""

import subprocess
import sys
from pathlib import Path

import pytest

from examples.retail import topology
from examples.retail.messages import Line, PriceChange, Reorder, Shipment
from examples.retail.rows import COLUMNS, RowsError, read_lines, write_rows
from streams.testing import TopologyTestDriver

ROOT = Path(__file__).parents[3]
REAL = ROOT.parent / "shared" / "data" / "online_retail.csv"


def retail(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "examples.retail", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=90, check=False)


def line(row: int, quantity: int, product: str = "20001") -> Line:
    return Line(row, "500000", product, "LANTERN", quantity, 2.0, "", "United Kingdom", row * 1_000)


def test_a_sale_that_empties_the_shelf() -> None:
    """It is followed by one order and one step up; the shipment fills the shelf, and rejected lines say why."""
    with TopologyTestDriver(topology.shop()) as driver:
        lines = driver.input("retail_lines")
        for each in (line(1, 110), line(2, 10), line(3, 1, "POST")):
            lines.send(each.product, each)
        assert driver.output("retail_reorders").read_values() == [Reorder(1, 230, 0, 1_000)]
        assert driver.output("retail_price_changes").read_values() == [PriceChange("order 1: sold out", 2.0, 2.1)]
        driver.input("retail_shipments").send("20001", Shipment(1, 228, 2, last=True, at_ms=5_000))
        assert driver.store("stock").get("20001").on_hand == 100 - 120 + 228
        (rejected,) = driver.output("retail_rejected", key=str, value=Line).read()
        assert (rejected.key, dict(rejected.headers)["__streams.errors.message"]) == ("POST", b"no product")


def test_generated_lines_are_dirty_and_always_the_same(tmp_path: Path) -> None:
    """A seed gives one file, with every kind of line that real ones have; lines are read in the order of time."""
    for name in ("one.csv", "two.csv"):
        write_rows(tmp_path / name, 2_000, seed=3)
    assert (tmp_path / "one.csv").read_bytes() == (tmp_path / "two.csv").read_bytes()
    lines = read_lines(tmp_path / "one.csv")
    reasons = {topology.rules.complaint(each) for each in lines}
    assert reasons == {None, "no product", "no price", "adjustment without cancellation"}
    assert [each.at_ms for each in lines] == sorted(each.at_ms for each in lines)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "expected the columns InvoiceNo, .* got nothing"),
        ("a,b\n", "got a, b"),
        (",".join(COLUMNS) + "\n", "has no lines"),
        (",".join(COLUMNS) + "\n1,2,X,3,2011-01-01 00:00:00,1.0,,UK\n1,2,X,3,2011-0", "line 3: .*Is the file cut?"),
        (",".join(COLUMNS) + "\n1,2,X,many,2011-01-01 00:00:00,1.0,,UK\n", "line 2: invalid literal"),
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


@pytest.mark.broker
@pytest.mark.parametrize("source", ["generated", "real"])
def test_the_books_are_equal(tmp_path: Path, source: str) -> None:
    """A year, and a second run over the same lines, which adds nothing: pandas comes to the same figures."""
    path = tmp_path / "lines.csv"
    if source == "real":
        if not REAL.exists():
            pytest.skip("the sample of real lines is not on this machine")
        path.write_text("".join(REAL.read_text().splitlines(keepends=True)[:3_001]))
    else:
        write_rows(path, 2_000, seed=5)
    arguments = ("--lines", path, "--dir", tmp_path / "retail", "--steps", 4)
    first, second = retail(*arguments), retail(*arguments)
    assert "books, recomputed by pandas: equal" in first.stdout, first
    assert "books, recomputed by pandas: equal" in second.stdout, second
    assert second.stdout.startswith("0 lines of")
    assert retail("--lines", path, "--dir", tmp_path / "retail", "clean").returncode == 0
    assert not (tmp_path / "retail").exists()
