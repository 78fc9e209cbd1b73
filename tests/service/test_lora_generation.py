"""LoRAs in pictures: the same weights in any layout, beside the model and never in it."""

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from backend.generation.errors import LoraError
from backend.generation.gallery import ImageView
from backend.generation.lora.adapters import MOST_WARM, apply_loras
from backend.generation.lora.choice import choose_loras
from backend.generation.lora.shelf import add_lora, get_lora, remove_lora
from backend.generation.models import usable_model
from backend.generation.pipelines import choose_device, load_model
from backend.generation.provenance import parameters_text, read_png
from backend.images import read_image
from backend.jobs.queue import job_log
from backend.jobs.states import JobState
from tests.lora_files import Tensors, as_diffusers, as_xlabs, kohya_lora, only, save_lora
from tests.service.studio import Studio, open_studio, tiny_request

TINY, STARTER = 32, 256


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory, tiny_flux: Path) -> Iterator[Studio]:
    """One workspace for all tests here, with LoRAs a and b on its shelf."""
    studio = open_studio(tmp_path_factory.mktemp("studio"), tiny_flux)
    shelve(studio, "a", kohya_lora(hidden=TINY, seed=1, alpha=2))
    shelve(studio, "b", kohya_lora(hidden=TINY, seed=2))
    yield studio
    studio.database.close()


def shelve(
    studio: Studio, name: str, tensors: Tensors, metadata: dict[str, str] | None = None
) -> None:
    path = studio.settings.workspace / "arrivals" / f"{name}.safetensors"
    add_lora(studio.database, studio.settings, save_lora(path, tensors, metadata), name=name)


def picture(studio: Studio, *loras: tuple[str, float], **changes: object) -> ImageView:
    uses = [{"name": name, "weight": weight} for name, weight in loras]
    (image,) = studio.make(tiny_request(loras=uses, **changes))
    return image


def pixels(studio: Studio, *loras: tuple[str, float], **changes: object) -> str:
    return picture(studio, *loras, **changes).pixel_hash


@pytest.mark.parametrize(
    ("model", "hidden", "single"), [("tiny", TINY, 1), ("starter", STARTER, 4)]
)
def test_the_same_weights_in_kohya_and_in_diffusers_layout_give_the_same_pixels(
    studio: Studio, model: str, hidden: int, single: int
) -> None:
    tensors = kohya_lora(hidden=hidden, single=single, seed=5, alpha=2)
    shelve(studio, f"{model}-kohya", tensors)
    shelve(studio, f"{model}-diffusers", as_diffusers(tensors, hidden))
    plain = pixels(studio, model=model, steps=2)
    kohya = pixels(studio, (f"{model}-kohya", 0.8), model=model, steps=2)
    diffusers = pixels(studio, (f"{model}-diffusers", 0.8), model=model, steps=2)
    assert kohya == diffusers
    assert kohya != plain
    assert pixels(studio, model=model, steps=2) == plain


def test_xlabs_gives_the_pixels_of_the_same_attention_in_diffusers_layout(studio: Studio) -> None:
    attention = only(kohya_lora(hidden=TINY, seed=6), "attn", "linear1")
    shelve(studio, "xlabs", as_xlabs(attention, TINY))
    without_mlp = {
        name: tensor
        for name, tensor in as_diffusers(attention, TINY).items()
        if "proj_mlp" not in name
    }
    shelve(studio, "same", without_mlp)
    assert pixels(studio, ("xlabs", 1)) == pixels(studio, ("same", 1)) != pixels(studio)


def test_a_lora_adds_its_product_to_the_weights_as_often_as_its_weight_says(
    studio: Studio,
) -> None:
    from diffusers import FluxPipeline

    bare = FluxPipeline.from_pretrained(studio.settings.models_dir / "tiny", dtype=torch.float32)
    added = as_diffusers(load_file(get_lora(studio.database, studio.settings, "a").path), TINY)
    for key, down in added.items():
        if key.endswith(".lora_A.weight"):
            layer = key.removeprefix("transformer.").removesuffix(".lora_A.weight")
            up = added[key.replace("lora_A", "lora_B")]
            bare.transformer.get_submodule(layer).weight.data += -0.5 * up @ down
    request = tiny_request()
    expected = bare(
        request.caption,
        width=64,
        height=64,
        num_inference_steps=4,
        guidance_scale=3.5,
        max_sequence_length=32,
        generator=torch.Generator("cpu").manual_seed(7),
    ).images[0]
    made = read_image(picture(studio, ("a", -0.5)).path).astype(int)
    assert np.abs(made - np.asarray(expected).astype(int)).max() <= 1
    plain = read_image(picture(studio).path).astype(int)
    assert np.abs(made - plain).max() > 1


def test_without_a_lora_and_at_weight_zero_the_pixels_are_those_of_the_model(
    studio: Studio,
) -> None:
    plain = pixels(studio)
    assert pixels(studio, ("a", 1)) != plain
    assert pixels(studio) == plain
    assert pixels(studio, ("a", 0), ("b", 0)) == plain


def test_two_act_at_once_whatever_acted_before_and_the_model_is_not_loaded_again(
    studio: Studio,
) -> None:
    both = picture(studio, ("a", 0.7), ("b", -0.4))
    alone = pixels(studio, ("b", -0.4))
    again = picture(studio, ("a", 0.7), ("b", -0.4))
    assert both.pixel_hash == again.pixel_hash
    assert len({both.pixel_hash, alone, pixels(studio, ("a", 0.7)), pixels(studio)}) == 4
    assert not any("loading" in line.text for line in job_log(studio.database, again.job_id))


def test_only_a_few_stay_warm_and_each_in_the_precision_of_the_model(studio: Studio) -> None:
    names = [f"warm-{number}" for number in range(MOST_WARM + 2)]
    for seed, name in enumerate(names):
        shelve(studio, name, kohya_lora(hidden=TINY, seed=100 + seed, dtype=torch.bfloat16))
    settings, entry = studio.settings, usable_model(studio.settings, "tiny")
    pipeline = load_model(settings, entry, choose_device(settings)).pipeline
    for name in names:
        request = tiny_request(loras=({"name": name},))
        apply_loras(pipeline, entry, choose_loras(studio.database, settings, request, entry))
    assert len(pipeline.transformer.peft_config) == MOST_WARM + 1
    newest = get_lora(studio.database, settings, names[-1]).hash
    assert pipeline.get_active_adapters() == [f"shelf_{newest}"]
    added = [weight for name, weight in pipeline.transformer.named_parameters() if "lora_" in name]
    assert added
    assert {weight.dtype for weight in added} == {torch.float32}
    apply_loras(pipeline, entry, ())
    assert all(
        layer.disable_adapters
        for layer in pipeline.transformer.modules()
        if hasattr(layer, "disable_adapters")
    )


def test_a_png_names_its_loras_with_weight_and_hash_and_makes_its_own_pixels_again(
    studio: Studio,
) -> None:
    image = picture(studio, ("a", 0.75), ("b", -1))
    hashes = [get_lora(studio.database, studio.settings, name).hash for name in ("a", "b")]
    provenance = read_png(image.path)
    assert [(use.name, use.weight, use.hash) for use in provenance.request.loras] == [
        ("a", 0.75, hashes[0]),
        ("b", -1, hashes[1]),
    ]
    assert provenance.loras == tuple(hashes)
    assert "peft" in provenance.libraries
    caption, facts = parameters_text(provenance).rsplit("\n", 1)
    assert caption.endswith(" <lora:a:0.75> <lora:b:-1>")
    assert f'Lora hashes: "a: {hashes[0][:12]}, b: {hashes[1][:12]}"' in facts
    (again,) = studio.make(provenance.request)
    assert again.pixel_hash == image.pixel_hash
    assert again.path.read_bytes() == image.path.read_bytes()
    assert read_png(picture(studio).path).loras == ()


def test_a_request_never_runs_with_other_tensors_of_the_same_name(studio: Studio) -> None:
    shelve(studio, "mole", kohya_lora(hidden=TINY, seed=8))
    image = picture(studio, ("mole", 1))
    waiting = studio.submit(image.request)
    remove_lora(studio.database, studio.settings, "mole")
    shelve(studio, "mole", kohya_lora(hidden=TINY, seed=9))
    with pytest.raises(LoraError, match="not the one that this request was made with"):
        studio.submit(image.request)
    job = studio.work()
    assert (job.id, job.state) == (waiting, JobState.FAILED)
    assert re.search("LoRA mole on the shelf is not the one", str(job.error))
    assert image in studio.images(image.job_id)


def test_a_lora_that_does_not_fit_is_refused_before_a_job_is_made(studio: Studio) -> None:
    shelve(studio, "wide", kohya_lora(hidden=STARTER, single=4, seed=10))
    with pytest.raises(LoraError, match="The LoRA wide does not fit tiny"):
        studio.submit(tiny_request(loras=({"name": "wide"},)))
    with pytest.raises(LoraError, match=r"no LoRA called gone on the shelf: .* a, b"):
        studio.submit(tiny_request(loras=({"name": "gone"},)))


def test_the_text_length_that_a_lora_was_trained_with_is_used_unless_another_is_given(
    studio: Studio,
) -> None:
    shelve(studio, "short", kohya_lora(hidden=TINY, seed=11), {"t5_length": "16"})
    assert picture(studio, ("short", 1)).request.max_sequence_length == 16
    chosen = picture(studio, ("short", 1), max_sequence_length=24)
    assert chosen.request.max_sequence_length == 24
    assert picture(studio, ("a", 1)).request.max_sequence_length == 32
