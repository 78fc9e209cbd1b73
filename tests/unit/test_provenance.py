"""What a generated file says of itself survives the file system, and nothing foreign passes."""

import io
import json
import re
import struct
import zlib
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, PngImagePlugin

from backend.abc.attributes import Asymmetry, Colour, LesionAttributes
from backend.abc.grammar import CaptionStyle
from backend.generation.errors import ForeignImageError
from backend.generation.provenance import (
    SYNTHETIC_XMP,
    TRAINED_ALGORITHMIC_MEDIA,
    Provenance,
    build_provenance,
    encode_png,
    encode_preview,
    parameters_text,
    read_png,
    write_phantom,
    write_png,
)
from backend.generation.request import SEEDS, GenerationRequest, LoraUse
from backend.images import encode_thumbnail, read_image

IPTC = "http://iptc.org/std/Iptc4xmpExt/2008-02-29/"
PIXELS = np.random.default_rng(1).integers(0, 256, (64, 80, 3), dtype=np.uint8)
visible = st.text(st.characters(exclude_categories=["Cc", "Cs", "Z"]), min_size=1, max_size=200)


def provenance(**changes: object) -> Provenance:
    values = {
        "caption": "A malignant lesion.",
        "style": CaptionStyle.PLAIN,
        "template": "plain/3",
        "attributes": LesionAttributes(asymmetry=Asymmetry.ONE_AXIS, colours=(Colour.BLACK,)),
        "seed": 7,
        "width": 80,
        "height": 64,
        "max_sequence_length": 128,
    }
    return build_provenance(
        GenerationRequest(**values | changes),
        model_hash="0123456789abcdef" * 4,
        scheduler="FlowMatchEulerDiscreteScheduler",
        precision="float32",
        device="cpu AVX2",
        threads=2,
        libraries={"torch": "2.0"},
    )


@settings(max_examples=60, deadline=None)
@given(
    caption=visible,
    seed=st.integers(0, SEEDS - 1),
    steps=st.integers(1, 100),
    guidance=st.floats(0, 20),
    colours=st.lists(st.sampled_from(Colour), max_size=4),
)
def test_every_request_comes_back_from_its_png(
    caption: str, seed: int, steps: int, guidance: float, colours: list[Colour]
):
    made = provenance(
        caption=caption,
        seed=seed,
        steps=steps,
        guidance_scale=guidance,
        attributes=LesionAttributes(colours=tuple(colours)),
    )
    data = encode_png(PIXELS, made)
    assert read_png(data) == made
    assert np.array_equal(read_image(data), PIXELS)


def test_equal_provenance_gives_equal_bytes():
    assert encode_png(PIXELS, provenance()) == encode_png(PIXELS, provenance())


def test_the_file_on_disk_is_the_encoded_image(tmp_path: Path):
    path = tmp_path / "new" / "image.png"
    size = write_png(path, PIXELS, provenance())
    assert path.stat().st_size == size
    assert read_png(path) == provenance()
    assert [file.name for file in path.parent.iterdir()] == ["image.png"]


def test_the_json_key_holds_every_fact_by_name():
    with Image.open(io.BytesIO(encode_png(PIXELS, provenance()))) as image:
        facts = json.loads(image.text["dermaflux"])
    assert facts["version"] == 1
    assert facts["synthetic"] is True
    assert facts["loras"] == []
    assert facts["accelerations"] == []
    assert facts["request"]["template"] == "plain/3"
    assert facts["request"]["attributes"]["colours"] == ["black"]
    assert {"model_hash", "scheduler", "precision", "device", "threads", "libraries"} <= set(facts)


def test_the_parameters_text_reads_as_other_programs_expect():
    text = parameters_text(provenance(caption="Ein schwarzes Mal, 黒い"))
    caption, facts = text.rsplit("\n", 1)
    assert caption == "Ein schwarzes Mal, 黒い"
    pairs = dict(re.findall(r"([A-Z][\w ]*): ([^,]+)(?:, |$)", facts))
    assert pairs["Steps"] == "20"
    assert pairs["Seed"] == "7"
    assert pairs["Size"] == "80x64"
    assert pairs["Distilled CFG Scale"] == "3.5"
    assert pairs["Model hash"] == "0123456789"
    with Image.open(io.BytesIO(encode_png(PIXELS, provenance(caption="黒い")))) as image:
        assert image.text["parameters"].startswith("黒い\nSteps: 20")


def test_loras_are_named_with_weight_and_hash_in_both_texts():
    hashes = ("a" * 64, "b" * 64)
    uses = (
        LoraUse(name="mole", weight=0.5, hash=hashes[0]),
        LoraUse(name="skin", weight=-1, hash=hashes[1]),
    )
    made = provenance(loras=uses)
    assert made.loras == hashes
    assert read_png(encode_png(PIXELS, made)).request.loras == uses
    caption, facts = parameters_text(made).rsplit("\n", 1)
    assert caption == "A malignant lesion. <lora:mole:0.5> <lora:skin:-1>"
    assert 'Lora hashes: "mole: aaaaaaaaaaaa, skin: bbbbbbbbbbbb"' in facts


def test_a_png_made_before_there_were_loras_still_reads():
    values = json.loads(provenance().model_dump_json())
    del values["request"]["loras"]
    assert read_png(png(dermaflux=json.dumps(values))) == provenance()


@pytest.mark.parametrize(
    "data",
    [
        encode_png(PIXELS, provenance()),
        encode_preview(PIXELS),
        encode_thumbnail(PIXELS, xmp=SYNTHETIC_XMP.encode()),
    ],
    ids=["image", "preview", "thumbnail"],
)
def test_every_file_of_a_synthetic_image_carries_the_mark(data: bytes):
    with Image.open(io.BytesIO(data)) as image:
        packet = image.info["xmp"].rstrip(b"\0")
    description = ET.fromstring(packet)[0][0]  # noqa: S314 - we wrote it
    assert description.attrib[f"{{{IPTC}}}DigitalSourceType"] == TRAINED_ALGORITHMIC_MEDIA


def test_a_phantom_says_that_it_was_drawn_and_what_it_shows(tmp_path: Path) -> None:
    truth = LesionAttributes(asymmetry=Asymmetry.TWO_AXES)
    write_phantom(tmp_path / "phantom.png", PIXELS, truth=truth, seed=5)
    with Image.open(tmp_path / "phantom.png") as image:
        facts = json.loads(image.text["dermaflux_phantom"])
        assert b"digitalsourcetype/algorithmicMedia" in image.info["xmp"]
    assert facts["synthetic"] is True
    assert facts["seed"] == 5
    assert LesionAttributes.model_validate(facts["truth"]) == truth
    with pytest.raises(ForeignImageError, match="carries no DermaFlux request"):
        read_png(tmp_path / "phantom.png")


def png(**text: str) -> bytes:
    info = PngImagePlugin.PngInfo()
    for key, value in text.items():
        info.add_itxt(key, value)
    buffer = io.BytesIO()
    Image.fromarray(PIXELS).save(buffer, "PNG", pnginfo=info)
    return buffer.getvalue()


def with_chunk(kind: bytes, body: bytes) -> bytes:
    """A PNG with one more chunk before its pixels."""
    whole = png()
    chunk = struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
    return whole[:33] + chunk + whole[33:]


def edited(**changes: object) -> str:
    return json.dumps(json.loads(provenance().model_dump_json()) | changes)


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"", "not a PNG"),
        (b"\xff\xd8\xff\xe0 a JPEG", "not a PNG"),
        (png(), "carries no DermaFlux request"),
        (png(parameters="a cat\nSteps: 20, Seed: 1"), "carries no DermaFlux request"),
        (encode_png(PIXELS, provenance())[:-200], "damaged"),
        (encode_png(PIXELS, provenance())[:40], "damaged"),
        (png(dermaflux="{"), "request in this PNG is damaged"),
        (png(dermaflux="[]"), "request in this PNG is damaged"),
        (png(dermaflux="[" * 100_000), "request in this PNG is damaged"),
        (png(dermaflux='{"version": 1}'), "request in this PNG is damaged"),
        (png(dermaflux=edited(version=2)), "newer DermaFlux Studio"),
        (png(dermaflux=edited(synthetic=False)), "request in this PNG is damaged"),
        (png(dermaflux=edited(command="rm -rf /")), "request in this PNG is damaged"),
        (with_chunk(b"zTXt", b"dermaflux\0\0" + zlib.compress(bytes(2**27))), "damaged"),
    ],
)
def test_a_foreign_or_damaged_png_gets_one_sentence(data: bytes, sentence: str):
    with pytest.raises(ForeignImageError, match=sentence):
        read_png(data)


def test_a_missing_file_gets_a_sentence(tmp_path: Path):
    with pytest.raises(ForeignImageError, match="damaged or gone"):
        read_png(tmp_path / "gone.png")
