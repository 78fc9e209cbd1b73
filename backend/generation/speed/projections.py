"""Queries, keys and values of an attention from one matrix product instead of three."""

from copy import copy
from typing import Any

import torch
from torch import nn

JOINED = (
    ("to_qkv", ("to_q", "to_k", "to_v")),
    ("to_added_qkv", ("add_q_proj", "add_k_proj", "add_v_proj")),
)
_TENSORS = ("weight", "scale", "bias")


def join_projections(transformer: Any) -> None:
    """As `fuse_qkv_projections` of diffusers, but without a second copy of the weights.

    The three layers stay, as views into the rows of the one: a LoRA fused into them acts.
    """
    from diffusers.models.attention import AttentionModuleMixin

    for module in transformer.modules():
        if isinstance(module, AttentionModuleMixin):
            for name, names in JOINED:
                parts = [getattr(module, part, None) for part in names]
                if None not in parts:
                    setattr(module, name, _join([part for part in parts if part is not None]))
            module.fused_projections = True


@torch.no_grad()
def _join(parts: list[nn.Module]) -> nn.Module:
    """A layer of the parts' kind with the rows of all, whose memory they then share."""
    first = parts[0]
    whole = copy(first)
    whole._parameters, whole._buffers = dict(first._parameters), dict(first._buffers)  # noqa: SLF001
    rows_of_all = sum(int(getattr(part, "out_features", 0)) for part in parts)
    setattr(whole, "out_features", rows_of_all)  # noqa: B010 - a plain number, no tensor
    for name in _TENSORS:
        pieces = [getattr(part, name, None) for part in parts]
        tensors = [piece for piece in pieces if isinstance(piece, torch.Tensor)]
        if tensors:
            rows = _concatenated(tensors)
            _put(whole, name, rows, anew=True)
            for part, view in zip(parts, rows.split([len(t) for t in tensors]), strict=True):
                _put(part, name, view)
    return whole


def _concatenated(tensors: list[torch.Tensor]) -> torch.Tensor:
    """Eight bits are joined as plain bytes: not every device joins them as numbers."""
    dtype = tensors[0].dtype
    if dtype.itemsize > 1:
        return torch.cat([tensor.detach() for tensor in tensors])
    return torch.cat([tensor.view(torch.uint8) for tensor in tensors]).view(dtype)


def _put(module: nn.Module, name: str, tensor: torch.Tensor, *, anew: bool = False) -> None:
    held = getattr(module, name)
    if not isinstance(held, nn.Parameter):
        setattr(module, name, tensor)
    elif anew:
        setattr(module, name, nn.Parameter(tensor, requires_grad=held.requires_grad))
    else:
        held.data = tensor
