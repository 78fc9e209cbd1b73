"""Line charts as SVG, for files beside the tables: no library, no script, fit for a manuscript."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from backend.ticks import round_ticks

WIDTH, HEIGHT = 640, 420
LEFT, RIGHT, TOP, BOTTOM = 64, 200, 40, 56
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#000000")
"""Okabe and Ito's, which colour-blind readers tell apart."""
DASHES = ("", "6 3", "2 3", "8 3 2 3")


@dataclass(frozen=True)
class Line:
    """A series; `low` and `high` are drawn as bars where given, a published one is hollow."""

    name: str
    x: Sequence[float]
    y: Sequence[float]
    low: Sequence[float] = ()
    high: Sequence[float] = ()
    published: bool = False


def line_chart(
    title: str,
    lines: Sequence[Line],
    *,
    x_label: str,
    y_label: str,
    y_range: tuple[float, float] | None = None,
    diagonal: bool = False,
) -> str:
    """An SVG document; the axes hold every point and bar."""
    xs = [value for line in lines for value in line.x] or [0.0, 1.0]
    ys = [value for line in lines for part in (line.y, line.low, line.high) for value in part]
    frame = _Frame((min(xs), max(xs)), y_range or _padded(ys or [0.0, 1.0]))
    parts = [*_axes(frame, x_label, y_label), _text(LEFT, 24, title, size=15, bold=True)]
    if diagonal:
        parts.append(_path(frame, (0, 1), (0, 1), "#767676", "3 3"))
    for index, line in enumerate(lines):
        parts += _drawn(frame, line, index)
    body = "\n".join(parts)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" '
        f'viewBox="0 0 {WIDTH} {HEIGHT}" role="img" font-family="sans-serif">\n'
        f'<title>{escape(title)}</title>\n<rect width="100%" height="100%" fill="#ffffff"/>\n'
        f"{body}\n</svg>\n"
    )


@dataclass(frozen=True)
class _Frame:
    """From values to places in the picture."""

    x_range: tuple[float, float]
    y_range: tuple[float, float]

    def x(self, value: float) -> float:
        low, high = self.x_range
        share = (value - low) / (high - low) if high > low else 0.5
        return LEFT + share * (WIDTH - LEFT - RIGHT)

    def y(self, value: float) -> float:
        low, high = self.y_range
        return HEIGHT - BOTTOM - (value - low) / (high - low) * (HEIGHT - TOP - BOTTOM)


def _axes(frame: _Frame, x_label: str, y_label: str) -> list[str]:
    right, bottom = WIDTH - RIGHT, HEIGHT - BOTTOM
    middle = (TOP + bottom) / 2
    upright = _text(16, middle, y_label, anchor="middle")
    parts = [
        f'<g transform="rotate(-90 16 {middle})">{upright}</g>',
        f'<path d="M{LEFT} {TOP}V{bottom}H{right}" fill="none" stroke="#333333"/>',
        _text((LEFT + right) / 2, HEIGHT - 14, x_label, anchor="middle"),
    ]
    parts += [
        _text(frame.x(x), bottom + 18, f"{x:g}", anchor="middle", size=11)
        for x in round_ticks(*frame.x_range)
    ]
    for y in round_ticks(*frame.y_range):
        parts.append(_text(LEFT - 6, frame.y(y) + 4, f"{y:g}", anchor="end", size=11))
        parts.append(f'<path d="M{LEFT} {frame.y(y):.1f}H{right}" stroke="#e5e5e5"/>')
    return parts


def _drawn(frame: _Frame, line: Line, index: int) -> list[str]:
    colour, dash = COLOURS[index % len(COLOURS)], DASHES[index // len(COLOURS) % len(DASHES)]
    if line.published:
        dash = dash or DASHES[1]
    parts = [_path(frame, line.x, line.y, colour, dash)]
    few = len(line.x) <= 20
    for place, (x, y) in enumerate(zip(line.x, line.y, strict=True)):
        if line.low:
            low, high = frame.y(line.low[place]), frame.y(line.high[place])
            parts.append(f'<path d="M{frame.x(x):.1f} {low:.1f}V{high:.1f}" stroke="{colour}"/>')
        if few:
            fill = "#ffffff" if line.published else colour
            parts.append(
                f'<circle cx="{frame.x(x):.1f}" cy="{frame.y(y):.1f}" r="3.5" fill="{fill}" '
                f'stroke="{colour}"/>'
            )
    top = TOP + 8 + index * 18
    right = WIDTH - RIGHT + 12
    parts.append(
        f'<path d="M{right} {top}h18" stroke="{colour}" stroke-width="2" '
        f'stroke-dasharray="{dash}"/>'
    )
    name = f"{line.name} (published)" if line.published else line.name
    parts.append(_text(right + 24, top + 4, name, size=11))
    return parts


def _path(frame: _Frame, xs: Sequence[float], ys: Sequence[float], colour: str, dash: str) -> str:
    points = " ".join(f"{frame.x(x):.1f},{frame.y(y):.1f}" for x, y in zip(xs, ys, strict=True))
    return (
        f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2" '
        f'stroke-dasharray="{dash}"/>'
    )


def _text(
    x: float, y: float, text: str, *, anchor: str = "start", size: int = 12, bold: bool = False
) -> str:
    weight = ' font-weight="bold"' if bold else ""
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}" fill="#222222"'
        f"{weight}>{escape(text)}</text>"
    )


def _padded(values: Sequence[float]) -> tuple[float, float]:
    low, high = min(values), max(values)
    room = 0.05 * (high - low) or 0.05
    return low - room, high + room
