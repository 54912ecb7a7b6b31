"""Plots are well-formed SVG that shows every figure."""

from xml.etree import ElementTree as ET

from benchmarks.plots import bars, lines

RECT, CIRCLE = "{http://www.w3.org/2000/svg}rect", "{http://www.w3.org/2000/svg}circle"
LEGEND = 1


def test_every_figure_has_a_bar_and_a_gap_has_none() -> None:
    """Longer for more, nothing for what was not measured; names are escaped."""
    plot = ET.fromstring(bars("a < b", ["count", "window"], {"ours": [1_000.0, None]}, "records/s"))
    lengths = [float(rect.attrib["width"]) for rect in plot.iter(RECT)]
    assert len(lengths) == LEGEND + 1
    longer = ET.fromstring(bars("t", ["one", "two"], {"ours": [1_000.0, 9_000.0]}, "records/s"))
    _, short, long = (float(rect.attrib["width"]) for rect in longer.iter(RECT))
    assert short < long


def test_points_of_a_line_stand_where_their_figures_say() -> None:
    """Rightwards and upwards for more."""
    plot = ET.fromstring(lines("curve", {"rate": [(1, 10.0), (10, 40.0), (100, 20.0)]}, "partitions", "rate"))
    places = [(float(point.attrib["cx"]), float(point.attrib["cy"])) for point in plot.iter(CIRCLE)]
    assert [x for x, _ in places] == sorted(x for x, _ in places)
    assert min(places, key=lambda place: place[1]) == places[1]


def test_nothing_to_show_is_an_empty_plot() -> None:
    """No figure at all is no fault."""
    assert not list(ET.fromstring(bars("t", ["one"], {"ours": [None]}, "u")).iter(RECT))
    assert not list(ET.fromstring(lines("t", {}, "x", "y")).iter(CIRCLE))
