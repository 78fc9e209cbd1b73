"""What a synthetic image says of itself: where it comes from, and that it is synthetic.

A generated PNG carries it three times: a versioned JSON object under the key `dermaflux`, the text
under `parameters` that AUTOMATIC1111 introduced and most viewers read, and XMP with the digital
source type of the IPTC (https://cv.iptc.org/newscodes/digitalsourcetype/).
"""

import io
import json
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

from PIL import Image
from PIL.PngImagePlugin import PngInfo
from pydantic import BaseModel, ConfigDict, ValidationError

from backend.abc.attributes import LesionAttributes
from backend.files import write_file
from backend.generation.errors import ForeignImageError
from backend.generation.lora.layouts import Family
from backend.generation.profile import Profile
from backend.generation.request import GenerationRequest
from backend.images import ImageError, ImageTooLargeError, Pixels, read_image

VERSION = 1
JSON_KEY = "dermaflux"
PARAMETERS_KEY = "parameters"
XMP_KEY = "XML:com.adobe.xmp"
TRAINED_ALGORITHMIC_MEDIA = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
ALGORITHMIC_MEDIA = "http://cv.iptc.org/newscodes/digitalsourcetype/algorithmicMedia"
"""Drawn by a formula that was not trained on anything: a phantom."""
PHANTOM_KEY = "dermaflux_phantom"
FIGURE_KEY = "dermaflux_figure"
_XMP = (
    '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>'
    '<x:xmpmeta xmlns:x="adobe:ns:meta/">'
    '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    '<rdf:Description rdf:about="" '
    'xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/" '
    'xmlns:xmp="http://ns.adobe.com/xap/1.0/" '
    'Iptc4xmpExt:DigitalSourceType="{source}" '
    'xmp:CreatorTool="DermaFlux Studio"/>'
    '</rdf:RDF></x:xmpmeta><?xpacket end="r"?>'
)
SYNTHETIC_XMP = _XMP.format(source=TRAINED_ALGORITHMIC_MEDIA)
PHANTOM_XMP = _XMP.format(source=ALGORITHMIC_MEDIA)
_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"


class Provenance(BaseModel):
    """Everything that must be the same for the pixels to be the same, and the mark.

    `request` is that of this one image; `model_hash`, the hashes in `loras` and that of the
    classifier behind attribute guidance are SHA-256 over tensors. Equal runs give equal
    provenance, hence equal files: no time of day is in it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())

    version: Literal[1] = 1
    synthetic: Literal[True] = True
    request: GenerationRequest
    family: Family = Family.FLUX
    model_hash: str
    classifier_hash: str | None = None
    loras: tuple[str, ...] = ()
    scheduler: str
    precision: str
    device: str
    threads: int
    profile: Profile = Profile.EXACT
    accelerations: tuple[str, ...] = ()
    libraries: Mapping[str, str]


def build_provenance(
    request: GenerationRequest,
    *,
    family: Family = Family.FLUX,
    model_hash: str,
    classifier_hash: str | None = None,
    scheduler: str,
    precision: str,
    device: str,
    threads: int,
    libraries: Mapping[str, str],
    profile: Profile = Profile.EXACT,
    accelerations: Sequence[str] = (),
) -> Provenance:
    """The provenance of one image; a plain pipeline is exact and has no accelerations.

    The request has been prepared: each of its LoRAs carries its hash.
    """
    return Provenance(
        request=request,
        family=family,
        model_hash=model_hash,
        classifier_hash=classifier_hash,
        loras=tuple(str(use.hash) for use in request.loras),
        scheduler=scheduler,
        precision=precision,
        device=device,
        threads=threads,
        profile=profile,
        accelerations=tuple(accelerations),
        libraries=dict(libraries),
    )


def write_png(path: Path, pixels: Pixels, provenance: Provenance) -> int:
    """Write the image (H, W, 3) with its provenance, whole or not at all; returns its bytes.

    Raises:
        FileError: disk full or any other refusal of the file system.
    """
    data = encode_png(pixels, provenance)
    write_file(path, data)
    return len(data)


def encode_png(pixels: Pixels, provenance: Provenance) -> bytes:
    """The PNG file of an image (H, W, 3) with its provenance."""
    text = PngInfo()
    text.add_itxt(JSON_KEY, provenance.model_dump_json())
    text.add_text(PARAMETERS_KEY, parameters_text(provenance))
    return _encode(pixels, text)


def encode_preview(pixels: Pixels) -> bytes:
    """A PNG that says only that it is synthetic: an image still in the making."""
    return _encode(pixels, PngInfo())


def write_phantom(path: Path, pixels: Pixels, *, truth: LesionAttributes, seed: int) -> None:
    """Write a phantom (H, W, 3) with what it shows and the mark that it was computed.

    Raises:
        FileError: disk full or any other refusal of the file system.
    """
    facts = {"synthetic": True, "seed": seed, "truth": truth.model_dump(mode="json")}
    text = PngInfo()
    text.add_itxt(PHANTOM_KEY, json.dumps(facts))
    write_file(path, _encode(pixels, text, PHANTOM_XMP))


def write_figure(path: Path, pixels: Pixels, facts: Mapping[str, object]) -> None:
    """Write a picture of several synthetic images (H, W, 3), marked as they are; `facts` is JSON.

    Raises:
        FileError: disk full or any other refusal of the file system.
    """
    text = PngInfo()
    text.add_itxt(FIGURE_KEY, json.dumps({"synthetic": True, **facts}))
    write_file(path, _encode(pixels, text))


def read_png(source: Path | bytes) -> Provenance:
    """The provenance of a PNG of ours.

    Raises:
        ForeignImageError: no PNG, broken, too large, without a request of this studio, or from a
            later version of it.
    """
    try:
        data = source if isinstance(source, bytes) else source.read_bytes()
        if not data.startswith(_PNG_SIGNATURE):
            raise ForeignImageError("This file is not a PNG: drop a PNG that this studio made.")
        read_image(data, name="The PNG")
        with Image.open(io.BytesIO(data), formats=("PNG",)) as image:
            text = image.info.get(JSON_KEY)
    except ImageTooLargeError as error:
        raise ForeignImageError(str(error)) from error
    except (ImageError, OSError, ValueError, SyntaxError, struct.error) as error:
        raise ForeignImageError("The PNG is damaged or gone: get a fresh copy.") from error
    if text is None:
        raise ForeignImageError(
            "This PNG carries no DermaFlux request: it was made elsewhere, or its text was "
            "stripped on the way. Use the file as the studio wrote it."
        )
    return parse_provenance(str(text))


def parse_provenance(text: str) -> Provenance:
    """Provenance from its JSON.

    Raises:
        ForeignImageError: not ours, damaged, or from a later version.
    """
    try:
        values = json.loads(text)
        version = values["version"]
        if isinstance(version, int) and version > VERSION:
            raise ForeignImageError(
                "This PNG was made by a newer DermaFlux Studio: update the studio to recall it."
            )
        # What was made before there was attribute guidance was made without it.
        request = {"attribute_guidance": 0.0, **values["request"]}
        return Provenance.model_validate({**values, "request": request})
    except (ValueError, KeyError, TypeError, RecursionError, ValidationError) as error:
        raise ForeignImageError(
            "The DermaFlux request in this PNG is damaged: use the file as the studio wrote it."
        ) from error


def parameters_text(provenance: Provenance) -> str:
    """The request in the `parameters` format of AUTOMATIC1111, LoRAs in angle brackets.

    FLUX runs without true classifier-free guidance, hence `CFG scale: 1`.
    """
    request = provenance.request
    facts = {
        "Steps": request.steps,
        **_sampler_facts(provenance),
        "Seed": request.seed,
        "Size": f"{request.width}x{request.height}",
        "Model hash": provenance.model_hash[:10],
        "Model": request.model,
        **_lora_hashes(request),
        **_attribute_guidance(request),
        "Profile": provenance.profile.value,
        "Synthetic": "true",
        "Version": "DermaFlux Studio",
    }
    prompt = "".join([request.caption, *_lora_tags(request)])
    if request.negative_caption:
        prompt += f"\nNegative prompt: {request.negative_caption}"
    return f"{prompt}\n" + ", ".join(f"{key}: {value}" for key, value in facts.items())


def _sampler_facts(provenance: Provenance) -> dict[str, object]:
    guidance = provenance.request.guidance_scale
    if provenance.family is Family.SD1:
        return {"Sampler": provenance.scheduler.removesuffix("Scheduler"), "CFG scale": guidance}
    flow = {"Sampler": "Euler", "Schedule type": "Flow match"}
    return flow | {"CFG scale": 1, "Distilled CFG Scale": guidance}


def _lora_tags(request: GenerationRequest) -> list[str]:
    return [f" <lora:{use.name}:{use.weight:g}>" for use in request.loras]


def _lora_hashes(request: GenerationRequest) -> dict[str, str]:
    if not request.loras:
        return {}
    hashes = ", ".join(f"{use.name}: {str(use.hash)[:12]}" for use in request.loras)
    return {"Lora hashes": f'"{hashes}"'}


def _attribute_guidance(request: GenerationRequest) -> dict[str, object]:
    return {"Attribute guidance": request.attribute_guidance} if request.attribute_guidance else {}


def _encode(pixels: Pixels, text: PngInfo, xmp: str = SYNTHETIC_XMP) -> bytes:
    text.add_itxt(XMP_KEY, xmp)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG", pnginfo=text, compress_level=6)
    return buffer.getvalue()
