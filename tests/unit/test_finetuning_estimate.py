"""The estimate counts what autograd keeps, and grows with what makes a run larger."""

from pathlib import Path

import pytest
import torch

from backend.finetuning.architectures import Architecture, of_model, on_meta
from backend.finetuning.config import Checkpointing, LoraShape, Targets, TrainingConfig
from backend.finetuning.estimate import (
    Amounts,
    Machine,
    activation_numbers,
    count_steps,
    estimate,
    gpu_flops,
    largest_batch,
    measure_cpu,
)
from backend.finetuning.plan import Estimate
from backend.finetuning.targets import target_groups, target_layers
from backend.generation.families import FLUX
from backend.generation.models import usable_model
from backend.settings import Settings

CPU = Machine("cpu", "cpu", memory=8_000_000_000, flops=50e9)
GPU = Machine("cuda", "NVIDIA H100", memory=80_000_000_000, flops=989e12)


def config(**changes: object) -> TrainingConfig:
    values = {"data": {"caption_set": "moles"}, "resolutions": (128,), "precision": "fp32"}
    return TrainingConfig.model_validate(values | changes)


def amounts(**changes: object) -> Amounts:
    values = {
        "training": {64: 1_000},
        "validation": 100,
        "captions": 900,
        "others": {"vae": 1_000_000},
        "t5_length": 96,
    }
    return Amounts(**(values | changes))  # type: ignore[arg-type]


def starter() -> Architecture:
    return of_model(usable_model(Settings(), "starter"))


def priced(
    machine: Machine = CPU,
    architecture: Architecture | None = None,
    tokens: int = 64,
    **changes: object,
) -> Estimate:
    wanted, base = config(**changes), architecture or starter()
    groups = target_groups(base, wanted.lora)
    return estimate(wanted, base, groups, amounts(training={tokens: 1_000}), machine)


@pytest.mark.parametrize("targets", list(Targets))
def test_activations_are_those_that_autograd_keeps(targets: Targets) -> None:
    from diffusers import FluxTransformer2DModel
    from peft import LoraConfig

    shape = {
        "num_layers": 2,
        "num_single_layers": 3,
        "attention_head_dim": 32,
        "num_attention_heads": 4,
        "joint_attention_dim": 16,
        "pooled_projection_dim": 16,
        "axes_dims_rope": (8, 12, 12),
        "guidance_embeds": True,
    }
    architecture = on_meta("small", FLUX, shape)
    wanted = config(lora={"rank": 8, "alpha": 8, "targets": targets})
    groups = target_groups(architecture, wanted.lora)
    model = FluxTransformer2DModel(**shape)
    model.requires_grad_(False)
    names = list(target_layers(groups))
    model.add_adapter(LoraConfig(r=8, lora_alpha=8, target_modules=names))
    counted = activation_numbers(wanted, architecture, groups, 64, 96, checkpointing=False)
    assert 3 * counted == pytest.approx(_kept(model, images=3, text=96), rel=0.05)


def _kept(model: torch.nn.Module, images: int, text: int) -> int:
    """Numbers in the storages that autograd holds after a forward pass, parameters left out."""
    frozen = {each.untyped_storage().data_ptr() for each in model.parameters()}
    held: dict[int, tuple[int, torch.UntypedStorage]] = {}

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in frozen:
            held[storage.data_ptr()] = (storage.nbytes() // 4, storage)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        model(
            hidden_states=torch.randn(images, 64, 64),
            encoder_hidden_states=torch.randn(images, text, 16),
            pooled_projections=torch.randn(images, 16),
            timestep=torch.rand(images),
            guidance=torch.ones(images),
            img_ids=torch.zeros(64, 3),
            txt_ids=torch.zeros(text, 3),
        )
    return sum(size for size, _ in held.values())


def test_more_of_anything_takes_more_memory() -> None:
    plain = priced(batch=8).memory_bytes
    assert priced(batch=16).memory_bytes > plain
    assert priced(batch=8, tokens=256).memory_bytes > plain
    assert priced(batch=8, ema_decay=0.9).memory_bytes > plain
    assert priced(batch=8, checkpointing="on").memory_bytes < plain
    every = {"targets": Targets.ALL_LINEAR_LAYERS}
    assert priced(batch=8, lora=every).memory_bytes > plain


def test_checkpointing_is_switched_on_where_memory_does_not_suffice() -> None:
    roomy = priced(batch=16)
    tight = Machine("cpu", "cpu", memory=roomy.memory_bytes - 1, flops=50e9)
    assert not roomy.checkpointing
    assert priced(tight, batch=16).checkpointing
    assert not priced(tight, batch=16, checkpointing=Checkpointing.OFF).checkpointing


def test_text_encoders_leave_a_gpu_before_anything_is_computed_twice() -> None:
    encoders = "text encoders and autoencoder"
    roomy = priced(GPU, batch=16, precision="bf16")
    assert encoders in {item.what for item in roomy.memory}
    tight = Machine("cuda", "NVIDIA H100", memory=roomy.memory_bytes - 1, flops=989e12)
    told = priced(tight, batch=16, precision="bf16")
    assert encoders not in {item.what for item in told.memory}
    assert not told.checkpointing
    assert "Text encoders" in told.assumptions[-1]


def test_every_assumption_is_a_sentence_and_the_parts_add_up() -> None:
    told = priced()
    assert sum(item.bytes for item in told.memory) == told.memory_bytes
    assert all(line.endswith(".") for line in told.assumptions)
    assert "96 of text" in told.assumptions[0]
    assert told.images == told.steps * 4


def test_steps_are_those_asked_for_or_whole_epochs() -> None:
    assert count_steps(config(steps=7), 1_000) == 7
    assert count_steps(config(epochs=5, batch=4, accumulate=2), 1_000) == 625
    assert count_steps(config(epochs=1, batch=4), 1) == 1


def test_the_largest_batch_that_fits_is_found() -> None:
    wanted = config(batch=64)
    base = starter()
    groups = target_groups(base, LoraShape())

    def price(asked: TrainingConfig) -> Estimate:
        return estimate(asked, base, groups, amounts(), CPU)

    room = price(wanted.model_copy(update={"batch": 20})).memory_bytes
    assert largest_batch(wanted, price, room) == 20
    assert largest_batch(wanted, price, 1_000_000) == 0


def test_stable_diffusion_and_a_gpu_are_estimated_too(tiny_sd: Path) -> None:
    base = of_model(usable_model(Settings(model_folders=(tiny_sd,)), tiny_sd.name))
    told = priced(GPU, base, precision="bf16")
    assert told.host_bytes > 0
    assert told.seconds > 0
    assert gpu_flops("NVIDIA A100-SXM4-80GB") == 312e12
    assert gpu_flops("another") > 0
    assert measure_cpu(0.01) > 1e8
