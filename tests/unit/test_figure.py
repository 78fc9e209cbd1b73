"""The labelled grid shows every tile whole, whatever its size, and never without its sentence."""

import numpy as np
import pytest

from backend.generation.figure import SYNTHETIC, Grid, draw_grid
from backend.images import Pixels


def tile(height: int, width: int) -> Pixels:
    return np.random.default_rng(height * width).integers(0, 256, (height, width, 3), np.uint8)


def grid(tiles: list[list[Pixels | None]], **changes: object) -> Grid:
    words = {
        "title": "Sweep of border by guidance",
        "across": "Border",
        "down": "Guidance",
        "columns": tuple(f"value {place}" for place in range(len(tiles[0]))),
        "rows": tuple(f"value {place}" for place in range(len(tiles))),
    }
    return Grid(**(words | {"tiles": tiles} | changes))


@pytest.mark.parametrize(("height", "width", "factor"), [(64, 64, 2), (128, 96, 1), (200, 256, 1)])
def test_a_tile_is_shown_as_it_is_or_enlarged_by_whole_numbers(
    height: int, width: int, factor: int
) -> None:
    pixels = tile(height, width)
    drawn = draw_grid(grid([[None, pixels]]))
    shown = np.kron(pixels, np.ones((factor, factor, 1), np.uint8))
    rows, columns = np.nonzero((drawn == shown[0, 0]).all(axis=2))
    assert any(
        np.array_equal(drawn[y : y + shown.shape[0], x : x + shown.shape[1]], shown)
        for y, x in zip(rows, columns, strict=True)
    )


def test_words_around_the_tiles_are_there() -> None:
    bare = {"title": "t", "across": "", "down": "", "columns": ("",), "rows": ("",)}
    empty = draw_grid(grid([[None]], **bare))
    assert (draw_grid(grid([[None]])).shape[1]) > empty.shape[1]
    assert (empty < 128).any(), SYNTHETIC
    long = draw_grid(grid([[None]], **bare, notes=("word " * 200,)))
    assert long.shape[0] > empty.shape[0]
    assert long.shape[1] == empty.shape[1]


def test_many_tiles_become_smaller() -> None:
    row = [tile(256, 256)] * 30
    assert draw_grid(grid([row] * 30)).size < 3 * 50_000_000
