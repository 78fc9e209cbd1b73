"""Layouts say the same thing in other words: converted there and back, nothing is lost."""

import json
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file

from backend.generation.lora.conversion import (
    diffusers_tensors,
    kohya_tensors,
    own_shapes,
    read_pairs,
)
from backend.generation.lora.reading import read_lora
from tests.lora_files import Tensors, as_diffusers, as_xlabs, kohya_lora, only, save_lora

FLUX_WIDTH = 3072
LAYERS = (
    "transformer_blocks.0.attn.to_q",
    "transformer_blocks.0.attn.to_k",
    "transformer_blocks.0.attn.to_v",
    "transformer_blocks.0.attn.add_k_proj",
    "transformer_blocks.0.attn.to_out.0",
    "transformer_blocks.0.ff.net.2",
    "transformer_blocks.0.norm1_context.linear",
    "single_transformer_blocks.3.attn.to_q",
    "single_transformer_blocks.3.proj_mlp",
    "single_transformer_blocks.3.proj_out",
    "x_embedder",
    "norm_out.linear",
)
WIDTHS = {
    "ff.net.2": (8, 32),
    "norm1_context.linear": (48, 8),
    "proj_mlp": (32, 8),
    "proj_out": (8, 40),
    "x_embedder": (8, 64),
    "norm_out.linear": (16, 8),
}


def converted(path: Path, tensors: Tensors, metadata: dict[str, str] | None = None) -> Tensors:
    """What our converter makes of a file, in diffusers layout."""
    lora = read_lora(save_lora(path, tensors, metadata))
    return diffusers_tensors(read_pairs(lora, own_shapes(lora)))


def assert_same(ours: Tensors, theirs: Tensors) -> None:
    assert set(ours) == set(theirs)
    for name, tensor in theirs.items():
        assert ours[name].dtype == tensor.dtype
        assert torch.equal(ours[name], tensor), name


@pytest.mark.parametrize(
    ("rank", "alpha", "dtype"),
    [
        (4, 4.0, torch.float32),
        (4, 1.0, torch.float32),
        (6, 3.3, torch.float32),
        (4, 8.0, torch.bfloat16),
    ],
)
def test_at_the_width_of_flux_the_converter_of_diffusers_agrees_exactly(
    tmp_path: Path, rank: int, alpha: float, dtype: torch.dtype
):
    from diffusers.loaders.lora_conversion_utils import _convert_kohya_flux_lora_to_diffusers

    tensors = kohya_lora(hidden=FLUX_WIDTH, rank=rank, alpha=alpha, dtype=dtype)
    ours = converted(tmp_path / "lora.safetensors", tensors)
    assert_same(ours, _convert_kohya_flux_lora_to_diffusers(dict(tensors)))


def test_separate_loras_put_side_by_side_come_apart_as_in_diffusers(tmp_path: Path):
    from diffusers.loaders.lora_conversion_utils import _convert_kohya_flux_lora_to_diffusers

    generator = torch.Generator().manual_seed(3)
    pairs = {
        f"transformer_blocks.0.attn.{name}": (
            torch.randn(4, FLUX_WIDTH, generator=generator),
            torch.randn(FLUX_WIDTH, 4, generator=generator),
        )
        for name in ("to_q", "to_k", "to_v")
    }
    tensors = kohya_tensors(pairs)
    assert tensors["lora_unet_double_blocks_0_img_attn_qkv.lora_down.weight"].shape == (12, 3072)
    ours = converted(tmp_path / "lora.safetensors", tensors)
    assert_same(ours, _convert_kohya_flux_lora_to_diffusers(dict(tensors)))
    assert_same(ours, diffusers_tensors(pairs))


def test_xlabs_is_read_as_diffusers_reads_it(tmp_path: Path):
    from diffusers.loaders.lora_conversion_utils import _convert_xlabs_flux_lora_to_diffusers

    tensors = as_xlabs(kohya_lora(hidden=48, double=2, single=2), 48)
    ours = converted(tmp_path / "lora.safetensors", tensors)
    assert_same(ours, _convert_xlabs_flux_lora_to_diffusers(dict(tensors)))


@pytest.mark.parametrize("hidden", [16, 32, 256])
def test_a_small_flux_is_split_by_its_own_widths(tmp_path: Path, hidden: int):
    tensors = kohya_lora(hidden=hidden, double=2, single=3, rank=2, alpha=1)
    ours = converted(tmp_path / "lora.safetensors", tensors)
    assert_same(ours, as_diffusers(tensors, hidden))


def test_layers_outside_the_blocks_are_named_and_the_last_one_is_turned_round(tmp_path: Path):
    tensors = {
        "lora_unet_img_in.lora_down.weight": torch.ones(1, 4),
        "lora_unet_img_in.lora_up.weight": torch.ones(8, 1),
        "lora_unet_final_layer_adaLN_modulation_1.lora_down.weight": torch.ones(1, 8),
        "lora_unet_final_layer_adaLN_modulation_1.lora_up.weight": torch.arange(16.0)[:, None],
    }
    ours = converted(tmp_path / "lora.safetensors", tensors)
    assert ours["transformer.x_embedder.lora_B.weight"].shape == (8, 1)
    turned = ours["transformer.norm_out.linear.lora_B.weight"][:, 0]
    assert turned.tolist() == [*range(8, 16), *range(8)]


def test_the_scale_that_peft_notes_beside_the_weights_counts(tmp_path: Path):
    tensors = as_diffusers(kohya_lora(hidden=16, rank=4), 16)
    notes = {
        "transformer.r": 4,
        "transformer.lora_alpha": 8,
        "transformer.alpha_pattern": {"^single_transformer_blocks.0.proj_out": 2},
    }
    metadata = {"lora_adapter_metadata": json.dumps(notes)}
    ours = converted(tmp_path / "lora.safetensors", tensors, metadata)
    for name, tensor in tensors.items():
        factor = 0.5 if "blocks.0.proj_out" in name else 2
        assert torch.equal(ours[name], tensor * (factor if "lora_A" in name else 1)), name
    notes["transformer.use_rslora"] = True
    metadata = {"lora_adapter_metadata": json.dumps(notes)}
    ours = converted(tmp_path / "lora.safetensors", tensors, metadata)
    first = "transformer.transformer_blocks.0.attn.to_q.lora_A.weight"
    assert torch.equal(ours[first], tensors[first] * 4)


def test_an_alpha_beside_a_diffusers_pair_counts(tmp_path: Path):
    tensors = only(as_diffusers(kohya_lora(hidden=16, rank=4), 16), "attn.to_q.")
    module = "transformer.transformer_blocks.0.attn.to_q"
    ours = converted(
        tmp_path / "lora.safetensors", tensors | {f"{module}.alpha": torch.tensor(2.0)}
    )
    name = f"{module}.lora_A.weight"
    assert torch.equal(ours[name], tensors[name] * 0.5)


@settings(max_examples=60, deadline=None)
@given(
    ranks=st.dictionaries(st.sampled_from(LAYERS), st.integers(1, 5), min_size=1),
    seed=st.integers(0, 2**32),
)
def test_any_set_of_layers_and_ranks_survives_the_way_to_kohya_and_back(
    tmp_path_factory: pytest.TempPathFactory, ranks: dict[str, int], seed: int
):
    generator = torch.Generator().manual_seed(seed)
    pairs = {}
    for layer, rank in ranks.items():
        leaf = next((end for end in WIDTHS if layer.endswith(end)), None)
        outside, inside = WIDTHS[leaf] if leaf else (8, 8)
        pairs[layer] = (
            torch.randn(rank, inside, generator=generator),
            torch.randn(outside, rank, generator=generator),
        )
    path = tmp_path_factory.mktemp("lora") / "lora.safetensors"
    assert_same(converted(path, kohya_tensors(pairs)), diffusers_tensors(pairs))


@settings(max_examples=30, deadline=None)
@given(
    rank=st.integers(1, 6),
    hidden=st.sampled_from([8, 24, 40]),
    seed=st.integers(0, 2**32),
)
def test_a_kohya_file_survives_the_way_to_diffusers_and_back(
    tmp_path_factory: pytest.TempPathFactory, rank: int, hidden: int, seed: int
):
    tensors = kohya_lora(hidden=hidden, rank=rank, seed=seed)
    path = save_lora(tmp_path_factory.mktemp("lora") / "lora.safetensors", tensors)
    lora = read_lora(path)
    assert_same(kohya_tensors(read_pairs(lora, own_shapes(lora))), load_file(path))
