"""Linear layers whose products the tensor cores take in 8 bits, from Ada and Hopper on.

Weights and inputs are rounded to float8 e4m3, each row of both with a scale of its own, so that
one large number costs only its row precision (Micikevicius et al., FP8 Formats for Deep Learning,
2022). Norms and what modulates them stay as they are.
"""

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

if TYPE_CHECKING:
    from collections.abc import Iterator

LARGEST = float(torch.finfo(torch.float8_e4m3fn).max)
TINY = 1e-12
MULTIPLE = 16
"""What the tensor cores want both sides of a matrix to be a multiple of."""
_TENSOR_CORES = (8, 9)
_BLOCKS = ("transformer_blocks", "single_transformer_blocks")


class Float8Linear(nn.Module):
    """A linear layer in 8 bits: `weight` (out, in) times `scale` (out,) is what it was."""

    weight: Tensor
    scale: Tensor
    bias: Tensor | None

    def __init__(self, linear: nn.Linear, device: torch.device) -> None:
        super().__init__()
        self.in_features, self.out_features = linear.in_features, linear.out_features
        self.computes = has_tensor_cores(device)
        weight, scale = _rounded(linear.weight.detach().to(device))
        self.register_buffer("weight", weight)
        self.register_buffer("scale", scale.squeeze(1))
        bias = None if linear.bias is None else linear.bias.detach().to(device)
        self.register_buffer("bias", bias)

    def forward(self, inputs: Tensor) -> Tensor:
        """`inputs` (..., in) to (..., out) in their own precision."""
        rows, scales = _rounded(inputs.reshape(-1, inputs.shape[-1]))
        if self.computes:
            outputs = torch._scaled_mm(  # noqa: SLF001
                rows,
                self.weight.t(),
                scale_a=scales,
                scale_b=self.scale.view(1, -1),
                bias=self.bias,
                out_dtype=inputs.dtype,
                use_fast_accum=True,
            )
        else:
            given = (rows.float() * scales).to(inputs.dtype)
            wide = (self.weight.float() * self.scale.view(-1, 1)).to(inputs.dtype)
            outputs = F.linear(given, wide, self.bias)
        return outputs.view(*inputs.shape[:-1], self.weight.shape[0])

    @torch.no_grad()
    def store(self, weight: Tensor) -> None:
        """Put other numbers in the place of the weight."""
        rounded, scale = _rounded(weight.to(self.weight.device))
        self.weight.copy_(rounded)
        self.scale.copy_(scale.squeeze(1))


def has_tensor_cores(device: torch.device) -> bool:
    """Whether a device multiplies in 8 bits; others round all the same and multiply wider."""
    return device.type == "cuda" and torch.cuda.get_device_capability(device) >= _TENSOR_CORES


def round_blocks(transformer: Any, device: str) -> None:
    """Put the layers of all blocks in 8 bits onto the device, one by one, norms left out."""
    for parent, name, linear in list(_linears(transformer)):
        setattr(parent, name, Float8Linear(linear, torch.device(device)))


def _linears(transformer: Any) -> "Iterator[tuple[nn.Module, str, nn.Linear]]":
    for blocks in _BLOCKS:
        for path, parent in getattr(transformer, blocks).named_modules():
            for name, child in parent.named_children():
                fits = isinstance(child, nn.Linear) and not (
                    child.in_features % MULTIPLE or child.out_features % MULTIPLE
                )
                if fits and "norm" not in f"{path}.{name}":
                    yield parent, name, child


def _rounded(values: Tensor) -> tuple[Tensor, Tensor]:
    """Rows (N, K) in float8 and their scales (N, 1) in float32."""
    scale = values.abs().amax(dim=-1, keepdim=True).float().clamp(min=TINY) / LARGEST
    return (values.float() / scale).clamp(-LARGEST, LARGEST).to(torch.float8_e4m3fn), scale
