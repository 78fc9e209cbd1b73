"""Standard copies: one scale, three ways to be square, no metadata; DICOM without its person."""

import io

import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

from backend.corpus.recipe import Encoding, Fit, Minimum, Recipe
from backend.corpus.standard import (
    TooSmallError,
    standard_copy,
)
from backend.images import ImageError, read_image


def wide_picture() -> bytes:
    """60 x 40, red in the left third, green in the middle, blue in the right."""
    pixels = np.zeros((40, 60, 3), np.uint8)
    for third in range(3):
        pixels[:, third * 20 : third * 20 + 20, third] = 255
    exif = Image.Exif()
    exif[0x010E] = "patient name"
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG", exif=exif)
    return buffer.getvalue()


def dicom_file(pixels: np.ndarray | None) -> bytes:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = pydicom.uid.VLPhotographicImageStorage
    meta.MediaStorageSOPInstanceUID = generate_uid()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset = FileDataset(None, {}, file_meta=meta, preamble=b"\0" * 128)
    dataset.PatientName = "Muster^Anna"
    if pixels is not None:
        dataset.Rows, dataset.Columns = pixels.shape[:2]
        dataset.SamplesPerPixel = 3 if pixels.ndim == 3 else 1
        dataset.PhotometricInterpretation = "RGB" if pixels.ndim == 3 else "MONOCHROME2"
        dataset.PlanarConfiguration = 0
        dataset.BitsAllocated = dataset.BitsStored = pixels.itemsize * 8
        dataset.HighBit = dataset.BitsStored - 1
        dataset.PixelRepresentation = 0
        dataset.PixelData = pixels.tobytes()
    buffer = io.BytesIO()
    dataset.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


@pytest.mark.parametrize(("fit", "channel"), [(Fit.CROP, 1), (Fit.SQUASH, 0)])
def test_a_picture_is_cropped_or_squashed(fit: Fit, channel: int) -> None:
    made = standard_copy(wide_picture(), "p.png", Recipe(side=48, fit=fit, encoding=Encoding.PNG))
    copy = read_image(made.copy)
    assert copy.shape == (48, 48, 3)
    # the left third ends at column 12 of the cropped picture and at 16 of the squashed one
    assert (copy[24, 14].argmax(), copy[24, 8].argmax(), copy[24, 24].argmax()) == (channel, 0, 1)
    assert (made.width, made.height) == (60, 40)


def test_a_padded_picture_is_whole() -> None:
    made = standard_copy(
        wide_picture(), "p.png", Recipe(side=48, fit=Fit.PAD, encoding=Encoding.PNG)
    )
    copy = read_image(made.copy)
    assert copy[0].max() == 0
    assert copy[24, 2, 0] > 250
    assert copy[24, 45, 2] > 250


def test_no_copy_carries_what_the_original_said() -> None:
    for encoding in Encoding:
        made = standard_copy(wide_picture(), "p.png", Recipe(side=320, encoding=encoding))
        assert b"patient" not in made.copy + made.thumbnail
        assert read_image(made.thumbnail).shape == (256, 256, 3)
    assert standard_copy(wide_picture(), "p.png", Recipe(side=128)).thumbnail == b""


@pytest.mark.parametrize(
    ("minimum", "of", "passes"),
    [
        (40, Minimum.SHORTER_SIDE, True),
        (41, Minimum.SHORTER_SIDE, False),
        (60, Minimum.LONGER_SIDE, True),
        (61, Minimum.LONGER_SIDE, False),
        (10**6, Minimum.FILE_SIZE, False),
    ],
)
def test_the_smallest_size_is_measured_as_asked(minimum: int, of: Minimum, passes: bool) -> None:
    recipe = Recipe(side=64, minimum=minimum, minimum_of=of)
    if passes:
        standard_copy(wide_picture(), "p.png", recipe)
        return
    with pytest.raises(TooSmallError, match=r"p\.png has .* fewer than the"):
        standard_copy(wide_picture(), "p.png", recipe)


def test_a_dicom_file_gives_its_pixels_and_nothing_of_its_person() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    made = standard_copy(dicom_file(pixels), "a.jpg", Recipe(side=32, encoding=Encoding.PNG))
    assert np.array_equal(read_image(made.copy), pixels)
    assert b"Muster" not in made.copy


def test_a_dicom_file_with_sixteen_bits_keeps_its_range() -> None:
    ramp = np.arange(1024, dtype=np.uint16).reshape(32, 32) * 60
    copy = read_image(
        standard_copy(dicom_file(ramp), "a.dcm", Recipe(side=32, encoding=Encoding.PNG)).copy
    )
    assert (copy.min(), copy.max()) == (0, 255)


@pytest.mark.parametrize("cut", [140, 300, -10])
def test_a_dicom_file_without_a_picture_is_one_sentence(cut: int) -> None:
    with pytest.raises(ImageError, match=r"a\.dcm is a DICOM file without a picture"):
        standard_copy(dicom_file(None), "a.dcm", Recipe())
    whole = dicom_file(np.zeros((32, 32, 3), np.uint8))
    with pytest.raises(ImageError, match=r"a\.dcm is a"):
        standard_copy(whole[:cut], "a.dcm", Recipe())
