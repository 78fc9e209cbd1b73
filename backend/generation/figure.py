"""A labelled grid of images as one picture, for a paper or a look: always says it is synthetic."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import isqrt

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from backend.images import Pixels, resize

SYNTHETIC = "Synthetic images computed by a model; no patient is shown. Not for diagnosis."
LARGEST_TILE, SMALLEST_TILE = 256, 64
MAX_TILE_PIXELS = 30_000_000
GAP, MARGIN = 8, 20
NARROWEST = 128
TITLE_SIZE, TEXT_SIZE = 20, 15
INK, PAPER, EMPTY = (17, 24, 39), (255, 255, 255), (229, 231, 235)

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


@dataclass(frozen=True)
class Grid:
    """Tiles (rows of columns) with what is written around them; a missing tile is None.

    `across` and `down` are the titles of the axes, `columns` and `rows` their values, `notes`
    stand below.
    """

    title: str
    across: str
    down: str
    columns: tuple[str, ...]
    rows: tuple[str, ...]
    tiles: Sequence[Sequence[Pixels | None]]
    notes: tuple[str, ...] = ()


def draw_grid(grid: Grid) -> Pixels:
    """The grid as one picture (H, W, 3), black on white."""
    text, heading = _font(TEXT_SIZE), _font(TITLE_SIZE)
    tiles = [[_tile(tile, _side(grid)) for tile in row] for row in grid.tiles]
    width = max([NARROWEST, *(tile.width for row in tiles for tile in row if tile)])
    height = max([64, *(tile.height for row in tiles for tile in row if tile)])
    values = [_wrap(words, text, NARROWEST) for words in grid.rows]
    values_width = round(max(text.getlength(line) for lines in [*values, [""]] for line in lines))
    start = MARGIN + (2 * TEXT_SIZE if grid.down else 0)
    left = start + (values_width + GAP if values_width else 0)
    right = left + len(grid.columns) * (width + GAP) - GAP
    right = max(right, left + 3 * NARROWEST)
    blocks = [(grid.title, heading), (grid.across, text)]
    top = MARGIN + sum(_height(_wrap(words, font, right - left), font) for words, font in blocks)
    columns = [_wrap(words, text, width) for words in grid.columns]
    top += max(_height(lines, text) for lines in columns) + GAP
    bottom = top + len(tiles) * (height + GAP)
    notes = [line for note in (*grid.notes, SYNTHETIC) for line in _wrap(note, text, right - left)]
    canvas = Image.new("RGB", (right + MARGIN, bottom + _height(notes, text) + MARGIN), PAPER)
    pen = ImageDraw.Draw(canvas)

    y = _write(pen, (left, MARGIN), _wrap(grid.title, heading, right - left), heading)
    span = len(columns) * (width + GAP) - GAP
    y = _write(pen, (left, y), _wrap(grid.across, text, right - left), text, centred_in=span)
    for column, lines in enumerate(columns):
        _write(pen, (left + column * (width + GAP), y), lines, text, centred_in=width)
    for row, (lines, line) in enumerate(zip(values, tiles, strict=True)):
        y = top + row * (height + GAP)
        middle = y + max(0, (height - _height(lines, text)) // 2)
        _write(pen, (start, middle), lines, text, centred_in=values_width)
        for column, tile in enumerate(line):
            place = (left + column * (width + GAP), y)
            if tile is None:
                pen.rectangle((*place, place[0] + width - 1, y + height - 1), fill=EMPTY)
            else:
                canvas.paste(tile, place)
    _write(pen, (left, bottom), notes, text)
    if grid.down:
        _write_upwards(canvas, grid.down, text, middle=(top + bottom) // 2)
    return np.asarray(canvas)


def _side(grid: Grid) -> int:
    """The longest side of a tile, smaller where there are many."""
    cells = max(1, len(grid.columns) * len(grid.rows))
    return max(SMALLEST_TILE, min(LARGEST_TILE, isqrt(MAX_TILE_PIXELS // cells)))


def _tile(pixels: Pixels | None, side: int) -> Image.Image | None:
    """At most `side` pixels long; a small image is enlarged by whole numbers, without smoothing."""
    if pixels is None:
        return None
    image = Image.fromarray(resize(pixels, side))
    factor = max(1, min(NARROWEST, side) // max(image.size))
    return image.resize((image.width * factor, image.height * factor), Image.Resampling.NEAREST)


def _font(size: int) -> Font:
    return ImageFont.load_default(size)


def _wrap(words: str, font: Font, width: int) -> list[str]:
    """Lines of whole words that fit; a word that is too long stays whole."""
    lines: list[str] = []
    for word in words.split():
        if lines and font.getlength(f"{lines[-1]} {word}") <= width:
            lines[-1] = f"{lines[-1]} {word}"
        else:
            lines.append(word)
    return lines


def _height(lines: Sequence[str], font: Font) -> int:
    return len(lines) * _line(font)


def _line(font: Font) -> int:
    return round(float(getattr(font, "size", TEXT_SIZE)) * 1.35)


def _write(
    pen: ImageDraw.ImageDraw,
    place: tuple[int, int],
    lines: Sequence[str],
    font: Font,
    *,
    centred_in: int = 0,
) -> int:
    """Write the lines from `place` on; returns where the next would begin."""
    x, y = place
    for line in lines:
        indent = max(0, round(centred_in - font.getlength(line)) // 2)
        pen.text((x + indent, y), line, fill=INK, font=font)
        y += _line(font)
    return y


def _write_upwards(canvas: Image.Image, words: str, font: Font, *, middle: int) -> None:
    length = int(font.getlength(words)) + 4
    strip = Image.new("RGB", (length, _line(font)), PAPER)
    ImageDraw.Draw(strip).text((2, 0), words, fill=INK, font=font)
    upright = strip.transpose(Image.Transpose.ROTATE_90)
    canvas.paste(upright, (MARGIN // 2, max(0, middle - length // 2)))
