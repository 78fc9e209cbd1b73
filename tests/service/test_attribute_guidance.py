"""A model's own classifier leads its images to their captions, or a sentence says why not."""

import json
import math
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import FluxPipeline
from safetensors.torch import load_file, save_file

from backend.abc.attributes import Asymmetry, Border, Colour, LesionAttributes
from backend.abc.parser import parse
from backend.generation.adherence import KIND as ADHERENCE
from backend.generation.adherence import read_report
from backend.generation.attribute_guidance.choice import attribute_guidance
from backend.generation.attribute_guidance.classifier import KINDS, stated_of, surprises
from backend.generation.attribute_guidance.files import classifier_files
from backend.generation.attribute_guidance.guide import AttributeClassifier, AttributeGuide
from backend.generation.errors import ModelError, RequestError
from backend.generation.gallery import ImageView
from backend.generation.model_folders import check_model
from backend.generation.models import (
    classifier_hash,
    find_model,
    usable_model,
    weights_fingerprint,
)
from backend.generation.provenance import JSON_KEY, parse_provenance, read_png
from backend.generation.request import make_request, stored_request
from backend.generation.running import KIND, prepare_request
from backend.images import read_image
from backend.jobs.queue import submit
from tests.service.studio import CAPTION, Studio, open_studio, tiny_request
from tests.tiny_models import TINY_CLASSIFIER, add_tiny_classifier


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory, tiny_flux: Path) -> Iterator[Studio]:
    studio = open_studio(tmp_path_factory.mktemp("studio"), tiny_flux)
    shutil.copytree(tiny_flux, studio.settings.models_dir / "led")
    add_tiny_classifier(studio.settings.models_dir / "led")
    yield studio
    studio.database.close()


@pytest.fixture(scope="module")
def classifier(studio: Studio) -> AttributeClassifier:
    return AttributeClassifier.load(studio.settings.models_dir / "led", "cpu")


def led(**changes: object) -> dict[str, object]:
    return {"model": "led", **changes}


def missed(
    classifier: AttributeClassifier, latents: torch.Tensor, sigma: float, lesion: LesionAttributes
) -> torch.Tensor:
    """What the strengths make of log-probabilities at the temperature, written out in float64."""
    network, config = classifier.network.double(), classifier.config
    logits = network(latents, torch.full((1,), sigma, dtype=torch.float64))
    classifier.network.float()
    total = torch.zeros((), dtype=torch.float64)
    for kind, values in KINDS.items():
        value = getattr(lesion, kind)
        if value is not None:
            cooled = logits[kind][0].double() / config.temperature
            place = list(values).index(value)
            total = total - config.strengths[kind] * (cooled[place] - cooled.exp().sum().log())
    if lesion.colours:
        for place, colour in enumerate(Colour):
            sign = 1 if colour in lesion.colours else -1
            told = sign * logits["colours"][0, place].double() / config.temperature
            total = total + config.strengths["colours"] * (1 + (-told).exp()).log()
    return total


@pytest.mark.parametrize(
    "lesion",
    [
        LesionAttributes(asymmetry=Asymmetry.ONE_AXIS),
        LesionAttributes(border=Border.SLIGHTLY_IRREGULAR, colours=(Colour.BLACK, Colour.RED)),
        parse(CAPTION).attributes,
    ],
)
def test_the_slope_is_the_gradient_of_what_the_classifier_misses(
    classifier: AttributeClassifier, lesion: LesionAttributes
) -> None:
    latents = torch.randn(1, 16, 8, 8, generator=torch.Generator().manual_seed(1))
    slope = classifier.slope(latents, 0.4, stated_of([lesion]))
    direction = torch.randn(latents.shape, generator=torch.Generator().manual_seed(2)).double()
    step = 2e-3
    with torch.no_grad():
        ahead = missed(classifier, latents.double() + step * direction, 0.4, lesion)
        behind = missed(classifier, latents.double() - step * direction, 0.4, lesion)
    expected = float(ahead - behind) / (2 * step)
    assert float((slope.double() * direction).sum()) == pytest.approx(expected, rel=2e-3)


def test_a_step_moves_latents_by_what_guidance_adds_to_the_velocity(
    classifier: AttributeClassifier,
) -> None:
    stated = stated_of([LesionAttributes(border=Border.IRREGULAR)])
    latents = torch.randn(1, 16, 8, 8, generator=torch.Generator().manual_seed(3))
    packed = FluxPipeline._pack_latents(latents, 1, 16, 8, 8)
    for sigma, following in ((0.95, 0.9), (0.4, 0.3), (0.2, 0.0)):
        slope = classifier.slope(latents, sigma, stated)
        added = sigma / (1 - min(sigma, classifier.config.highest_sigma)) * slope
        moved = AttributeGuide(classifier, stated, 0.5).led(packed, sigma, following)
        back = FluxPipeline._unpack_latents(moved, 64, 64, 8)
        torch.testing.assert_close(back - latents, 0.5 * (following - sigma) * added)
        with torch.no_grad():
            before, after = (
                float(surprises(classifier.network(at, torch.tensor([sigma])), stated)["border"])
                for at in (latents, latents + 1e-3 * (back - latents))
            )
        assert after < before
    guide = AttributeGuide(classifier, stated, 1.0)
    assert torch.equal(guide.led(packed, 1.0, 0.9), packed)


def test_images_are_led_unless_it_is_switched_off_or_nothing_is_stated(studio: Studio) -> None:
    (full,) = studio.make(tiny_request(**led()))
    (again,) = studio.make(tiny_request(**led(attribute_guidance=1.0)))
    (half,) = studio.make(tiny_request(**led(attribute_guidance=0.5)))
    (off,) = studio.make(tiny_request(**led(attribute_guidance=0.0)))
    (plain,) = studio.make(tiny_request())
    assert full.pixel_hash == again.pixel_hash
    assert len({full.pixel_hash, half.pixel_hash, off.pixel_hash}) == 3
    assert off.pixel_hash == plain.pixel_hash
    (unsaid,) = studio.make(tiny_request(**led(caption="A photo.")))
    (unled,) = studio.make(tiny_request(caption="A photo."))
    assert unsaid.pixel_hash == unled.pixel_hash


def test_a_bare_pipeline_with_the_same_classifier_gives_the_same_pixels(
    studio: Studio, classifier: AttributeClassifier
) -> None:
    (image,) = studio.make(tiny_request(**led()))
    folder = studio.settings.models_dir / "led"
    bare = FluxPipeline.from_pretrained(folder, dtype=torch.float32)
    stated = stated_of([parse(CAPTION).attributes])

    def lead(pipeline: FluxPipeline, step: int, _time: object, values: dict) -> dict:
        sigmas = pipeline.scheduler.sigmas
        if step + 2 == len(sigmas):
            return values
        sigma, following = float(sigmas[step + 1]), float(sigmas[step + 2])
        latents = FluxPipeline._unpack_latents(values["latents"], 64, 64, 8)
        slope = classifier.slope(latents, sigma, stated)
        moved = latents + (following - sigma) * sigma / (1 - min(sigma, 0.9)) * slope
        return {"latents": FluxPipeline._pack_latents(moved, 1, 16, 8, 8)}

    expected = bare(
        CAPTION,
        width=64,
        height=64,
        num_inference_steps=4,
        guidance_scale=3.5,
        max_sequence_length=32,
        generator=torch.Generator("cpu").manual_seed(7),
        callback_on_step_end=lead,
    ).images[0]
    assert np.array_equal(read_image(image.path), np.asarray(expected))


def test_a_png_says_how_strongly_it_was_led_and_is_made_again(studio: Studio) -> None:
    (first,) = studio.make(tiny_request(**led(attribute_guidance=0.5, seed=3)))
    said = read_png(first.path)
    assert said.request.attribute_guidance == 0.5
    assert said.classifier_hash == classifier_hash(studio.settings.models_dir / "led")
    assert len(str(said.classifier_hash)) == 64
    (second,) = studio.make(said.request)
    assert second.path.read_bytes() == first.path.read_bytes()
    (plain,) = studio.make(tiny_request())
    assert read_png(plain.path).classifier_hash is None


def test_a_png_from_before_there_was_guidance_is_made_again_without(studio: Studio) -> None:
    from PIL import Image

    (image,) = studio.make(tiny_request(**led(attribute_guidance=0.0, seed=5)))
    with Image.open(image.path) as file:
        values = json.loads(file.info[JSON_KEY])
    del values["request"]["attribute_guidance"], values["classifier_hash"]
    recalled = parse_provenance(json.dumps(values)).request
    (again,) = studio.make(recalled)
    assert again.pixel_hash == image.pixel_hash


def test_a_stored_request_from_before_there_was_guidance_is_not_led(studio: Studio) -> None:
    (image,) = studio.make(tiny_request(**led(seed=6)))
    old = image.request.model_dump(mode="json", exclude={"attribute_guidance"})
    assert stored_request(old).attribute_guidance == 0.0
    assert stored_request(image.request.model_dump(mode="json")) == image.request
    (unprepared,) = _retried(studio, old)
    (off,) = studio.make(tiny_request(**led(seed=6, attribute_guidance=0.0)))
    assert unprepared.pixel_hash == off.pixel_hash != image.pixel_hash
    assert read_png(unprepared.path).classifier_hash is None


def _retried(studio: Studio, payload: dict[str, object]) -> list[ImageView]:
    """What a job that an earlier studio queued makes now."""
    submit(studio.database, kind=KIND, payload=payload, title="old", total=4)
    return studio.images(studio.work().id)


def test_the_identity_of_a_classifier_has_its_strengths_in_it(
    tiny_flux: Path, tmp_path: Path
) -> None:
    shutil.copytree(tiny_flux, tmp_path / "one")
    folder = add_tiny_classifier(tmp_path / "one")
    before = classifier_hash(tmp_path / "one"), weights_fingerprint(tmp_path / "one")
    (folder / "config.json").write_text(json.dumps({**TINY_CLASSIFIER, "temperature": 3.0}))
    after = classifier_hash(tmp_path / "one"), weights_fingerprint(tmp_path / "one")
    assert before[0] != after[0]
    assert before[1] != after[1]


def test_an_adherence_run_tells_how_its_images_were_led(studio: Studio) -> None:
    def report(**changes: object) -> dict[str, object]:
        payload = {"model": "led", "count": 1, **changes}
        job = submit(studio.database, kind=ADHERENCE, payload=payload, title="led", total=1)
        assert studio.work().error is None
        return read_report(studio.settings.jobs_dir / job)

    led_, unled = report(), report(attribute_guidance=0)
    assert led_["attribute_guidance"] == 1.0
    assert led_["classifier_hash"] == classifier_hash(studio.settings.models_dir / "led")
    assert (unled["attribute_guidance"], unled["classifier_hash"]) == (0.0, None)


def test_a_check_of_a_model_reads_its_classifier(studio: Studio) -> None:
    with_, without = (check_model(studio.settings, name) for name in ("led", "tiny"))
    assert with_.files == without.files + len(classifier_files(studio.settings.models_dir / "led"))
    assert with_.hash == without.hash


def test_what_is_left_open_is_said_in_the_prepared_request(studio: Studio) -> None:
    def prepared(**changes: object) -> float | None:
        request = tiny_request(**changes)
        return prepare_request(studio.database, studio.settings, request).attribute_guidance

    assert prepared(**led()) == 1.0
    assert prepared(**led(width=128)) == 0.0
    assert prepared(model="tiny") is None
    mole = {"name": "mole", "weight": 0.5}
    with_lora = tiny_request(**led(loras=[mole]))
    entry = usable_model(studio.settings, "led")
    assert attribute_guidance(entry, with_lora) == 0.0
    asked = with_lora.model_copy(update={"attribute_guidance": 0.5})
    assert attribute_guidance(entry, asked) == 0.5
    assert prepared(model="tiny", attribute_guidance=0.0) is None
    with pytest.raises(RequestError, match="Tiny FLUX has attribute guidance in no size: leave it"):
        prepared(model="tiny", attribute_guidance=1.0)
    with pytest.raises(RequestError, match="at 64 x 64 pixels only: leave it empty"):
        prepared(**led(width=128, attribute_guidance=1.0))
    for bad in (-0.1, 2.1, math.nan, math.inf):
        with pytest.raises(RequestError, match="The attribute guidance must be between 0 and 2"):
            make_request({"caption": "A mole.", "seed": 1, "attribute_guidance": bad})


def _damage(folder: Path, how: str) -> None:
    weights, config = folder / "model.safetensors", folder / "config.json"
    bad_configs = {
        "no strengths": {"strengths": {}},
        "strength": {"strengths": {**TINY_CLASSIFIER["strengths"], "border": -1.0}},
        "unknown": {"colour": 1},
        "temperature": {"temperature": 0},
        "side": {"image_size": 50},
    }
    if how in bad_configs:
        config.write_text(json.dumps({**TINY_CLASSIFIER, **bad_configs[how]}))
    elif how == "no config":
        config.unlink()
    elif how == "no JSON":
        config.write_text("{")
    elif how == "no weights":
        weights.unlink()
    elif how == "truncated":
        weights.write_bytes(weights.read_bytes()[:-100])
    else:
        (folder / "model.bin").write_bytes(b"\x80\x04.")


@pytest.mark.parametrize(
    ("how", "sentence"),
    [
        ("no config", "incomplete, attribute_classifier/config.json is missing"),
        ("no JSON", "config.json of the model broken is damaged"),
        (
            "no strengths",
            "attribute_classifier/config.json of the model broken has a bad strengths",
        ),
        ("strength", "has a bad strengths"),
        ("unknown", "has a bad colour"),
        ("temperature", "has a bad temperature"),
        ("side", "has a bad image_size"),
        ("no weights", "attribute_classifier/model.safetensors cannot be read"),
        ("truncated", "attribute_classifier/model.safetensors are truncated"),
        ("pickle", "attribute_classifier/model.bin, a pickle"),
    ],
)
def test_a_broken_classifier_is_said_and_its_model_not_used(
    studio: Studio, tiny_flux: Path, how: str, sentence: str
) -> None:
    folder = studio.settings.models_dir / "broken"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(tiny_flux, folder)
    try:
        _damage(add_tiny_classifier(folder), how)
        problem = find_model(studio.settings, "broken").problem
        assert problem is not None
        assert sentence in problem
        with pytest.raises(ModelError):
            usable_model(studio.settings, "broken")
    finally:
        shutil.rmtree(folder)


def test_weights_that_do_not_fit_the_configuration_end_the_job_in_a_sentence(
    studio: Studio, tiny_flux: Path
) -> None:
    folder = studio.settings.models_dir / "unfit"
    shutil.copytree(tiny_flux, folder)
    file = add_tiny_classifier(folder) / "model.safetensors"
    save_file({"head.weight": load_file(file)["head.weight"]}, file)
    studio.submit(tiny_request(model="unfit"))
    job = studio.work()
    shutil.rmtree(folder)
    assert "attribute_classifier of the model unfit cannot be loaded" in str(job.error)
