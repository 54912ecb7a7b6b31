"""Plots as SVG, drawn by hand: bars of several series per group, and lines over a scale.

Rules: pure functions from figures to text; no library, no script, no font but the reader's; colours hold on light and
dark pages. Equal figures give equal bytes, so a page that is made again does not change.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape

COLOURS = ("#d9480f", "#1971c2", "#2f9e44", "#9c36b5", "#f08c00", "#868e96", "#0c8599")
WIDTH, LEFT, TOP, ROW, GAP = 760, 110, 46, 13, 14
INK = "#868e96"


def bars(title: str, groups: Sequence[str], series: Mapping[str, Sequence[float | None]], unit: str) -> str:
    """Horizontal bars on a logarithmic scale, a group under the other; None is a gap with a dash.

    Shape: each of `series` has one figure per group. Logarithmic, because systems differ by factors of a hundred.
    """
    figures = [figure for each in series.values() for figure in each if figure]
    if not figures:
        return _svg(WIDTH, TOP, title, [])
    low, high = 10 ** math.floor(math.log10(min(figures))), max(figures)
    span = math.log10(high / low) or 1.0
    room = WIDTH - LEFT - 80
    parts = _legend(list(series))
    y = TOP
    for index, group in enumerate(groups):
        parts.append(_text(LEFT - 8, y + ROW * len(series) / 2 + 4, group, anchor="end"))
        for colour, each in zip(_colours(), series.values(), strict=False):
            figure = each[index]
            length = room * math.log10(figure / low) / span if figure else 0.0
            if figure:
                parts.append(f'<rect x="{LEFT}" y="{y}" width="{length:.1f}" height="{ROW - 2}" fill="{colour}"/>')
            parts.append(_text(LEFT + length + 5, y + ROW - 3, _short(figure) if figure else "-", size=10))
            y += ROW
        y += GAP
    parts.append(_text(LEFT, y + 6, f"{unit}, logarithmic", size=10))
    return _svg(WIDTH, y + 16, title, parts)


def lines(title: str, series: Mapping[str, Sequence[tuple[float, float]]], across: str, up: str) -> str:
    """Points joined by lines; the horizontal scale is logarithmic, the vertical begins at zero.

    Shape: each of `series` is (x, y) by ascending x, x > 0.
    """
    points = [point for each in series.values() for point in each]
    if not points:
        return _svg(WIDTH, TOP, title, [])
    bottom, height, room = TOP + 240, 240, WIDTH - LEFT - 40
    low, high = min(x for x, _ in points), max(x for x, _ in points)
    span = math.log10(high / low) or 1.0
    top = max(y for _, y in points) or 1.0

    def place(x: float, y: float) -> tuple[float, float]:
        return LEFT + room * math.log10(x / low) / span, bottom - height * y / top

    parts = _legend(list(series))
    parts.append(f'<path d="M{LEFT} {TOP}V{bottom}H{LEFT + room}" fill="none" stroke="{INK}"/>')
    parts.append(_text(LEFT - 8, TOP + 4, _short(top), anchor="end", size=10))
    parts.append(_text(LEFT - 8, bottom, "0", anchor="end", size=10))
    for x in sorted({x for x, _ in points}):
        parts.append(_text(place(x, 0)[0], bottom + 14, _short(x), anchor="middle", size=10))
    for colour, each in zip(_colours(), series.values(), strict=False):
        places = [place(x, y) for x, y in each]
        path = "L".join(f"{x:.1f} {y:.1f}" for x, y in places)
        parts.append(f'<path d="M{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in places]
    parts.append(_text(LEFT, bottom + 32, f"across: {across}, logarithmic; up: {up}", size=10))
    return _svg(WIDTH, bottom + 42, title, parts)


def _colours() -> Sequence[str]:
    return COLOURS * 3


def _legend(names: Sequence[str]) -> list[str]:
    parts = []
    x = float(LEFT)
    for name, colour in zip(names, _colours(), strict=False):
        parts.append(f'<rect x="{x:.0f}" y="26" width="10" height="10" fill="{colour}"/>')
        parts.append(_text(x + 14, 35, name, size=11))
        x += 26 + 6.6 * len(name)
    return parts


def _text(x: float, y: float, text: str, *, anchor: str = "start", size: int = 12) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}" fill="{INK}">{escape(text)}</text>'


def _short(figure: float) -> str:
    for size, letter in ((1e6, "M"), (1e3, "k")):
        if figure >= size:
            return f"{figure / size:.3g}{letter}"
    return f"{figure:.3g}"


def _svg(width: float, height: float, title: str, parts: Sequence[str]) -> str:
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" '
        f'font-family="system-ui, sans-serif" role="img" aria-label="{escape(title)}">'
    )
    return "\n".join([head, _text(LEFT, 16, title, size=13), *parts, "</svg>", ""])
