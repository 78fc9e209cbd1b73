"""What a training run does on a GPU, as far as a CPU can tell."""

import gc
import weakref
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from diffusers import FluxTransformer2DModel
from torch import Tensor, nn

from backend.finetuning.architectures import on_meta
from backend.finetuning.config import LoraShape
from backend.finetuning.targets import target_groups
from backend.generation.families import FLUX
from training.lora import preparation, texts
from training.lora.adapter import Lora, add_lora, compute_as_peft, compute_directly
from training.lora.batches import moved
from training.lora.preparation import _tried
from training.lora.texts import encoders_ready

CUDA = torch.device("cuda")
SHAPE: dict[str, Any] = {
    "num_layers": 2,
    "num_single_layers": 3,
    "attention_head_dim": 16,
    "num_attention_heads": 2,
    "joint_attention_dim": 16,
    "pooled_projection_dim": 16,
    "axes_dims_rope": (4, 6, 6),
    "guidance_embeds": True,
}


class Encoder(nn.Linear):
    """Says where it is, and goes nowhere in truth."""

    def __init__(self) -> None:
        super().__init__(8, 8)
        self.device = torch.device("cpu")

    def to(self, device: object) -> "Encoder":  # type: ignore[override]
        self.device = torch.device(device)  # type: ignore[call-overload]
        return self


def a_gpu_base(monkeypatch: pytest.MonkeyPatch, free: int) -> tuple[Any, list[Encoder]]:
    monkeypatch.setattr(texts, "free_memory", lambda _device: free)
    monkeypatch.setattr(texts, "release", lambda _device: None)
    encoders = [Encoder(), Encoder()]
    compute = SimpleNamespace(device=CUDA)
    return SimpleNamespace(compute=compute, text_encoders=encoders), encoders


@pytest.mark.parametrize(("stay", "after"), [(False, "cpu"), (True, "cuda")])
def test_text_encoders_are_on_the_gpu_while_they_encode(
    monkeypatch: pytest.MonkeyPatch, stay: bool, after: str
) -> None:
    base, encoders = a_gpu_base(monkeypatch, free=10**12)
    with encoders_ready(base, stay=stay) as device:
        assert device.type == "cuda"
        assert {one.device.type for one in encoders} == {"cuda"}
    assert {one.device.type for one in encoders} == {after}


def test_text_encoders_without_room_encode_on_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    base, encoders = a_gpu_base(monkeypatch, free=1_000)
    with encoders_ready(base, stay=False) as device:
        assert device.type == "cpu"
        assert {one.device.type for one in encoders} == {"cpu"}


def test_what_goes_to_a_gpu_goes_by_pinned_memory() -> None:
    calls: list[object] = []

    class Given:
        device = torch.device("cpu")

        def pin_memory(self) -> "Given":
            calls.append("pinned")
            return self

        def to(self, device: torch.device, *, non_blocking: bool = False) -> "Given":
            calls.append((device.type, non_blocking))
            return self

    moved(Given(), CUDA)  # type: ignore[arg-type]
    assert calls == ["pinned", ("cuda", True)]
    moved(Given(), torch.device("cpu"))  # type: ignore[arg-type]
    assert calls[2:] == [("cpu", False)]


def test_nothing_of_a_step_that_did_not_fit_is_left() -> None:
    kept: list[weakref.ref[Tensor]] = []

    def step() -> None:
        activations = torch.ones(3)
        kept.append(weakref.ref(activations))
        raise torch.OutOfMemoryError("CUDA out of memory.")

    work: Any = SimpleNamespace(
        config=SimpleNamespace(checkpointing=preparation.Checkpointing.AUTO),
        base=SimpleNamespace(denoiser=SimpleNamespace(is_gradient_checkpointing=False)),
    )
    assert _tried(work, preparation.Bucket(64, 64), step) is None
    gc.collect()
    assert kept[0]() is None


def a_denoiser(dtype: torch.dtype, **other: int) -> tuple[Any, Lora, LoraShape, Any]:
    torch.manual_seed(0)
    shape = LoraShape(rank=4, alpha=8)
    sizes = SHAPE | other
    groups = target_groups(on_meta("small", FLUX, sizes), shape)
    model = FluxTransformer2DModel(**sizes).to(dtype).requires_grad_(requires_grad=False)
    lora = add_lora(model, shape, groups, "transformer", seed=0)
    generator = torch.Generator().manual_seed(1)
    for parameter in lora.tensors:
        parameter.data = torch.randn(parameter.shape, generator=generator) * 0.1
    return model, lora, shape, groups


def predicted(model: Any, dtype: torch.dtype) -> Tensor:
    generator = torch.Generator().manual_seed(2)

    def noise(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator).to(dtype)

    found: Tensor = model(
        hidden_states=noise(2, 8, 64),
        encoder_hidden_states=noise(2, 5, 16),
        pooled_projections=noise(2, 16),
        timestep=torch.tensor([0.2, 0.7]),
        guidance=torch.ones(2),
        img_ids=torch.zeros(8, 3),
        txt_ids=torch.zeros(5, 3),
        return_dict=False,
    )[0]
    return found.float()


@pytest.mark.parametrize(
    ("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.bfloat16, 3e-2)], ids=["fp32", "bf16"]
)
def test_layers_of_a_gpu_compute_what_peft_computes(dtype: torch.dtype, tolerance: float) -> None:
    model, lora, shape, groups = a_denoiser(dtype)
    expected = predicted(model, dtype)
    wanted = torch.autograd.grad(expected.square().mean(), lora.tensors)
    assert compute_directly(model, shape, groups, CUDA) == 0
    found = predicted(model, dtype)
    assert not torch.equal(found, expected) or dtype is torch.float32
    assert (found - expected).norm() < tolerance * expected.norm()
    got = torch.autograd.grad(found.square().mean(), lora.tensors)
    for ours, theirs in zip(got, wanted, strict=True):
        assert ours.dtype is torch.float32
        assert (ours - theirs).norm() < 3 * tolerance * theirs.norm() + 1e-9
    compute_as_peft(model)
    assert torch.equal(predicted(model, dtype), expected)


def test_all_blocks_of_a_kind_are_compiled_once() -> None:
    from torch._dynamo.testing import CompileCounter

    blocks = {"num_layers": 5, "num_single_layers": 6}
    model, _, shape, groups = a_denoiser(torch.bfloat16, **blocks)
    compute_directly(model, shape, groups, CUDA)
    expected = predicted(model, torch.bfloat16)
    counter = CompileCounter()
    torch._dynamo.reset()
    model.compile_repeated_blocks(backend=counter)
    found = predicted(model, torch.bfloat16)
    found.sum().backward()
    assert counter.frame_count <= 4, "two kinds, and the first of each sees other gradients"
    torch.testing.assert_close(found, expected)
