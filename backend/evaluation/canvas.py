"""A drawing kept as shapes: written as SVG for page and manuscript, or painted as PNG.

Every shape names its part (`ink`, `quiet`, `grid`, `series-0`), which the page's stylesheet
recolours in dark mode. Places and sizes are in pixels of the SVG, from the upper left.
"""

import io
import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape
from typing import TypeAlias

from PIL import Image, ImageDraw, ImageFont

INK, QUIET, GRID = "ink", "quiet", "grid"
PAPER = "#ffffff"
SERIES = ("#0072b2", "#c04f00", "#007a58", "#a8487f", "#4b4ba8", "#7a5c00")
"""Okabe and Ito's hues, darkened to 4.5:1 on white; `DASHES` tells them apart as well."""
DASHES = ((), (7, 3), (2, 3), (9, 3, 2, 3), (5, 5), (1, 2))
COLOURS = {INK: "#222222", QUIET: "#5a5a5a", GRID: "#e2e2e2"} | {
    f"series-{place}": colour for place, colour in enumerate(SERIES)
}
PNG_SCALE, FINE = 2, 2

Point: TypeAlias = tuple[float, float]


def series_part(place: int) -> str:
    """The part that the line of this place is drawn in."""
    return f"series-{place % len(SERIES)}"


@dataclass(frozen=True)
class Path:
    """A line through points; closed and filled where `opacity` is given."""

    points: tuple[Point, ...]
    part: str = INK
    width: float = 1.0
    dash: tuple[int, ...] = ()
    opacity: float | None = None


@dataclass(frozen=True)
class Dot:
    """A circle, or a diamond; hollow ones stand for what others published. `name` is for the page.

    `faint` ones stand for groups too small to be read.
    """

    x: float
    y: float
    part: str = INK
    radius: float = 4.0
    hollow: bool = False
    diamond: bool = False
    name: str = ""


@dataclass(frozen=True)
class Text:
    """One line of words; `anchor` is start, middle or end; `upright` reads from below."""

    x: float
    y: float
    words: str
    part: str = INK
    size: int = 12
    anchor: str = "start"
    bold: bool = False
    upright: bool = False


Shape: TypeAlias = Path | Dot | Text


@dataclass
class Canvas:
    """Shapes in the order in which they are drawn; `title` is what a screen reader says."""

    width: float
    height: float
    title: str
    shapes: list[Shape] = field(default_factory=list)

    def draw(self, *shapes: Shape) -> None:
        """Put shapes on top of those that are there."""
        self.shapes += shapes

    def svg(self) -> str:
        """An SVG element that is a document of its own."""
        body = "".join(_svg(shape) for shape in self.shapes)
        size = f'width="{self.width:g}" height="{self.height:g}"'
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" {size} viewBox="0 0 {self.width:g} '
            f'{self.height:g}" role="img" aria-label="{escape(self.title)}" '
            f'font-family="system-ui, sans-serif"><title>{escape(self.title)}</title>'
            f'<rect class="paper" width="100%" height="100%" fill="{PAPER}"/>{body}</svg>'
        )

    def png(self, scale: int = PNG_SCALE) -> bytes:
        """The same at `scale` pixels for each of the SVG's."""
        fine = scale * FINE
        size = (round(self.width * fine), round(self.height * fine))
        image = Image.new("RGB", size, PAPER)
        for shape in self.shapes:
            _paint(image, shape, fine)
        smooth = image.resize((size[0] // FINE, size[1] // FINE), Image.Resampling.LANCZOS)
        buffer = io.BytesIO()
        smooth.save(buffer, "PNG", optimize=True, dpi=(72 * scale, 72 * scale))
        return buffer.getvalue()


def _path_svg(path: Path) -> str:
    points = " ".join(f"{_short(x)},{_short(y)}" for x, y in path.points)
    colour = COLOURS[path.part]
    if path.opacity is not None:
        return (
            f'<polygon class="fill-{path.part}" points="{points}" fill="{colour}" '
            f'fill-opacity="{path.opacity:g}"/>'
        )
    dash = f' stroke-dasharray="{" ".join(map(str, path.dash))}"' if path.dash else ""
    return (
        f'<polyline class="line-{path.part}" points="{points}" fill="none" stroke="{colour}" '
        f'stroke-width="{path.width:g}"{dash}/>'
    )


def _dot_svg(dot: Dot) -> str:
    colour = COLOURS[dot.part]
    name = f' data-dot="{escape(dot.name)}"' if dot.name else ""
    looks = (
        f'class="line-{dot.part} paper" fill="{PAPER}" stroke="{colour}" stroke-width="2"'
        if dot.hollow
        else f'class="fill-{dot.part} edge" fill="{colour}" stroke="{PAPER}" stroke-width="1"'
    )
    if dot.diamond:
        points = " ".join(f"{_short(x)},{_short(y)}" for x, y in _diamond(dot))
        return f'<polygon points="{points}" {looks}{name}/>'
    return f'<circle cx="{_short(dot.x)}" cy="{_short(dot.y)}" r="{dot.radius:g}" {looks}{name}/>'


def _text_svg(text: Text) -> str:
    weight = ' font-weight="bold"' if text.bold else ""
    turn = f' transform="rotate(-90 {text.x:g} {text.y:g})"' if text.upright else ""
    return (
        f'<text class="fill-{text.part}" x="{_short(text.x)}" y="{_short(text.y)}" '
        f'text-anchor="{text.anchor}" font-size="{text.size}" fill="{COLOURS[text.part]}"'
        f"{weight}{turn}>{escape(text.words)}</text>"
    )


def _svg(shape: Shape) -> str:
    if isinstance(shape, Path):
        return _path_svg(shape)
    return _dot_svg(shape) if isinstance(shape, Dot) else _text_svg(shape)


def _paint(image: Image.Image, shape: Shape, scale: int) -> None:
    if isinstance(shape, Path):
        _paint_path(image, shape, scale)
    elif isinstance(shape, Dot):
        _paint_dot(ImageDraw.Draw(image), shape, scale)
    else:
        _paint_text(image, shape, scale)


def _paint_path(image: Image.Image, path: Path, scale: int) -> None:
    points = [(x * scale, y * scale) for x, y in path.points]
    colour = COLOURS[path.part]
    if path.opacity is not None:
        mask = Image.new("L", image.size, 0)
        if len(points) > 2:
            ImageDraw.Draw(mask).polygon(points, fill=round(255 * path.opacity))
        image.paste(colour, (0, 0, *image.size), mask)
        return
    draw = ImageDraw.Draw(image)
    width = max(1, round(path.width * scale))
    for piece in _dashed(points, path.dash, scale):
        draw.line(piece, fill=colour, width=width, joint="curve")


def _dashed(points: Sequence[Point], dash: Sequence[int], scale: int) -> list[list[Point]]:
    """The pieces of a line that are drawn."""
    if not dash or len(points) < 2:
        return [list(points)]
    pieces: list[list[Point]] = []
    place, left, drawn = 0, float(dash[0] * scale), True
    piece = [points[0]]
    for start, end in itertools.pairwise(points):
        here, ahead = start, math.dist(start, end)
        while ahead > left:
            share = left / ahead
            here = (here[0] + share * (end[0] - here[0]), here[1] + share * (end[1] - here[1]))
            if drawn:
                pieces.append([*piece, here])
            ahead -= left
            place, drawn = (place + 1) % len(dash), not drawn
            left = float(dash[place] * scale)
            piece = [here]
        left -= ahead
        piece.append(end)
    return [*pieces, piece] if drawn else pieces


def _paint_dot(draw: ImageDraw.ImageDraw, dot: Dot, scale: int) -> None:
    colour = COLOURS[dot.part]
    fill, edge = (PAPER, colour) if dot.hollow else (colour, PAPER)
    width = (2 if dot.hollow else 1) * scale
    if dot.diamond:
        points = [(x * scale, y * scale) for x, y in _diamond(dot)]
        draw.polygon(points, fill=fill, outline=edge, width=width)
        return
    x, y, radius = dot.x * scale, dot.y * scale, dot.radius * scale
    draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill, edge, width)


def _paint_text(image: Image.Image, text: Text, scale: int) -> None:
    font = ImageFont.load_default(text.size * scale)
    anchor = {"start": "ls", "middle": "ms", "end": "rs"}[text.anchor]
    bold = scale // 2 if text.bold else 0
    if not text.upright:
        ImageDraw.Draw(image).text(
            (text.x * scale, text.y * scale), text.words, COLOURS[text.part], font,
            anchor=anchor, stroke_width=bold // 2,
        )  # fmt: skip
        return
    length = round(font.getlength(text.words)) + 4
    strip = Image.new("L", (length, 2 * text.size * scale), 0)
    ImageDraw.Draw(strip).text((2, 1.5 * text.size * scale), text.words, 255, font, anchor="ls")
    turned = strip.rotate(90, expand=True)
    middle = {"start": 0.0, "middle": 0.5, "end": 1.0}[text.anchor]
    left = round((text.x - 1.5 * text.size) * scale)
    top = round(text.y * scale - length * (1 - middle))
    image.paste(COLOURS[text.part], (left, top), turned)


def _diamond(dot: Dot) -> tuple[Point, ...]:
    x, y, reach = dot.x, dot.y, dot.radius * 1.4
    return (x, y - reach), (x + reach, y), (x, y + reach), (x - reach, y)


def _short(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")
