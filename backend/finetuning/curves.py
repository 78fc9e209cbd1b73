"""Curves of a run as SVG: a few lines of markup, no library, readable on light and dark pages."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from backend.ticks import round_ticks

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 640, 260, 64, 16, 34, 40
MOST_POINTS = 600
SMOOTHING = 0.95


@dataclass(frozen=True)
class Curve:
    """A named line of (step, value); `dashed` and `faint` tell lines apart without colour."""

    name: str
    points: Sequence[tuple[float, float]]
    colour: str = "#2a8594"
    dashed: bool = False
    faint: bool = False


def smoothed(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """An exponential moving average, corrected for its start as in Adam."""
    average, kept = 0.0, []
    for number, (step, value) in enumerate(points, 1):
        average = SMOOTHING * average + (1 - SMOOTHING) * value
        kept.append((step, average / (1 - SMOOTHING**number)))
    return kept


def draw_curves(title: str, curves: Sequence[Curve]) -> str:
    """An SVG document; values that are no numbers are left out."""
    lines = [(curve, _thinned(curve.points)) for curve in curves]
    everything = [point for _, points in lines for point in points]
    if not everything:
        return _document(title, [_text(WIDTH / 2, HEIGHT / 2, "no values yet", "middle")])
    steps = _range([step for step, _ in everything])
    values = _range([value for _, value in everything])
    parts = _axes(steps, values)
    for position, (curve, points) in enumerate(lines):
        parts.append(_line(curve, points, steps, values))
        if curve.name:
            parts.append(_legend(curve, position))
    return _document(title, parts)


def _document(title: str, parts: Sequence[str]) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'aria-label="{escape(title)}"><rect width="100%" height="100%" fill="#ffffff"/>'
        f"{_text(LEFT, 18, title, 'start', '#182026')}{''.join(parts)}</svg>\n"
    )


def _axes(steps: tuple[float, float], values: tuple[float, float]) -> list[str]:
    parts = []
    for value in round_ticks(*values):
        y = _y(value, values)
        parts.append(f'<path d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}" stroke="#d5dbe0"/>')
        parts.append(_text(LEFT - 6, y + 4, f"{value:g}", "end"))
    parts += [
        _text(_x(step, steps), HEIGHT - BOTTOM + 16, f"{step:,.0f}", "middle")
        for step in filter(float.is_integer, round_ticks(*steps))
    ]
    parts.append(_text(WIDTH - RIGHT, HEIGHT - 6, "optimiser steps", "end"))
    return parts


def _line(
    curve: Curve,
    points: Sequence[tuple[float, float]],
    steps: tuple[float, float],
    values: tuple[float, float],
) -> str:
    def place(step: float, value: float) -> str:
        return f"{_x(step, steps):.1f} {_y(value, values):.1f}"

    path = "L".join(place(*point) for point in points)
    dash = ' stroke-dasharray="6 4"' if curve.dashed else ""
    strength = "0.35" if curve.faint else "1"
    return (
        f'<path d="M{path}" fill="none" stroke="{curve.colour}" stroke-width="1.6" '
        f'stroke-linejoin="round" stroke-opacity="{strength}"{dash}/>'
        if points
        else ""
    )


def _x(step: float, steps: tuple[float, float]) -> float:
    return LEFT + (step - steps[0]) / (steps[1] - steps[0]) * (WIDTH - LEFT - RIGHT)


def _y(value: float, values: tuple[float, float]) -> float:
    return TOP + (values[1] - value) / (values[1] - values[0]) * (HEIGHT - TOP - BOTTOM)


def _legend(curve: Curve, position: int) -> str:
    x = WIDTH - RIGHT - 130 * (position + 1)
    dash = ' stroke-dasharray="6 4"' if curve.dashed else ""
    strength = "0.35" if curve.faint else "1"
    return (
        f'<path d="M{x} 14h24" stroke="{curve.colour}" stroke-width="2" '
        f'stroke-opacity="{strength}"{dash}/>{_text(x + 30, 18, curve.name, "start")}'
    )


def _text(x: float, y: float, words: str, anchor: str, colour: str = "#5b6770") -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-family="sans-serif" font-size="12" fill="{colour}" '
        f'text-anchor="{anchor}">{escape(words)}</text>'
    )


def _range(numbers: Sequence[float]) -> tuple[float, float]:
    low, high = min(numbers), max(numbers)
    return (low, high) if high > low else (low - 0.5, high + 0.5)


def _thinned(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """At most so many points, the last among them."""
    real = [point for point in points if math.isfinite(point[1])]
    stride = max(1, math.ceil(len(real) / MOST_POINTS))
    kept = real[::stride]
    return [*kept, real[-1]] if real and kept[-1] != real[-1] else kept
