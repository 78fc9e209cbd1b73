"""The same picture is found under every change that keeps it, and different lesions are not it."""

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from backend.abc.sampling import sample_attributes
from backend.corpus.candidates import find_candidates
from backend.corpus.duplicates import Likeness, duplicate_groups, find_duplicates
from backend.corpus.errors import CorpusError
from backend.corpus.fingerprints import Fingerprints, read_fingerprints
from backend.corpus.groups import connected
from backend.corpus.pictures import Picture, pictures_in
from backend.corpus.signatures import (
    SYMMETRIES,
    THUMBNAIL_SIDE,
    inverse_of,
    signatures_of,
    spectra_of,
    turned,
)
from backend.images import Pixels
from backend.phantom import render

LESIONS = 6
SIDE = 160


@pytest.fixture(scope="module")
def lesions() -> list[Pixels]:
    """Different lesions with hair, ruler and network where their seed draws them."""
    rng = np.random.default_rng(5)
    return [
        np.asarray(render(sample_attributes(rng), size=SIDE, seed=seed).image, dtype=np.uint8)
        for seed in range(LESIONS)
    ]


def recompressed(pixels: Pixels) -> Pixels:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=60)
    return np.asarray(Image.open(buffer).convert("RGB"))


def cropped(pixels: Pixels) -> Pixels:
    return np.ascontiguousarray(pixels[11:, 4:-12])


def recoloured(pixels: Pixels) -> Pixels:
    gain, offset = np.array([0.9, 1.05, 0.95]), np.array([8, -6, 4])
    return np.clip(pixels * gain + offset, 0, 255).astype(np.uint8)


def resized(pixels: Pixels) -> Pixels:
    return np.asarray(Image.fromarray(pixels).resize((112, 112), Image.Resampling.LANCZOS))


def everything(pixels: Pixels) -> Pixels:
    return recompressed(resized(recoloured(cropped(turned(pixels, 5)))))


CHANGES: tuple[Callable[[Pixels], Pixels], ...] = (
    recompressed,
    cropped,
    recoloured,
    resized,
    everything,
)


def saved(folder: Path, images: dict[str, Pixels]) -> list[Picture]:
    folder.mkdir(parents=True, exist_ok=True)
    for name, pixels in images.items():
        Image.fromarray(pixels).save(folder / f"{name}.png")
    return [Picture(name, folder / f"{name}.png") for name in images]


def prints_of(folder: Path, images: dict[str, Pixels]) -> Fingerprints:
    return read_fingerprints(saved(folder / "images", images), folder / "cache.db")


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_a_changed_copy_is_found_and_no_other_lesion_is(
    tmp_path: Path, lesions: list[Pixels], change: Callable[[Pixels], Pixels]
) -> None:
    images = {f"real{number}": pixels for number, pixels in enumerate(lesions)}
    copy = change(lesions[2])
    (pair,) = find_duplicates(prints_of(tmp_path, {**images, "copy": copy}))
    assert pair.ids == ("copy", "real2")
    assert pair.likeness is Likeness.NEAR


@pytest.mark.parametrize("symmetry", range(1, len(SYMMETRIES)))
def test_the_transform_says_how_the_copy_was_turned(
    tmp_path: Path, lesions: list[Pixels], symmetry: int
) -> None:
    images = {"a": lesions[0], "b": turned(lesions[0], symmetry), "c": lesions[1]}
    (pair,) = find_duplicates(prints_of(tmp_path, images))
    assert pair.ids == ("a", "b")
    assert pair.transform == SYMMETRIES[symmetry]


@pytest.mark.parametrize("symmetry", range(len(SYMMETRIES)))
def test_the_signature_of_a_turned_image_is_the_turned_signature(symmetry: int) -> None:
    rng = np.random.default_rng(0)
    shape = (3, THUMBNAIL_SIDE, THUMBNAIL_SIDE, 3)
    thumbnails = rng.integers(0, 256, shape, dtype=np.uint8)
    pixels = np.stack([turned(image, symmetry) for image in thumbnails])
    np.testing.assert_allclose(
        signatures_of(spectra_of(pixels)),
        signatures_of(spectra_of(thumbnails), symmetry),
        atol=1e-5,
    )
    back = turned(turned(thumbnails[0], symmetry), inverse_of(symmetry))
    np.testing.assert_array_equal(back, thumbnails[0])


def test_a_gain_and_an_offset_of_a_channel_leave_no_trace_in_the_signature() -> None:
    rng = np.random.default_rng(0)
    shape = (1, THUMBNAIL_SIDE, THUMBNAIL_SIDE, 3)
    image = rng.integers(40, 100, shape, dtype=np.uint8)
    shifted = (image * np.array([2, 1, 2]) + np.array([9, 30, 0])).astype(np.uint8)
    likeness = signatures_of(spectra_of(image)) @ signatures_of(spectra_of(shifted)).T
    assert likeness[0, 0] > 0.9999


def test_equal_bytes_and_equal_pixels_are_told_apart(tmp_path: Path, lesions: list[Pixels]) -> None:
    pictures = saved(tmp_path, {"a": lesions[0], "b": lesions[0], "d": lesions[1]})
    Image.fromarray(lesions[0]).save(tmp_path / "c.bmp")
    pictures.insert(2, Picture("c", tmp_path / "c.bmp"))
    pairs = find_duplicates(read_fingerprints(pictures, tmp_path / "cache.db"))
    found = {pair.ids: pair.likeness for pair in pairs}
    assert found == {("a", "b"): Likeness.BYTES, ("a", "c"): Likeness.PIXELS}
    assert duplicate_groups(pairs) == [["a", "b", "c"]]


def test_between_two_sets_every_image_that_leaks_is_named(
    tmp_path: Path, lesions: list[Pixels]
) -> None:
    images = {
        "train1": lesions[0],
        "train2": lesions[0],
        "train3": turned(lesions[1], 2),
        "test1": lesions[0],
        "test2": lesions[1],
        "test3": lesions[2],
    }
    sides = {"train1", "train2", "train3"}, {"test1", "test2", "test3"}
    pairs = find_duplicates(prints_of(tmp_path, images), sides)
    assert {pair.ids for pair in pairs} == {
        ("test1", "train1"),
        ("test1", "train2"),
        ("test2", "train3"),
    }


def test_a_second_run_reads_only_what_is_new_or_changed(
    tmp_path: Path, lesions: list[Pixels]
) -> None:
    pictures = saved(tmp_path, {"a": lesions[0], "b": lesions[1]})
    cache = tmp_path / "cache.db"
    first = read_fingerprints(pictures, cache)
    assert (first.computed, read_fingerprints(pictures, cache).computed) == (2, 0)
    Image.fromarray(lesions[2][:150]).save(pictures[0].path)
    pictures += saved(tmp_path, {"c": lesions[3]})
    again = read_fingerprints(pictures, cache)
    assert again.computed == 2
    assert again.values[0] != first.values[0]
    assert again.values[1] == first.values[1]


def test_broken_files_are_named_and_the_rest_goes_on(tmp_path: Path, lesions: list[Pixels]) -> None:
    pictures = saved(tmp_path, {"a": lesions[0], "cut": lesions[1], "b": lesions[0]})
    whole = pictures[1].path.read_bytes()
    pictures[1].path.write_bytes(whole[: len(whole) // 2])
    (tmp_path / "empty.png").touch()
    pictures += [Picture(name, tmp_path / f"{name}.png") for name in ("empty", "gone")]
    prints = read_fingerprints(pictures, tmp_path / "cache.db")
    assert set(prints.unreadable) == {"cut", "empty", "gone"}
    assert all(name in sentence for name, sentence in prints.unreadable.items())
    assert [pair.ids for pair in find_duplicates(prints)] == [("a", "b")]


def test_a_cache_that_is_no_database_is_named(tmp_path: Path, lesions: list[Pixels]) -> None:
    pictures = saved(tmp_path, {"a": lesions[0]})
    (tmp_path / "cache.db").write_bytes(b"not a database, but long enough to look at" * 40)
    with pytest.raises(CorpusError, match=r"cache\.db cannot be used"):
        read_fingerprints(pictures, tmp_path / "cache.db")


def test_images_without_any_contrast_are_no_trouble(tmp_path: Path) -> None:
    grey = np.full((40, 40, 3), 90, dtype=np.uint8)
    images = {"grey": grey, "lighter": grey + 20}
    assert find_duplicates(prints_of(tmp_path, images)) == []


def test_nothing_has_no_duplicates(tmp_path: Path) -> None:
    assert find_duplicates(read_fingerprints([], tmp_path / "cache.db")) == []


def test_the_index_of_many_finds_the_turned_copy() -> None:
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (21_000, 6, 6, 3), dtype=np.uint8)
    many = coarse.repeat(6, axis=1).repeat(6, axis=2)[:, 2:34, 2:34]
    copies = np.stack([turned(many[number], 1 + number % 7) for number in range(300)])
    spectra = spectra_of(np.concatenate((many, copies)))
    found = find_candidates(spectra)
    pairs = set(zip(found.first.tolist(), found.second.tolist(), strict=True))
    planted = {(number, len(many) + number) for number in range(300)}
    assert len(pairs & planted) >= 297


def test_groups_follow_chains() -> None:
    groups = connected(list("abcdef"), [("a", "c"), ("c", "e"), ("b", "zz")])
    assert groups == [["a", "c", "e"], ["b"], ["d"], ["f"]]


def test_a_folder_is_read_with_its_folders_and_refused_in_words(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="holds no image"):
        pictures_in(tmp_path)
    with pytest.raises(CorpusError, match="no folder"):
        pictures_in(tmp_path / "gone")
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "one.JPG").touch()
    (tmp_path / "note.txt").touch()
    assert [one.path.name for one in pictures_in(tmp_path)] == ["one.JPG"]
