"""A Stable Diffusion 1.x goes from request to image by the same code as a FLUX."""

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors import safe_open
from typer.testing import CliRunner

from backend.cli import build_app
from backend.generation.design.design import make_design
from backend.generation.design.files import save_table
from backend.generation.design.table import write_table
from backend.generation.errors import LoraError, ModelError, RequestError
from backend.generation.layout import check_model_folder
from backend.generation.lora.layouts import Family
from backend.generation.lora.shelf import add_lora
from backend.generation.models import usable_model
from backend.generation.preview import estimate_clean
from backend.generation.provenance import read_png
from backend.generation.tokens import count_tokens
from backend.jobs.queue import cancel
from tests.lora_files import kohya_lora, save_lora
from tests.service.studio import Studio, open_studio, tiny_request
from tests.tiny_models import build_tiny_stable_diffusion


@pytest.fixture(scope="module")
def studio(
    tmp_path_factory: pytest.TempPathFactory, tiny_flux: Path, tiny_sd: Path
) -> Iterator[Studio]:
    """A studio with a FLUX and a Stable Diffusion side by side."""
    studio = open_studio(tmp_path_factory.mktemp("studio"), tiny_flux)
    shutil.copytree(tiny_sd, studio.settings.models_dir / "sd")
    yield studio
    studio.database.close()


def sd_request(**changes: object):
    """The tiny request by Stable Diffusion."""
    return tiny_request(model="sd", guidance_scale=7.5, **changes)


def test_both_families_are_listed_with_their_own_defaults(studio: Studio) -> None:
    flux, sd = (usable_model(studio.settings, name) for name in ("tiny", "sd"))
    assert (flux.family, sd.family) == (Family.FLUX, Family.SD1)
    assert (sd.max_sequence_length, sd.guidance_scale, sd.problem) == (77, 7.5, None)


def test_a_job_of_each_family_leaves_images_of_the_same_kind(studio: Studio) -> None:
    (flux,) = studio.make(tiny_request())
    (sd,) = studio.make(sd_request())
    for image in (flux, sd):
        with Image.open(image.path) as opened:
            assert opened.size == (64, 64)
    provenance = read_png(sd.path)
    assert (provenance.family, provenance.scheduler) == (Family.SD1, "PNDMScheduler")
    assert provenance.request.max_sequence_length == 77
    text = Image.open(sd.path).text["parameters"]
    assert "Sampler: PNDM, CFG scale: 7.5" in text


def test_an_image_equals_that_of_the_plain_pipeline(studio: Studio, tiny_sd: Path) -> None:
    from diffusers import StableDiffusionPipeline

    request = sd_request(seed=11, negative_caption="hair, ruler")
    (image,) = studio.make(request)
    plain = StableDiffusionPipeline.from_pretrained(tiny_sd, safety_checker=None)
    plain.set_progress_bar_config(disable=True)
    expected = plain(
        request.caption,
        negative_prompt="hair, ruler",
        width=64,
        height=64,
        num_inference_steps=4,
        guidance_scale=7.5,
        generator=torch.Generator("cpu").manual_seed(11),
        output_type="np",
    ).images[0]
    made = np.asarray(Image.open(image.path))
    assert np.array_equal(made, (expected * 255).round().astype(np.uint8))


def test_the_negative_caption_and_the_guidance_change_the_pixels(studio: Studio) -> None:
    plain, negative, unguided = (
        studio.make(request)[0].pixel_hash
        for request in (
            sd_request(),
            sd_request(negative_caption="a red ruler"),
            sd_request().model_copy(update={"guidance_scale": 1.0}),
        )
    )
    assert len({plain, negative, unguided}) == 3


def test_what_a_family_cannot_read_is_refused_in_words(studio: Studio) -> None:
    with pytest.raises(RequestError, match="Tiny FLUX has no negative caption"):
        studio.submit(tiny_request(negative_caption="hair"))
    with pytest.raises(RequestError, match="always reads 77 tokens"):
        studio.submit(sd_request(max_sequence_length=128))


def test_sweeps_and_sets_of_the_command_line_take_a_negative_caption(
    studio: Studio, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in studio.settings.environment().items():
        monkeypatch.setenv(name, value)
    table = write_table(make_design({"vary": {"label": ["benign"]}}))
    save_table(tmp_path / "captions.csv", table)
    sweep = ["sweep", "--across", "seed=1", "--caption", "A mole.", "--out", str(tmp_path / "out")]
    build = ["build", "run", str(tmp_path / "captions.csv"), "--name", "Against", "--queue"]
    common = ["--size", "64", "--steps", "1", "--negative-caption", " hair,  ruler ", "--json"]
    swept, queued = (
        CliRunner().invoke(build_app(), [*command, "--model", "sd", *common])
        for command in (sweep, build)
    )
    assert swept.exit_code == 0, swept.output
    assert json.loads(swept.stdout)["sweep"]["request"]["negative_caption"] == "hair, ruler"
    assert queued.exit_code == 0, queued.output
    assert json.loads(queued.stdout)["build"]["negative_caption"] == "hair, ruler"
    cancel(studio.database, json.loads(queued.stdout)["job"])
    for command in ([*sweep[:-1], str(tmp_path / "other")], build):
        refused = CliRunner().invoke(build_app(), [*command, "--model", "tiny", *common])
        assert isinstance(refused.exception, RequestError)
        assert "has no negative caption" in str(refused.exception)


def test_tokens_are_counted_for_clip_alone(studio: Studio) -> None:
    clip, t5 = count_tokens(usable_model(studio.settings, "sd"), "A mole.")
    assert clip > 2
    assert t5 is None


def sd_lora(folder: Path, seed: int = 0) -> tuple[dict[str, torch.Tensor], ...]:
    """One LoRA of random numbers over attention and text encoder, as kohya and as diffusers."""
    generator = torch.Generator().manual_seed(seed)
    kohya, diffusers = {}, {}
    for component, short in (("unet", "lora_unet_"), ("text_encoder", "lora_te_")):
        (file,) = (folder / component).glob("*.safetensors")
        with safe_open(file, framework="pt") as weights:
            for name in weights.keys():  # noqa: SIM118 - not a mapping
                if not re.search(r"(to_q|to_out\.0|q_proj|proj_in)\.weight", name):
                    continue
                outside, inside, *kernel = weights.get_slice(name).get_shape()
                layer = name.removesuffix(".weight")
                down = torch.randn(4, inside, *kernel, generator=generator)
                up = torch.randn(outside, 4, *[1 for _ in kernel], generator=generator) * 0.3
                module = short + layer.replace(".", "_")
                kohya |= {f"{module}.lora_down.weight": down, f"{module}.lora_up.weight": up}
                kohya[f"{module}.alpha"] = torch.tensor(2.0)
                diffusers[f"{component}.{layer}.lora_A.weight"] = down * 0.5
                diffusers[f"{component}.{layer}.lora_B.weight"] = up
    return kohya, diffusers


def test_a_lora_gives_the_same_pixels_in_kohya_and_in_diffusers_layout(
    studio: Studio, tiny_sd: Path, tmp_path: Path
) -> None:
    kohya, diffusers = sd_lora(tiny_sd)
    assert any(name.startswith("text_encoder") for name in diffusers)
    for name, tensors in (("kohya", kohya), ("diffusers", diffusers)):
        file = save_lora(tmp_path / f"{name}.safetensors", tensors)
        assert add_lora(studio.database, studio.settings, file).family is Family.SD1
    plain = studio.make(sd_request())[0].pixel_hash
    made = {
        name: studio.make(sd_request(loras=({"name": name},)))[0].pixel_hash
        for name in ("kohya", "diffusers")
    }
    assert made["kohya"] == made["diffusers"] != plain
    assert studio.make(sd_request())[0].pixel_hash == plain


def test_a_lora_for_the_other_family_is_refused_by_name(
    studio: Studio, tiny_sd: Path, tmp_path: Path
) -> None:
    lesions = save_lora(tmp_path / "lesions.safetensors", sd_lora(tiny_sd, seed=1)[0])
    moles = save_lora(tmp_path / "moles.safetensors", kohya_lora(hidden=32, seed=1))
    for file in (lesions, moles):
        add_lora(studio.database, studio.settings, file)
    with pytest.raises(LoraError, match=r"lesions is for Stable Diffusion 1\.x, not for tiny"):
        studio.submit(tiny_request(loras=({"name": "lesions"},)))
    with pytest.raises(LoraError, match="moles is for FLUX, not for sd"):
        studio.submit(sd_request(loras=({"name": "moles"},)))


SAMPLERS = ["PNDM", "DDIM", "LMSDiscrete", "EulerDiscrete", "DPMSolverMultistep"]


@pytest.mark.parametrize("scheduler", SAMPLERS)
def test_steps_are_counted_and_their_estimates_are_those_of_the_sampler(
    studio: Studio, scheduler: str
) -> None:
    from backend.generation.pipelines import choose_device, encode_caption, load_model, render

    folder = build_tiny_stable_diffusion(
        studio.settings.models_dir / f"sd-{scheduler}", scheduler=scheduler
    )
    entry = usable_model(studio.settings, folder.name)
    model = load_model(studio.settings, entry, choose_device(studio.settings))
    request = sd_request().model_copy(update={"model": entry.name, "steps": 6})
    estimated: list[torch.Tensor] = []
    plain_step = model.pipeline.scheduler.step

    def step(*args: object, **kwargs: object):
        result = plain_step(*args, **kwargs)
        estimated.extend(result[1:2])
        return result

    model.pipeline.scheduler.step = step
    seen: list[tuple[int, torch.Tensor, torch.Tensor]] = []
    render(model, request, encode_caption(model, request), lambda *told: seen.append(told))
    steps = [index for index, _, _ in seen]
    assert steps == ([0] if scheduler == "PNDM" else []) + list(range(6))
    sigmas = seen[-1][2]
    assert len(sigmas) == 7
    assert bool((sigmas.diff() < 0).all())
    assert float(sigmas[-1]) == 0
    if scheduler not in ("DDIM", "EulerDiscrete"):
        return  # samplers of several steps do not estimate from two alone
    for (_, before, _), (index, after, _), clean in zip(
        seen, seen[1:], estimated[1:], strict=False
    ):
        estimate = estimate_clean(before, after, float(sigmas[index]), float(sigmas[index + 1]))
        assert torch.allclose(estimate, clean, atol=2e-3 * float(clean.abs().max()))


@pytest.mark.parametrize(
    ("component", "changes", "sentence"),
    [
        ("unet", {"cross_attention_dim": 1024}, "no Stable Diffusion 1.x"),
        ("unet", {"in_channels": 9}, "inpainting"),
    ],
)
def test_a_relative_of_another_kind_is_refused(
    tiny_sd: Path, tmp_path: Path, component: str, changes: dict[str, int], sentence: str
) -> None:
    folder = Path(shutil.copytree(tiny_sd, tmp_path / "other"))
    config = folder / component / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | changes))
    with pytest.raises(ModelError, match=sentence):
        check_model_folder(folder)
