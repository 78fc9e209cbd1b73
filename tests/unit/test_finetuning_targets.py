"""What a LoRA changes is counted exactly, from names, configurations or headers alike."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from typer.testing import CliRunner

from backend.finetuning.architectures import (
    Architecture,
    find_architecture,
    of_folder,
    of_model,
)
from backend.finetuning.config import LoraShape, Targets
from backend.finetuning.errors import FinetuningError
from backend.finetuning.presets import PRESETS, configure
from backend.finetuning.targets import count_targets, target_groups, target_layers
from backend.generation.lora.flux_modules import leaf_of
from backend.generation.models import usable_model
from backend.settings import Settings
from training.lora.__main__ import app


@pytest.fixture(scope="module")
def flux_dev() -> Architecture:
    """FLUX.1-dev by its name, without weights."""
    return find_architecture(Settings(), "flux.1-dev")


def tiny(folder: Path) -> Architecture:
    settings = Settings(model_folders=(folder,))
    return of_model(usable_model(settings, folder.name))


def test_flux_dev_has_the_parameters_that_the_authors_file_has(flux_dev: Architecture) -> None:
    assert flux_dev.parameters == 11_901_408_320
    fused = {
        targets: count_targets(flux_dev, LoraShape(targets=targets, fused=True))
        for targets in Targets
    }
    assert fused[Targets.ATTENTION].parameters == 104_595_456
    assert fused[Targets.ALL_LINEAR_LAYERS].parameters == 306_315_264
    assert fused[Targets.ALL_LINEAR_LAYERS].bytes_bf16 - 2 * 306_315_264 < 200_000
    assert fused[Targets.ALL_LINEAR_LAYERS].pairs == 19 * 10 + 38 * 3


@pytest.mark.parametrize("fused", [False, True])
@pytest.mark.parametrize("targets", list(Targets))
@pytest.mark.parametrize(("dtype", "field"), [("BF16", "bytes_bf16"), ("F32", "bytes_fp32")])
def test_the_size_of_the_file_is_exact(
    tiny_flux: Path, tmp_path: Path, targets: Targets, fused: bool, dtype: str, field: str
) -> None:
    architecture = tiny(tiny_flux)
    lora = LoraShape(rank=3, targets=targets, fused=fused)
    kind = {"BF16": torch.bfloat16, "F32": torch.float32}[dtype]
    tensors = {}
    for group in target_groups(architecture, lora):
        names = ("lora_down", "lora_up") if fused else ("lora_A", "lora_B")
        prefix = "" if fused else "transformer."
        down, up = torch.zeros(3, group.inside), torch.zeros(sum(group.outside), 3)
        tensors[f"{prefix}{group.module}.{names[0]}.weight"] = down.to(kind)
        tensors[f"{prefix}{group.module}.{names[1]}.weight"] = up.to(kind)
        if fused:
            tensors[f"{group.module}.alpha"] = torch.tensor(3.0)
    save_file(tensors, tmp_path / "lora.safetensors")
    count = count_targets(architecture, lora)
    assert getattr(count, field) == (tmp_path / "lora.safetensors").stat().st_size
    numbers = sum(tensor.numel() for tensor in tensors.values() if tensor.dim())
    assert count.parameters == numbers


def test_headers_and_configuration_tell_the_same_layers(tiny_flux: Path, tiny_sd: Path) -> None:
    for folder in (tiny_flux, tiny_sd):
        read, built = tiny(folder), of_folder(folder)
        assert dict(read.layers) == dict(built.layers)
        assert read.parameters == built.parameters


def test_attention_leaves_the_mlp_alone_unless_the_layout_fuses_them(tiny_flux: Path) -> None:
    architecture = tiny(tiny_flux)
    split = target_layers(target_groups(architecture, LoraShape()))
    fused = target_layers(target_groups(architecture, LoraShape(fused=True)))
    assert set(fused) - set(split) == {"single_transformer_blocks.0.proj_mlp"}
    assert all(leaf_of(layer) for layer in split)
    every = LoraShape(targets=Targets.ALL_LINEAR_LAYERS)
    inner = {layer for layer in architecture.layers if leaf_of(layer)}
    assert set(target_layers(target_groups(architecture, every))) == inner


def test_a_unet_has_no_fused_layout(tiny_sd: Path) -> None:
    architecture = tiny(tiny_sd)
    layers = target_layers(target_groups(architecture, LoraShape()))
    assert layers
    assert all(".attn1." in layer or ".attn2." in layer for layer in layers)
    with pytest.raises(FinetuningError, match="has no fused layout"):
        target_groups(architecture, LoraShape(fused=True))


def test_a_base_that_is_unknown_or_bad_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(FinetuningError, match=r"no base model called nothing: .*flux\.1-dev"):
        find_architecture(Settings(), "nothing")
    with pytest.raises(FinetuningError, match=r"model_index\.json is missing"):
        find_architecture(Settings(), str(tmp_path))
    (tmp_path / "model_index.json").write_text('{"_class_name": "FluxPipeline"}')
    (tmp_path / "transformer").mkdir()
    (tmp_path / "transformer" / "config.json").write_text('{"num_layers": "many"}')
    with pytest.raises(FinetuningError, match=r"The config\.json of the base model"):
        of_folder(tmp_path)
    (tmp_path / "model_index.json").write_text('{"_class_name": "StableDiffusionXLPipeline"}')
    with pytest.raises(FinetuningError, match="StableDiffusionXLPipeline"):
        of_folder(tmp_path)


def test_the_command_describes_a_base_without_weights() -> None:
    run = CliRunner().invoke(app, ["--describe", "--base", "starter", "--rank", "8", "--json"])
    described = json.loads(run.stdout)
    assert len(described["target_sets"]) == 6
    assert described["target_sets"][0]["parameters"] == 655_360 // 8
    wrong = CliRunner().invoke(app, ["--describe", "--base", "nothing"])
    assert wrong.exit_code == 1


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_is_a_configuration_and_what_is_chosen_wins(name: str) -> None:
    config = configure(
        name, {"data": {"caption_set": "moles"}, "lora": {"rank": 3}, "learning_rate": 0.5}
    )
    assert (config.lora.rank, config.learning_rate) == (3, 0.5)
    lora = PRESETS[name].values.get("lora", {})
    assert config.lora.targets == lora.get("targets", Targets.ATTENTION)


@pytest.mark.parametrize(
    ("preset", "overrides", "sentence"),
    [
        ("none", {}, "no preset none: choose one of these: paper"),
        ("paper", {}, "setting data cannot be used"),
        ("paper", {"data": {}}, "choose a caption set or a folder"),
        ("paper", {"data": {"caption_set": "x"}, "lora": {"rank": 0}}, "setting lora.rank"),
        ("paper", {"data": {"caption_set": "x"}, "colour": 1}, "setting colour"),
        (None, {"data": {"caption_set": "x"}, "resolutions": (100,)}, "side 100 is not a multiple"),
        (None, {"data": {"caption_set": "x"}, "precision": "fp16"}, "setting precision"),
    ],
)
def test_a_configuration_that_cannot_be_used_is_refused_with_its_field(
    preset: str | None, overrides: dict[str, object], sentence: str
) -> None:
    with pytest.raises(FinetuningError, match=sentence):
        configure(preset, overrides)
