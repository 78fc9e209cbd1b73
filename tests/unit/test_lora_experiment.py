"""What the experiment with a LoRA does to the one that is to come with the studio."""

from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from benchmarks.lora import multiply

DOWN, UP = (f"transformer.transformer_blocks.0.attn.to_q.lora_{half}.weight" for half in "AB")


def test_a_lora_is_multiplied_as_a_weight_would_and_says_so(tmp_path: Path) -> None:
    file = tmp_path / "lora.safetensors"
    tensors = {DOWN: torch.randn(4, 8), UP: torch.randn(8, 4)}
    save_file(tensors, file, {"rank": "4"})
    multiply(file, 0.85)
    after = load_file(file)
    assert torch.equal(after[DOWN], tensors[DOWN])
    torch.testing.assert_close(after[UP] @ after[DOWN], 0.85 * tensors[UP] @ tensors[DOWN])
    with safe_open(file, "pt") as opened:
        assert opened.metadata() == {"rank": "4", "multiplied_by": "0.85"}
