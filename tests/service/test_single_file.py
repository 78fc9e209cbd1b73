"""Single safetensors files become folders; diffusers' own reader of such files is the judge."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from diffusers import FluxPipeline, FluxTransformer2DModel, StableDiffusionPipeline
from safetensors.torch import load_file, save_file
from typer.testing import CliRunner

from backend.cli import build_app
from backend.generation.errors import ModelError
from backend.generation.layout import weight_files
from backend.generation.models import ModelEntry, find_model, model_hash, usable_model
from backend.generation.single_file import running
from backend.generation.single_file.pieces import (
    Shapes,
    clip_piece,
    flat,
    flux_piece,
    unet_piece,
    vae_piece,
)
from backend.generation.single_file.running import (
    KIND,
    conversion_task,
    conversion_title,
    plan_conversion,
)
from backend.jobs.here import run_here
from backend.jobs.states import JobState
from backend.settings import Settings
from backend.store.database import Database
from tests.tiny_models import build_tiny_flux, build_tiny_stable_diffusion

Tensors = dict[str, torch.Tensor]


def rows_of_flux() -> dict[str, int]:
    """Rows of every layer of one block of each kind, as FLUX.1-dev's authors name them."""
    double = {"attn.qkv": 9216, "attn.proj": 3072, "mlp.0": 12288, "mlp.2": 3072, "mod.lin": 18432}
    return {
        **{f"double_blocks.0.{s}_{name}": n for s in ("img", "txt") for name, n in double.items()},
        "single_blocks.0.linear1": 21504,
        "single_blocks.0.linear2": 3072,
        "single_blocks.0.modulation.lin": 9216,
        **dict.fromkeys(("img_in", "txt_in"), 3072),
        **{
            f"{name}_in.{layer}_layer": 3072
            for name in ("time", "vector", "guidance")
            for layer in ("in", "out")
        },
        "final_layer.linear": 64,
        "final_layer.adaLN_modulation.1": 6144,
    }


def test_flux_at_full_width_is_taken_apart_as_diffusers_does() -> None:
    from diffusers.loaders.single_file_utils import convert_flux_transformer_checkpoint_to_diffusers

    torch.manual_seed(3)
    given: Tensors = {}
    for layer, rows in rows_of_flux().items():
        given[f"{layer}.weight"] = torch.randn(rows, 2)
        given[f"{layer}.bias"] = torch.randn(rows)
    for block in ("double_blocks.0.img_attn", "double_blocks.0.txt_attn", "single_blocks.0"):
        for norm in ("query_norm", "key_norm"):
            given[f"{block}.norm.{norm}.scale"] = torch.randn(128)
    expected = convert_flux_transformer_checkpoint_to_diffusers(dict(given))
    shapes: Shapes = {name: tuple(tensor.shape) for name, tensor in expected.items()}
    flattened = {flat(name): tensor for name, tensor in given.items()}
    used = set()
    for name, tensor in expected.items():
        piece = flux_piece(name, shapes)
        assert piece is not None, name
        used.add(piece.source)
        found = flattened[piece.source]
        if piece.swapped:
            found = torch.cat(found.chunk(2)[::-1])
        assert piece.total in (None, len(found))
        assert torch.equal(found[piece.first : piece.first + len(tensor)], tensor), name
    assert used == set(flattened)


def written_as_one(folder: Path, file: Path, parts: dict[str, tuple[str, Callable]]) -> Tensors:
    """The tensors of a folder under the names of a single file, fused where that fuses."""
    tensors: Tensors = {}
    for component, (prefix, find) in parts.items():
        (weights,) = (folder / component).glob("*.safetensors")
        held = load_file(weights)
        shapes = {name: tuple(tensor.shape) for name, tensor in held.items()}
        for name, tensor in held.items():
            piece = find(name, shapes)
            key = prefix + piece.source
            if piece.total is not None and key not in tensors:
                tensors[key] = torch.empty(piece.total, *tensor.shape[1:], dtype=tensor.dtype)
            if piece.total is not None:
                tensors[key][piece.first : piece.first + len(tensor)] = tensor
            else:
                tensors[key] = torch.cat(tensor.chunk(2)[::-1]) if piece.swapped else tensor
    save_file(tensors, file)
    return tensors


FLUX_PARTS = {"transformer": ("model.diffusion_model.", flux_piece)}
SD_PARTS = {
    "unet": ("model.diffusion_model.", unet_piece),
    "vae": ("first_stage_model.", vae_piece),
    "text_encoder": ("cond_stage_model.transformer.", clip_piece),
}


@pytest.fixture
def base(settings: Settings, tiny_flux: Path) -> ModelEntry:
    shutil.copytree(tiny_flux, settings.models_dir / "tiny")
    return usable_model(settings, "tiny")


@pytest.fixture
def sd_base(settings: Settings, tiny_sd: Path) -> ModelEntry:
    shutil.copytree(tiny_sd, settings.models_dir / "sd")
    return usable_model(settings, "sd")


@pytest.fixture
def lesions(tmp_path: Path) -> Path:
    """Other weights for the FLUX, as one file in its authors' layout."""
    other = build_tiny_flux(tmp_path / "other", seed=7)
    written_as_one(other, tmp_path / "lesions v2.safetensors", FLUX_PARTS)
    return tmp_path / "lesions v2.safetensors"


def convert(settings: Settings, database: Database, file: Path, base: str, name: str = "made"):
    """The job as a worker does it."""
    task = conversion_task(file, base, name)
    return run_here(
        settings,
        database,
        kind=KIND,
        payload=task.model_dump(mode="json"),
        title=conversion_title(task),
        total=1,
        show=lambda _: None,
    )


def tensors_of(folder: Path) -> Tensors:
    return {
        name: tensor for file in weight_files(folder) for name, tensor in load_file(file).items()
    }


def test_a_flux_file_becomes_a_model_with_its_weights_and_the_rest_of_its_base(
    settings: Settings, database: Database, base: ModelEntry, lesions: Path, tmp_path: Path
) -> None:
    job = convert(settings, database, lesions, "tiny", "lesions-v2")
    assert job.state is JobState.DONE, job.error
    entry = usable_model(settings, "lesions-v2")
    made, other = tensors_of(entry.folder / "transformer"), tmp_path / "other" / "transformer"
    expected = tensors_of(other)
    assert made.keys() == expected.keys()
    assert all(torch.equal(made[name], expected[name]) for name in made)
    for component in ("vae", "text_encoder_2"):
        assert tensors_of(entry.folder / component).keys() == (
            tensors_of(base.folder / component).keys()
        )
    assert "Tiny FLUX" in entry.licence
    assert entry.sizes == base.sizes
    pipeline = FluxPipeline.from_pretrained(entry.folder, local_files_only=True)
    assert isinstance(pipeline.transformer, FluxTransformer2DModel)
    assert not [path for path in settings.models_dir.iterdir() if path.name.startswith(".")]


def test_a_stable_diffusion_file_is_read_as_diffusers_reads_it(
    settings: Settings, database: Database, sd_base: ModelEntry, tmp_path: Path
) -> None:
    other = build_tiny_stable_diffusion(tmp_path / "other", seed=9)
    file = tmp_path / "sd.safetensors"
    written_as_one(other, file, SD_PARTS)
    judge = StableDiffusionPipeline.from_single_file(
        file, config=str(sd_base.folder), local_files_only=True, safety_checker=None
    )
    assert convert(settings, database, file, "sd").state is JobState.DONE
    made = usable_model(settings, "made")
    for component in SD_PARTS:
        expected = getattr(judge, component).state_dict()
        found = tensors_of(made.folder / component)
        for name, tensor in found.items():
            known = expected.get(name, expected.get(f"text_model.{name}"))
            assert torch.equal(tensor, known), f"{component} {name}"
    assert model_hash(made.folder) == model_hash(other)


def test_a_file_with_the_denoiser_alone_keeps_the_other_parts_of_its_base(
    settings: Settings, database: Database, sd_base: ModelEntry, tmp_path: Path
) -> None:
    other = build_tiny_stable_diffusion(tmp_path / "other", seed=9)
    file = tmp_path / "unet.safetensors"
    written_as_one(other, file, {"unet": SD_PARTS["unet"]})
    assert convert(settings, database, file, "sd").state is JobState.DONE
    made = usable_model(settings, "made").folder
    vae, kept = tensors_of(made / "vae"), tensors_of(sd_base.folder / "vae")
    assert all(torch.equal(vae[name], kept[name]) for name in kept)


def test_a_large_file_is_written_in_shards_that_hold_the_same_tensors(
    settings: Settings,
    database: Database,
    base: ModelEntry,
    lesions: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(running, "SHARD_BYTES", 40_000)
    assert convert(settings, database, lesions, "tiny").state is JobState.DONE
    folder = usable_model(settings, "made").folder
    assert len(weight_files(folder / "transformer")) > 2
    assert model_hash(folder) == model_hash(
        _with_parts_of(base.folder, tmp_path / "other", tmp_path / "both")
    )


def _with_parts_of(base: Path, transformer: Path, folder: Path) -> Path:
    shutil.copytree(base, folder)
    shutil.rmtree(folder / "transformer")
    shutil.copytree(transformer / "transformer", folder / "transformer")
    return folder


@pytest.mark.usefixtures("base")
def test_eight_bit_floats_become_bfloat16(
    settings: Settings, database: Database, lesions: Path
) -> None:
    tensors = load_file(lesions)
    save_file({n: t.to(torch.float8_e4m3fn) for n, t in tensors.items()}, lesions)
    assert convert(settings, database, lesions, "tiny").state is JobState.DONE
    made = tensors_of(usable_model(settings, "made").folder / "transformer")
    assert {tensor.dtype for tensor in made.values()} == {torch.bfloat16}


def without(name: str) -> Callable[[Tensors], Tensors]:
    return lambda tensors: {k: t for k, t in tensors.items() if not k.endswith(name)}


def with_(name: str, *shape: int) -> Callable[[Tensors], Tensors]:
    return lambda tensors: tensors | {f"model.diffusion_model.{name}": torch.ones(*shape)}


@pytest.mark.usefixtures("base")
@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (without("img_in_bias"), "has nothing for x_embedder.bias"),
        (with_("label_emb_0.weight", 2), "label_emb_0.weight, which Tiny FLUX has no place for"),
        (with_("img_in_bias", 48), r"img_in_bias is 48 and Tiny FLUX has 32 there"),
        (lambda _: {"lora_unet_x.lora_down.weight": torch.ones(2, 2)}, "is a LoRA"),
        (lambda _: {"weight": torch.ones(2)}, "holds no FLUX that is known here"),
        (
            lambda t: t | {"model.diffusion_model.img_in_bias": torch.ones(32, dtype=torch.int8)},
            "stored as I8",
        ),
    ],
)
def test_what_does_not_fit_is_named_before_anything_is_written(
    settings: Settings,
    lesions: Path,
    change: Callable[[Tensors], Tensors],
    sentence: str,
) -> None:
    save_file(change(load_file(lesions)), lesions)
    with pytest.raises(ModelError, match=sentence):
        plan_conversion(settings, conversion_task(lesions, "tiny"))


@pytest.mark.usefixtures("base", "sd_base")
def test_a_file_for_another_family_a_pickle_and_a_cut_off_file_are_refused(
    settings: Settings, lesions: Path, tmp_path: Path
) -> None:
    with pytest.raises(ModelError, match=r"holds no Stable Diffusion 1\.x that is known"):
        plan_conversion(settings, conversion_task(lesions, "sd"))
    (tmp_path / "lesions.ckpt").write_bytes(b"\x80\x04.")
    with pytest.raises(ModelError, match=r"lesions\.ckpt is a pickle"):
        plan_conversion(settings, conversion_task(tmp_path / "lesions.ckpt", "tiny"))
    lesions.write_bytes(lesions.read_bytes()[:-10])
    with pytest.raises(ModelError, match="truncated"):
        plan_conversion(settings, conversion_task(lesions, "tiny"))


@pytest.mark.usefixtures("base")
def test_a_task_without_file_base_or_free_name_is_refused(
    settings: Settings, lesions: Path, tmp_path: Path
) -> None:
    with pytest.raises(ModelError, match="There is no file"):
        conversion_task(tmp_path / "gone.safetensors", "tiny")
    with pytest.raises(ModelError, match="say from which model it was made"):
        conversion_task(lesions, "")
    assert conversion_task(lesions, "tiny").name == "lesions-v2"
    with pytest.raises(ModelError, match="a model called tiny already"):
        plan_conversion(settings, conversion_task(lesions, "tiny", "tiny"))
    with pytest.raises(ModelError, match="There is no model called nobody"):
        plan_conversion(settings, conversion_task(lesions, "nobody"))


@pytest.mark.usefixtures("base")
def test_nan_ends_the_job_with_a_sentence_and_leaves_nothing(
    settings: Settings, database: Database, lesions: Path
) -> None:
    tensors = load_file(lesions)
    tensors["model.diffusion_model.txt_in_bias"][3] = float("nan")
    save_file(tensors, lesions)
    job = convert(settings, database, lesions, "tiny")
    assert job.state is JobState.FAILED
    assert "txt_in_bias holds NaN" in str(job.error)
    assert [path.name for path in settings.models_dir.iterdir()] == ["tiny"]


@pytest.mark.usefixtures("base")
def test_a_full_disk_is_said_before_writing(
    settings: Settings,
    database: Database,
    lesions: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(running.shutil, "disk_usage", lambda _: SimpleNamespace(free=10**6))
    job = convert(settings, database, lesions, "tiny")
    assert "The disk has 0.0 GB free" in str(job.error)
    assert [path.name for path in settings.models_dir.iterdir()] == ["tiny"]


@pytest.mark.usefixtures("base")
def test_the_command_makes_a_model_of_a_file(
    settings: Settings, lesions: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DERMAFLUX_WORKSPACE", str(settings.workspace))
    command = ["models", "add", str(lesions), "--base", "tiny", "--name", "v2", "--json"]
    done = CliRunner().invoke(build_app(), command)
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["name"] == "v2"
    assert find_model(settings, "v2").problem is None
