"""A LoRA file says what it is; one that cannot be used gets a sentence that says why."""

import io
import json
import pickle
import struct
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from backend.generation.errors import LoraError
from backend.generation.lora.facts import find_facts
from backend.generation.lora.layouts import Family, Layout
from backend.generation.lora.reading import check_numbers, read_lora
from tests.lora_files import Tensors, as_diffusers, as_xlabs, kohya_lora, only, save_lora

HIDDEN = 16
DOWN = "lora_unet_double_blocks_0_img_attn_qkv.lora_down.weight"
UP = "lora_unet_double_blocks_0_img_attn_qkv.lora_up.weight"
ALPHA = "lora_unet_double_blocks_0_img_attn_qkv.alpha"


def sd1_kohya() -> Tensors:
    block = "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn2_to_k"
    return {
        f"{block}.lora_down.weight": torch.ones(4, 768),
        f"{block}.lora_up.weight": torch.ones(320, 4),
        f"{block}.alpha": torch.tensor(4.0),
        "lora_te_text_model_encoder_layers_0_mlp_fc1.lora_down.weight": torch.ones(4, 768),
        "lora_te_text_model_encoder_layers_0_mlp_fc1.lora_up.weight": torch.ones(3072, 4),
    }


def sd_diffusers(text_width: int) -> Tensors:
    block = "unet.down_blocks.0.attentions.0.transformer_blocks.0.attn2.to_k"
    return {
        f"{block}.lora_A.weight": torch.ones(4, text_width),
        f"{block}.lora_B.weight": torch.ones(320, 4),
    }


def sd1_processor() -> Tensors:
    block = "unet.mid_block.attentions.0.transformer_blocks.0.attn1.processor.to_q_lora"
    return {f"{block}.down.weight": torch.ones(4, 8), f"{block}.up.weight": torch.ones(8, 4)}


@pytest.mark.parametrize(
    ("tensors", "layout", "family"),
    [
        (kohya_lora(hidden=HIDDEN), Layout.KOHYA, Family.FLUX),
        (as_diffusers(kohya_lora(hidden=HIDDEN), HIDDEN), Layout.DIFFUSERS, Family.FLUX),
        (as_xlabs(kohya_lora(hidden=HIDDEN), HIDDEN), Layout.XLABS, Family.FLUX),
        (sd1_kohya(), Layout.KOHYA, Family.SD1),
        (sd_diffusers(768), Layout.DIFFUSERS, Family.SD1),
        (sd1_processor(), Layout.DIFFUSERS, Family.SD1),
        (sd_diffusers(1024), Layout.DIFFUSERS, Family.SD2),
        (sd_diffusers(2048), Layout.DIFFUSERS, Family.SDXL),
    ],
    ids=["kohya", "diffusers", "xlabs", "sd1-kohya", "sd1", "sd1-processor", "sd2", "sdxl"],
)
def test_layout_and_family_are_recognised_by_the_names_of_the_tensors(
    tmp_path: Path, tensors: Tensors, layout: Layout, family: Family
):
    lora = read_lora(save_lora(tmp_path / "lora.safetensors", tensors))
    assert (lora.layout, lora.family) == (layout, family)


def test_names_without_their_component_are_those_of_the_transformer(tmp_path: Path):
    whole = as_diffusers(kohya_lora(hidden=HIDDEN), HIDDEN)
    bare = {name.removeprefix("transformer."): tensor for name, tensor in whole.items()}
    first = read_lora(save_lora(tmp_path / "whole.safetensors", whole))
    second = read_lora(save_lora(tmp_path / "bare.safetensors", bare))
    assert [pair.module for pair in first.pairs] == [pair.module for pair in second.pairs]


@pytest.mark.parametrize(
    ("parts", "targets"),
    [
        (("attn_qkv", "attn_proj", "linear1"), "attention"),
        (("attn_qkv", "attn_proj", "mlp", "linear1", "linear2"), "attention and feed-forward"),
        (("",), "all linear layers of the blocks"),
        (("linear2",), "single_transformer_blocks.proj_out"),
    ],
)
def test_the_usual_sets_of_layers_have_a_name_and_others_are_listed(
    tmp_path: Path, parts: tuple[str, ...], targets: str
):
    tensors = only(kohya_lora(hidden=HIDDEN, double=2, single=2), *parts)
    facts = find_facts(read_lora(save_lora(tmp_path / "lora.safetensors", tensors)))
    assert facts.targets == targets
    diffusers = save_lora(tmp_path / "diffusers.safetensors", as_diffusers(tensors, HIDDEN))
    assert find_facts(read_lora(diffusers)).targets == targets


def test_the_facts_are_counted_hashed_and_read_from_the_header(tmp_path: Path):
    metadata = {
        "ss_output_name": "melanoma v2",
        "modelspec.architecture": "flux-1-dev/lora",
        "t5_length": "128",
    }
    tensors = kohya_lora(hidden=HIDDEN, rank=3)
    path = save_lora(tmp_path / "lora.safetensors", tensors, metadata)
    facts = find_facts(read_lora(path))
    assert facts.title == "melanoma v2"
    assert facts.base == "flux-1-dev/lora"
    assert facts.t5_length == 128
    assert facts.ranks == (3,)
    assert facts.parameters == sum(
        tensor.numel() for name, tensor in tensors.items() if not name.endswith("alpha")
    )
    assert facts.bytes == path.stat().st_size
    bare = find_facts(read_lora(save_lora(tmp_path / "other.safetensors", tensors)))
    assert (bare.hash, bare.title, bare.base, bare.t5_length) == (facts.hash, "other", None, None)
    tensors[ALPHA] = torch.tensor(1.0)
    assert find_facts(read_lora(save_lora(path, tensors))).hash != facts.hash


def test_rank_64_on_all_linear_layers_of_flux_dev_has_the_306_million_of_the_paper(tmp_path: Path):
    one = kohya_lora(hidden=3072, rank=1, dtype=torch.bfloat16)
    facts = find_facts(read_lora(save_lora(tmp_path / "lora.safetensors", one)))
    double = find_facts(
        read_lora(save_lora(tmp_path / "double.safetensors", only(one, "double_blocks")))
    )
    single = facts.parameters - double.parameters
    assert 64 * (19 * double.parameters + 38 * single) == pytest.approx(306.3e6, rel=1e-4)


def changed(**changes: torch.Tensor | None) -> Tensors:
    names = {"down": DOWN, "up": UP, "alpha": ALPHA}
    tensors: Tensors = kohya_lora(hidden=HIDDEN)
    for name, tensor in changes.items():
        if tensor is None:
            del tensors[names.get(name, name)]
        else:
            tensors[names.get(name, name)] = tensor
    return tensors


@pytest.mark.parametrize(
    ("tensors", "sentence"),
    [
        ({}, "holds no LoRA that is known here"),
        ({"model.weight": torch.ones(2)}, "its first tensor is model.weight"),
        (
            changed(**{"lora_unet_double_blocks_0_img_attn_qkv.dora_scale": torch.ones(48)}),
            "holds lora_unet_double_blocks_0_img_attn_qkv.dora_scale, which nothing here can apply",
        ),
        (changed(up=None), f"{ALPHA} is there without its up half"),
        (changed(down=None), "is there without its down half"),
        (changed(up=torch.ones(48, 5)), "do not fit each other, 4 x 16 and 48 x 5"),
        (changed(up=torch.ones(48)), "do not fit each other, 4 x 16 and 48"),
        (changed(down=torch.ones(4, 16, dtype=torch.int8)), "as I8: save it in float32"),
        (changed(alpha=torch.ones(3)), "has 3 numbers as"),
        (
            {
                "lora_unet_double_blocks_0_img_attn_q.lora_down.weight": torch.ones(4, 16),
                "lora_unet_double_blocks_0_img_attn_q.lora_up.weight": torch.ones(16, 4),
            },
            "changes lora_unet_double_blocks_0_img_attn_q, which no FLUX has",
        ),
        (
            changed(
                **{
                    "lora_te1_text_model_encoder_layers_0_mlp_fc1.lora_down.weight": torch.ones(
                        4, 8
                    ),
                    "lora_te1_text_model_encoder_layers_0_mlp_fc1.lora_up.weight": torch.ones(8, 4),
                }
            ),
            "also changes the text encoder",
        ),
    ],
)
def test_what_cannot_be_applied_gets_one_sentence(tmp_path: Path, tensors: Tensors, sentence: str):
    path = save_lora(tmp_path / "melanoma.safetensors", tensors)
    with pytest.raises(LoraError) as caught:
        read_lora(path)
    assert sentence in str(caught.value)
    assert "melanoma.safetensors" in str(caught.value)
    assert str(caught.value).endswith(".")


def torch_archive() -> bytes:
    buffer = io.BytesIO()
    torch.save({"weight": torch.ones(2)}, buffer)
    return buffer.getvalue()


WHOLE = Path("whole.safetensors")


@pytest.mark.parametrize(
    ("name", "make", "sentence"),
    [
        ("lora.pt", lambda whole: whole, "is a pickle, which can run any program"),
        ("lora.ckpt", lambda whole: whole, "is a pickle"),
        ("lora.BIN", lambda whole: whole, "is a pickle"),
        ("lora.safetensors", lambda _: torch_archive(), "is a pickle"),
        ("lora.safetensors", lambda _: pickle.dumps({"a": 1}), "is a pickle"),
        ("lora.safetensors", lambda whole: whole[:-1], "truncated"),
        ("lora.safetensors", lambda whole: whole[:40], "truncated"),
        ("lora.safetensors", lambda whole: whole + b"more", "damaged"),
        ("lora.safetensors", lambda _: b"", "truncated"),
        ("lora.safetensors", lambda _: b"A" * 64, "not in safetensors format"),
        ("lora.safetensors", lambda _: struct.pack("<Q", 2) + b"[]", "not in safetensors format"),
        (
            "lora.safetensors",
            lambda _: struct.pack("<Q", 30_000) + b"[" * 30_000,
            "not in safetensors format",
        ),
    ],
)
def test_no_sound_safetensors_file_no_lora(
    tmp_path: Path, name: str, make: Callable[[bytes], bytes], sentence: str
):
    whole = save_lora(tmp_path / WHOLE, kohya_lora(hidden=HIDDEN)).read_bytes()
    (tmp_path / name).write_bytes(make(whole))
    with pytest.raises(LoraError, match=sentence):
        read_lora(tmp_path / name)


def test_a_header_whose_length_looks_like_a_pickle_is_no_pickle(tmp_path: Path):
    tensors = only(kohya_lora(hidden=HIDDEN), "img_attn_qkv")
    plain = save_lora(tmp_path / "plain.safetensors", tensors).read_bytes()
    length = struct.unpack("<Q", plain[:8])[0]
    header = json.dumps(json.loads(plain[8 : 8 + length])).encode().ljust(0x0480)
    path = tmp_path / "lora.safetensors"
    path.write_bytes(struct.pack("<Q", 0x0480) + header + plain[8 + length :])
    assert path.read_bytes().startswith(b"\x80\x04")
    assert len(read_lora(path).pairs) == 1


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_a_number_that_is_none_is_found_in_every_type(
    tmp_path: Path, dtype: torch.dtype, value: float
):
    largest = torch.full((48, 4), torch.finfo(dtype).max, dtype=dtype)
    check_numbers(read_lora(save_lora(tmp_path / "sound.safetensors", changed(up=largest))))
    largest[47, 3] = value
    lora = read_lora(save_lora(tmp_path / "lora.safetensors", changed(up=largest)))
    with pytest.raises(LoraError, match=f"NaN or infinity in {UP}"):
        check_numbers(lora)
