"""The door for foreign pixels: what comes in is upright sRGB, or one sentence says why not."""

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms

from backend.images import (
    MAX_FILE_BYTES,
    ImageError,
    encode_thumbnail,
    pixel_hash,
    read_image,
    resize,
    write_image,
)


def pixels(height: int = 24, width: int = 36, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def encoded(image: Image.Image, format_: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format_, **options)
    return buffer.getvalue()


@pytest.mark.parametrize("format_", ["PNG", "BMP", "TIFF"])
def test_lossless_formats_come_in_unchanged(format_: str):
    original = pixels()
    assert np.array_equal(read_image(encoded(Image.fromarray(original), format_)), original)


def test_a_written_image_is_read_back_unchanged(tmp_path: Path) -> None:
    write_image(tmp_path / "new" / "image.png", pixels())
    assert np.array_equal(read_image(tmp_path / "new" / "image.png"), pixels())


def test_exif_turns_the_image_upright_and_does_not_stay():
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera lay on its side: turn a quarter clockwise
    exif[0x010E] = "patient name"
    picture = np.zeros((16, 32, 3), np.uint8)
    picture[:, :16] = 255
    data = encoded(Image.fromarray(picture), "TIFF", exif=exif)
    upright = read_image(data)
    assert upright.shape == (32, 16, 3)
    assert upright[0].min() == 255
    assert upright[-1].max() == 0
    assert b"patient" not in encode_thumbnail(upright)


def test_transparency_is_laid_on_white():
    layer = Image.new("RGBA", (8, 8), (200, 10, 10, 0))
    assert read_image(encoded(layer)).min() == 255


def test_a_transparent_palette_colour_is_laid_on_white():
    image = Image.new("P", (4, 4), 0)
    image.putpalette([9, 9, 9, 200, 0, 0])
    assert read_image(encoded(image, transparency=0)).min() == 255


def test_sixteen_bit_grey_keeps_its_range():
    ramp = np.linspace(0, 65_535, 256).astype(np.uint16).reshape(16, 16)
    image = read_image(encoded(Image.fromarray(ramp)))
    assert image.shape == (16, 16, 3)
    assert (image.min(), image.max()) == (0, 255)


def test_cmyk_comes_in_as_rgb():
    assert read_image(encoded(Image.new("CMYK", (8, 8)), "JPEG")).shape == (8, 8, 3)


def test_a_colour_profile_is_converted_to_srgb():
    red = Image.new("RGB", (8, 8), (180, 60, 60))
    lab_white = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    same = read_image(encoded(red, icc_profile=lab_white))
    broken = read_image(encoded(red, icc_profile=b"no profile"))
    assert np.abs(same.astype(int) - (180, 60, 60)).max() <= 1
    assert np.array_equal(broken[0, 0], (180, 60, 60))


def test_a_decompression_bomb_is_refused_before_it_is_unpacked():
    with pytest.raises(ImageError, match=r"bomb\.png is too large"):
        read_image(png_header(60_000, 60_000), name="bomb.png")
    with pytest.raises(ImageError, match="too large"):
        read_image(png_header(200_000, 10), name="long.png")


def test_a_huge_file_is_refused_before_it_is_read(tmp_path: Path):
    file = tmp_path / "huge.png"
    with file.open("wb") as stream:
        stream.truncate(MAX_FILE_BYTES + 1)
    with pytest.raises(ImageError, match=r"huge\.png is too large"):
        read_image(file)


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"", "is empty"),
        (b"not an image at all", "is not an image that can be read"),
        (b"GIF89a" + bytes(100), "is not an image that can be read"),
    ],
)
def test_what_is_no_image_gets_one_sentence(data: bytes, sentence: str):
    with pytest.raises(ImageError, match=sentence):
        read_image(data)


def test_a_missing_file_is_named(tmp_path: Path):
    with pytest.raises(ImageError, match=r"gone\.png cannot be opened"):
        read_image(tmp_path / "gone.png")


@pytest.mark.parametrize("format_", ["PNG", "JPEG", "WEBP", "TIFF", "BMP"])
def test_a_truncated_file_is_damaged(format_: str):
    whole = encoded(Image.fromarray(pixels(64, 64)), format_)
    with pytest.raises(ImageError, match=r"damaged|not an image"):
        read_image(whole[: len(whole) * 2 // 3])


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=300), st.sampled_from(["PNG", "JPEG", "WEBP", "TIFF", "BMP"]), st.data())
def test_damaged_bytes_end_in_pixels_or_a_sentence_never_in_a_crash(
    noise: bytes, format_: str, data: st.DataObject
):
    whole = bytearray(encoded(Image.fromarray(pixels(9, 11)), format_))
    start = data.draw(st.integers(0, len(whole) - 1))
    whole[start : start + len(noise)] = noise
    try:
        image = read_image(bytes(whole))
    except ImageError as error:
        assert str(error).endswith(".")
    else:
        assert image.dtype == np.uint8
        assert image.shape[2] == 3


def test_a_thumbnail_is_small_and_keeps_the_proportions():
    with Image.open(io.BytesIO(encode_thumbnail(pixels(600, 900), xmp=b"<x/>"))) as image:
        assert image.format == "WEBP"
        assert image.size == (256, 171)
        assert image.info["xmp"] == b"<x/>"


def test_a_small_image_is_never_enlarged():
    small = pixels(20, 30)
    assert resize(small, 256) is small


def test_the_hash_is_of_the_pixels_and_their_shape():
    image = pixels(8, 12)
    changed = image.copy()
    changed[3, 3, 1] ^= 1
    hashes = {pixel_hash(image), pixel_hash(changed), pixel_hash(image.reshape(12, 8, 3))}
    assert len(hashes) == 3
    assert pixel_hash(image) == pixel_hash(read_image(encoded(Image.fromarray(image))))


def png_header(width: int, height: int) -> bytes:
    """A PNG that promises so many pixels and holds none."""
    chunk = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = b"IDAT" + zlib.compress(b"")
    parts = [
        struct.pack(">I", len(part) - 4) + part + struct.pack(">I", zlib.crc32(part))
        for part in (chunk, data)
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)
