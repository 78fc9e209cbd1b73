"""The loss against a plain float64 reference, and what of FLUX is easy to get wrong."""

import copy
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from backend.finetuning.architectures import of_model
from backend.finetuning.config import TrainingConfig
from backend.finetuning.errors import FinetuningError
from backend.finetuning.targets import target_groups
from backend.generation.models import usable_model
from backend.settings import Settings
from tests.service.training_runs import tiny_config
from training.lora.adapter import Lora, add_lora, compute_directly
from training.lora.base import Base, choose_compute, load_base
from training.lora.objective import (
    VALIDATION_LEVELS,
    FluxObjective,
    Text,
    losses,
    make_objective,
    pack,
    unpack,
)
from training.lora.order import Draw


def a_base(tmp_path: Path, model: Path, **choices: Any) -> tuple[TrainingConfig, Base, Lora]:
    """A tiny base with a LoRA whose upper half has left zero."""
    settings = Settings(workspace=tmp_path / "workspace", model_folders=(model.parent,))
    config = tiny_config(tmp_path, base=model.name, **choices)
    entry = usable_model(settings, model.name)
    base = load_base(entry, config, choose_compute(torch.device("cpu"), config.precision))
    groups = target_groups(of_model(entry), config.lora)
    lora = add_lora(base.denoiser, config.lora, groups, entry.kind.denoiser, seed=0)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in lora.tensors:
            parameter.add_(0.05 * torch.randn(parameter.shape, generator=generator))
    return config, base, lora


def a_draw(normal: float, uniform: float = 0.5) -> Draw:
    """One that decides the noise level alone."""
    return Draw(torch.zeros(0), torch.zeros(0), normal, uniform, dropped=False, flipped=False)


def flat(gradients: list[Tensor]) -> Tensor:
    """All gradients in one row, in float64."""
    return torch.cat([one.double().flatten() for one in gradients])


@pytest.mark.parametrize("rank", [4, 16])
def test_the_gradient_is_that_of_the_equations_in_float64(
    tmp_path: Path, tiny_flux: Path, rank: int
) -> None:
    config, base, lora = a_base(tmp_path, tiny_flux, lora={"rank": rank, "alpha": 2 * rank})
    generator = torch.Generator().manual_seed(2)
    latents, noise = torch.randn((2, 3, 16, 8, 4), generator=generator)
    text = Text(
        torch.randn((3, 7, 32), generator=generator), torch.randn((3, 32), generator=generator)
    )
    normals = [-1.2, 0.3, 1.7]
    objective = make_objective(base, guidance=1.0)
    levels = objective.levels([a_draw(one) for one in normals], tokens=8)

    def denoise(noisy: Tensor, at: Tensor, said: Text) -> Tensor:
        return objective.denoise(base.denoiser, noisy, at, said)

    reference = copy.deepcopy(base.denoiser).double()
    groups = target_groups(of_model(base.entry), config.lora)
    added = compute_directly(base.denoiser, config.lora, groups, torch.device("cpu"))
    assert (added > 0) == (rank == 16)
    loss = losses(objective, denoise, objective.scaled(latents), noise, levels, text).mean()
    ours = flat(list(torch.autograd.grad(loss, lora.tensors)))

    mu = 0.5 + (1.15 - 0.5) * (8 - 256) / (4096 - 256)
    shares = [1 / (1 + math.exp(-one)) for one in normals]
    sigmas = torch.tensor(
        [math.exp(mu) * s / (1 + (math.exp(mu) - 1) * s) for s in shares], dtype=torch.float64
    )
    x_0 = (latents.double() - 0.1159) * 0.3611
    x_1 = noise.double()
    s = sigmas.view(3, 1, 1, 1)
    x_sigma = (1 - s) * x_0 + s * x_1

    def patches(x: Tensor) -> Tensor:
        return torch.stack(
            [
                x[:, :, 2 * row : 2 * row + 2, 2 * column : 2 * column + 2].reshape(3, 64)
                for row in range(4)
                for column in range(2)
            ],
            dim=1,
        )

    said = reference(
        hidden_states=patches(x_sigma),
        timestep=sigmas,
        guidance=torch.ones(3, dtype=torch.float64),
        pooled_projections=text.pooled.double(),  # type: ignore[union-attr]
        encoder_hidden_states=text.states.double(),
        txt_ids=torch.zeros(7, 3),
        img_ids=torch.tensor([[0, row, column] for row in range(4) for column in range(2)]),
        return_dict=False,
    )[0]
    expected = (said - patches(x_1 - x_0)).square().mean()
    names = {
        name.removesuffix(".default.weight"): one for name, one in reference.named_parameters()
    }
    theirs = flat(
        list(
            torch.autograd.grad(
                expected,
                [
                    names[key.removeprefix("transformer.").removesuffix(".weight")]
                    for key in lora.parameters
                ],
            )
        )
    )
    assert float(loss.detach()) == pytest.approx(float(expected.detach()), rel=1e-5)
    assert float((ours - theirs).norm() / theirs.norm()) < 1e-5


def test_the_noise_of_stable_diffusion_is_that_of_its_scheduler(
    tmp_path: Path, tiny_sd: Path
) -> None:
    _, base, lora = a_base(tmp_path, tiny_sd, guidance=0.0)
    generator = torch.Generator().manual_seed(2)
    latents, noise = torch.randn((2, 2, 4, 8, 8), generator=generator)
    text = Text(torch.randn((2, 77, 32), generator=generator), None)
    objective = make_objective(base, guidance=0.0)
    levels = objective.levels([a_draw(0, 0.1), a_draw(0, 0.9)], tokens=16)
    assert levels.tolist() == [100, 900]
    clean = objective.scaled(latents)
    noisy, target = objective.mixed(clean, noise, levels)
    from diffusers import DDPMScheduler

    theirs = DDPMScheduler.from_config(base.pipeline.scheduler.config)
    torch.testing.assert_close(noisy, theirs.add_noise(latents * 0.18215, noise, levels))
    torch.testing.assert_close(target, noise)

    def denoise(noisy: Tensor, at: Tensor, said: Text) -> Tensor:
        return objective.denoise(base.denoiser, noisy, at, said)

    loss = losses(objective, denoise, clean, noise, levels, text).mean()
    assert all(one.abs().sum() > 0 for one in torch.autograd.grad(loss, lora.tensors))


@pytest.mark.parametrize(("side", "shift"), [(128, 1.596), (256, 1.649), (512, 1.878)])
def test_sigmas_are_shifted_by_the_tokens_of_the_bucket(
    tmp_path: Path, tiny_flux: Path, side: int, shift: float
) -> None:
    _, base, _ = a_base(tmp_path, tiny_flux)
    objective = make_objective(base, guidance=1.0)
    assert isinstance(objective, FluxObjective)
    assert objective.shift((side // 16) ** 2) == pytest.approx(shift, abs=5e-4)


def test_guidance_goes_in_only_where_the_model_has_an_embedding_for_it(
    tmp_path: Path, tiny_flux: Path
) -> None:
    _, base, _ = a_base(tmp_path, tiny_flux)
    objective = make_objective(base, guidance=1.0)
    assert isinstance(objective, FluxObjective)
    assert objective.guidance == 1.0
    base.denoiser.register_to_config(guidance_embeds=False)
    objective = make_objective(base, guidance=1.0)
    assert isinstance(objective, FluxObjective)
    assert objective.guidance is None


def test_patches_are_those_of_diffusers() -> None:
    from diffusers import FluxPipeline

    latents = torch.randn(2, 16, 6, 4)
    theirs = FluxPipeline._pack_latents(latents, 2, 16, 6, 4)
    torch.testing.assert_close(pack(latents), theirs)
    torch.testing.assert_close(unpack(pack(latents), 6, 4), latents)


def test_validation_levels_are_eight_equal_parts() -> None:
    assert VALIDATION_LEVELS == (0.0625, 0.1875, 0.3125, 0.4375, 0.5625, 0.6875, 0.8125, 0.9375)


def test_the_lora_is_fp32_and_the_base_bf16_where_that_is_asked(
    tmp_path: Path, tiny_flux: Path
) -> None:
    from training.lora.base import Compute

    settings = Settings(workspace=tmp_path / "workspace", model_folders=(tiny_flux.parent,))
    config = tiny_config(tmp_path, precision="bf16")
    entry = usable_model(settings, tiny_flux.name)
    base = load_base(entry, config, Compute(torch.device("cpu"), torch.bfloat16))
    groups = target_groups(of_model(entry), config.lora)
    lora = add_lora(base.denoiser, config.lora, groups, "transformer", seed=0)
    compute_directly(base.denoiser, config.lora, groups, torch.device("cpu"))
    assert {one.dtype for one in lora.tensors} == {torch.float32}
    frozen = [one for one in base.denoiser.parameters() if not one.requires_grad]
    assert {one.dtype for one in frozen} == {torch.bfloat16}
    assert sum(one.requires_grad for one in base.denoiser.parameters()) == len(lora.tensors)
    objective = make_objective(base, guidance=1.0)
    generator = torch.Generator().manual_seed(2)
    latents, noise = torch.randn((2, 1, 16, 4, 4), generator=generator)
    text = Text(torch.randn(1, 4, 32).bfloat16(), torch.randn(1, 32).bfloat16())

    def denoise(noisy: Tensor, at: Tensor, said: Text) -> Tensor:
        return objective.denoise(base.denoiser, noisy, at, said)

    loss = losses(objective, denoise, latents, noise, torch.tensor([0.5]), text).mean()
    assert loss.dtype is torch.float32
    assert {one.dtype for one in torch.autograd.grad(loss, lora.tensors)} == {torch.float32}


def test_a_fused_layout_shares_what_goes_down(tmp_path: Path, tiny_flux: Path) -> None:
    lora_shape = {"rank": 4, "alpha": 4, "fused": True}
    _, base, lora = a_base(tmp_path, tiny_flux, lora=lora_shape)
    block = base.denoiser.single_transformer_blocks[0]
    assert block.attn.to_q.lora_A["default"] is block.proj_mlp.lora_A["default"]
    state = lora.state()
    first = state["transformer.single_transformer_blocks.0.attn.to_q.lora_A.weight"]
    shared = state["transformer.single_transformer_blocks.0.attn.to_v.lora_A.weight"]
    assert torch.equal(first, shared)
    wanted = {one for one in base.denoiser.parameters() if one.requires_grad}
    assert wanted == set(lora.tensors)


def test_a_base_in_fp16_is_refused(tmp_path: Path, tiny_flux: Path) -> None:
    import shutil

    from safetensors.torch import load_file, save_file

    folder = Path(shutil.copytree(tiny_flux, tmp_path / "models" / "half"))
    (file,) = (folder / "transformer").glob("*.safetensors")
    save_file({key: one.half() for key, one in load_file(file).items()}, file)
    with pytest.raises(FinetuningError, match="fp16, in which FLUX overflows"):
        a_base(tmp_path, folder)
