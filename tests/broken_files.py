"""Files that nobody can read, of every kind, and odd ones that all can."""

import io
import random
import stat
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import h5py
import numpy as np
import pydicom
from PIL import Image
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    JPEGBaseline8Bit,
    generate_uid,
)

PERSON = "Muster^Anna"
"""Stands in every DICOM file that is written here."""
BOMB_SIDE = 30_000
SIDE = 48


def picture(seed: int, side: int = SIDE) -> Image.Image:
    """A smooth picture of its own."""
    pixels = np.random.default_rng(seed).integers(0, 256, (6, 6, 3), dtype=np.uint8)
    return Image.fromarray(pixels).resize((side, side), Image.Resampling.BICUBIC)


def encoded(image: Image.Image, form: str = "JPEG", **options: object) -> bytes:
    """The bytes of an image file."""
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def odd_pictures() -> dict[str, bytes]:
    """Picture files that are unusual, and sound: each is an image of the catalogue."""
    first, second = picture(6), picture(7)
    both = {"save_all": True, "append_images": [second]}
    return {
        "rgba.png": encoded(picture(2).convert("RGBA"), "PNG"),
        "grey-alpha.png": encoded(picture(2).convert("LA"), "PNG"),
        "cmyk.JPG": encoded(picture(3).convert("CMYK"), "JPEG"),
        "cmyk-plain.tiff": encoded(picture(3).convert("CMYK"), "TIFF"),
        "palette.png": encoded(picture(4).convert("P"), "PNG"),
        "palette-clear.png": encoded(picture(4).convert("P"), "PNG", transparency=3),
        "one-bit.PNG": encoded(picture(4).convert("1"), "PNG"),
        "grey.jpeg": encoded(picture(4).convert("L"), "JPEG"),
        "sixteen.png": encoded(Image.fromarray(np.full((40, 40), 30_000, np.uint16)), "PNG"),
        "sixteen-bits.TIF": encoded(Image.fromarray(np.full((40, 40), 30_000, np.uint16)), "TIFF"),
        "float.tif": encoded(Image.fromarray(np.full((40, 40), 0.5, np.float32)), "TIFF"),
        "jpeg-called.png": encoded(picture(5), "JPEG"),
        "png-called.jpg": encoded(picture(5), "PNG"),
        "dicom-called.jpg": dicom_bytes(np.asarray(picture(8))),
        "UPPER.JPEG": encoded(picture(5), "JPEG"),
        "pages.tif": encoded(first, "TIFF", **both),
        "moving.png": encoded(first, "PNG", **both),
        "moving-pictures.webp": encoded(first, "WEBP", **both),
        "plain.dcm": dicom_bytes(np.asarray(picture(9))),
        "jpeg-inside.DCM": jpeg_dicom(picture(10)),
        "deflated.dcm": dicom_bytes(np.asarray(picture(11)), DeflatedExplicitVRLittleEndian),
        "palette-inside.dcm": palette_dicom(),
        "sixteen-colours.dcm": dicom_bytes(np.asarray(picture(12)).astype(np.uint16) * 257),
    }


def broken_pictures(rng: random.Random) -> Iterator[tuple[str, bytes]]:
    """Picture files that no one can read, of each kind in turn."""
    jpeg, png, webp, tiff, bmp = (
        encoded(picture(1), form) for form in ("JPEG", "PNG", "WEBP", "TIFF", "BMP")
    )
    deep = encoded(Image.fromarray(np.arange(2304, dtype=np.uint16).reshape(48, 48)), "PNG")
    while True:
        yield "zero.jpg", b""
        yield "truncated.jpg", _cut(rng, jpeg)
        yield "truncated.PNG", _cut(rng, png)
        yield "truncated.webp", _cut(rng, webp)
        yield "truncated.tiff", _cut(rng, tiff)
        yield "truncated.bmp", _cut(rng, bmp)
        yield "truncated-rgba.png", _cut(rng, encoded(picture(1).convert("RGBA"), "PNG"))
        yield "truncated-cmyk.jpg", _cut(rng, encoded(picture(1).convert("CMYK"), "JPEG"))
        yield "truncated-palette.png", _cut(rng, encoded(picture(1).convert("P"), "PNG"))
        yield "truncated-sixteen.png", _cut(rng, deep)
        yield "text.jpeg", b"<html>404 not found</html>" * rng.randrange(1, 9)
        yield "document.JPG", b"%PDF-1.7\n" + rng.randbytes(200)
        yield "random.tif", b"\1" + rng.randbytes(rng.randrange(1, 900))
        yield "bomb.png", png_bomb() + png_chunk(b"IDAT", rng.randbytes(40))
        yield "bomb.jpg", jpeg_bomb(jpeg)
        yield "bomb.bmp", bmp[:18] + struct.pack("<ii", BOMB_SIDE, BOMB_SIDE) + bmp[26:]
        yield "animated.gif", encoded(picture(1), "GIF")
        yield "tiny.bmp", encoded(picture(1, 4), "BMP")
        yield "header.webp", b"RIFF\x10\0\0\0WEBPVP8 " + rng.randbytes(9)


def broken_dicom(rng: random.Random) -> Iterator[tuple[str, bytes]]:
    """DICOM files without a picture that can be decoded, of each kind in turn."""
    pixels = np.asarray(picture(1))
    whole, jpeg = dicom_bytes(pixels), jpeg_dicom(picture(1))
    huge = bytearray(whole)
    for tag in (b"\x28\x00\x10\x00US\x02\x00", b"\x28\x00\x11\x00US\x02\x00"):
        at = huge.index(tag) + len(tag)
        huge[at : at + 2] = struct.pack("<H", BOMB_SIDE)
    while True:
        yield "no-pixels.dcm", dicom_bytes(None)
        yield "identity-alone.jpg", dicom_bytes(None)
        yield "truncated.dcm", whole[: rng.randrange(132, len(whole) * 2 // 3)]
        yield "truncated-jpeg.dcm", jpeg[: rng.randrange(132, len(jpeg) * 2 // 3)]
        yield "damaged.dcm", bytes(128) + b"DICM" + rng.randbytes(64)
        yield "bomb.dcm", bytes(huge)
        yield "no-jpeg-inside.dcm", jpeg_dicom(picture(1), rng.randbytes(200))


def write_broken_zip(file: Path, rng: random.Random, count: int) -> list[str]:
    """A zip of so many members that are not to be opened, or cannot be; returns their names."""
    names = []
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for number in range(count):
            name, data, kind = _broken_member(rng, number)
            info = zipfile.ZipInfo(name)
            info.compress_type = zipfile.ZIP_DEFLATED
            if kind == "link":
                info.external_attr = (stat.S_IFLNK | 0o777) << 16
            archive.writestr(info, data)
            names.append(name)
    return names


def _broken_member(rng: random.Random, number: int) -> tuple[str, bytes, str]:
    sound = encoded(picture(number))
    kinds: list[tuple[str, bytes, str]] = [
        (f"../nevus/{number}.jpg", sound, ""),
        (f"nevus/../../{number}.jpg", sound, ""),
        (f"..\\nevus\\{number}.jpg", sound, ""),
        (f"/nevus/{number}.jpg", sound, ""),
        (f"C:\\nevus\\{number}.jpg", sound, ""),
        (f"nevus/{number}.jpg", b"/etc/passwd", "link"),
        (f"nevus/{number}.jpg", b"", ""),
        (f"nevus/{number}.png", _cut(rng, sound), ""),
        (f"nevus/{number}.JPG", rng.randbytes(300), ""),
    ]
    return kinds[number % len(kinds)]


def write_zip_bomb(file: Path) -> str:
    """A zip whose one member unpacks to a thousand times its size; returns its name."""
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("nevus/bomb.jpg", bytes(80 * 2**20))
    return "nevus/bomb.jpg"


def write_damaged_zip(file: Path, rng: random.Random) -> str:
    """A sound zip in whose one member bytes were turned; returns its name."""
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("nevus/turned.jpg", encoded(picture(1, 64)))
    data = bytearray(file.read_bytes())
    for _ in range(8):
        data[rng.randrange(60, 400)] ^= rng.randrange(1, 256)
    file.write_bytes(data)
    return "nevus/turned.jpg"


def write_broken_hdf5(file: Path, rng: random.Random, count: int) -> list[str]:
    """An HDF5 file of so many entries that hold no picture; returns their names."""
    sound = encoded(picture(1))
    kinds: list[Callable[[], object]] = [
        lambda: np.void(_cut(rng, sound)),
        lambda: np.frombuffer(rng.randbytes(300), np.uint8),
        lambda: b"no picture",
        lambda: "text",
        lambda: 3.5,
        lambda: np.zeros((4, 4), np.float32),
        lambda: np.zeros(0, np.uint8),
        lambda: h5py.ExternalLink("/etc/passwd", "x"),
        lambda: h5py.SoftLink("/nowhere"),
    ]
    names = [f"ISIC_{number:04d}" for number in range(count)]
    with h5py.File(file, "w") as opened:
        for number, name in enumerate(names):
            if number % 11 == 0:
                opened.create_group(name)
            elif number % 11 == 1:
                opened.create_dataset(name, (2**29,), np.uint8, chunks=True, compression="gzip")
            else:
                opened[name] = kinds[number % len(kinds)]()
    return names


def dicom_bytes(
    pixels: np.ndarray | None, syntax: pydicom.uid.UID = ExplicitVRLittleEndian
) -> bytes:
    """A DICOM file of a person, with a picture (H, W, 3) of 8 or 16 bits or without one."""
    dataset = _person(syntax)
    if pixels is not None:
        _describe(dataset, pixels)
        dataset.PixelData = pixels.tobytes()
    return _saved(dataset)


def jpeg_dicom(image: Image.Image, data: bytes | None = None) -> bytes:
    """A DICOM file whose picture is a JPEG, or is these bytes and says that it is one."""
    dataset = _person(JPEGBaseline8Bit)
    _describe(dataset, np.asarray(image))
    dataset.PhotometricInterpretation = "YBR_FULL_422"
    dataset.PixelData = encapsulate([data or encoded(image)])
    dataset["PixelData"].is_undefined_length = True
    return _saved(dataset)


def palette_dicom() -> bytes:
    """A DICOM file of one colour, (200, 100, 50), that its palette has under the number 7."""
    dataset = _person(ExplicitVRLittleEndian)
    pixels = np.full((SIDE, SIDE), 7, np.uint8)
    _describe(dataset, pixels)
    dataset.PixelData = pixels.tobytes()
    dataset.PhotometricInterpretation = "PALETTE COLOR"
    for channel, value in (("Red", 200), ("Green", 100), ("Blue", 50)):
        setattr(dataset, f"{channel}PaletteColorLookupTableDescriptor", [256, 0, 16])
        table = np.full(256, value * 257, np.uint16).tobytes()
        setattr(dataset, f"{channel}PaletteColorLookupTableData", table)
    return _saved(dataset)


def deflated_bomb() -> bytes:
    """A DICOM file of a few hundred kilobytes that unpacks to 300 MB."""
    head = dicom_bytes(None, DeflatedExplicitVRLittleEndian)
    length = int.from_bytes(head[140:144], "little")
    deflate = zlib.compressobj(9, wbits=-zlib.MAX_WBITS)
    zeros = b"".join([*(deflate.compress(bytes(2**20)) for _ in range(300)), deflate.flush()])
    return head[: 144 + length] + zeros


def png_bomb() -> bytes:
    """The beginning of a PNG that says it is 30,000 pixels wide and high."""
    header = struct.pack(">IIBBBBB", BOMB_SIDE, BOMB_SIDE, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", header)


def png_chunk(kind: bytes, data: bytes) -> bytes:
    """A chunk of a PNG with its checksum."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def jpeg_bomb(jpeg: bytes) -> bytes:
    """A JPEG whose frame header says that it is 30,000 pixels wide and high."""
    at = jpeg.index(b"\xff\xc0") + 5
    return jpeg[:at] + struct.pack(">HH", BOMB_SIDE, BOMB_SIDE) + jpeg[at + 4 :]


def _cut(rng: random.Random, data: bytes) -> bytes:
    return data[: rng.randrange(8, len(data) * 2 // 3)]


def _person(syntax: pydicom.uid.UID) -> FileDataset:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = pydicom.uid.VLPhotographicImageStorage
    meta.MediaStorageSOPInstanceUID = generate_uid(entropy_srcs=["broken files"])
    meta.TransferSyntaxUID = syntax
    dataset = FileDataset(None, {}, file_meta=meta, preamble=b"\0" * 128)
    dataset.PatientName = PERSON
    return dataset


def _describe(dataset: FileDataset, pixels: np.ndarray) -> None:
    dataset.Rows, dataset.Columns = pixels.shape[:2]
    dataset.SamplesPerPixel = 3 if pixels.ndim == 3 else 1
    dataset.PhotometricInterpretation = "RGB" if pixels.ndim == 3 else "MONOCHROME2"
    dataset.PlanarConfiguration = 0
    dataset.BitsAllocated = dataset.BitsStored = pixels.itemsize * 8
    dataset.HighBit = dataset.BitsStored - 1
    dataset.PixelRepresentation = 0


def _saved(dataset: FileDataset) -> bytes:
    buffer = io.BytesIO()
    dataset.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()
