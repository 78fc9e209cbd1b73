"""What the experiment with a LoRA does to the one that is to come with the studio."""

import json
from pathlib import Path

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from backend.abc.adherence import score_attributes
from backend.abc.attributes import Modality
from backend.abc.measure import measure
from backend.abc.parser import parse
from backend.generation.provenance import ALGORITHMIC_MEDIA
from backend.images import read_image, write_image
from backend.settings import Settings, prepare_workspace
from benchmarks.lora import learnt_pairs, multiply
from benchmarks.lora_data import Item, Split, write_pairs

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


def test_phantoms_beside_the_pairs_look_as_captioned_and_teach_layout_alone(
    tmp_path: Path,
) -> None:
    settings = Settings(workspace=tmp_path / "workspace")
    prepare_workspace(settings)
    pixels = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    write_image(settings.workspace / "mole.png", pixels)
    real = Item("1", "isic-1", "mole.png", "lesion-1", "benign", "A symmetric mole.")
    split = Split(0, (real,), ())
    folder = write_pairs(settings, split, tmp_path / "pairs", phantoms=24)
    lines = (folder / "metadata.jsonl").read_text().splitlines()
    first, *rows = (json.loads(line) for line in lines)
    assert "lowest_noise" not in first
    assert len(rows) == 24
    assert all(row["lowest_noise"] == 0.7 and row["origin"] == "phantom" for row in rows)
    (learnt,) = learnt_pairs(settings, folder, 0.0)
    assert learnt.caption == real.caption
    assert ALGORITHMIC_MEDIA.encode() in (folder / rows[0]["file_name"]).read_bytes()
    told = [parse(row["text"]).attributes for row in rows]
    assert {one.modality for one in told} <= {Modality.DERMOSCOPIC, None}
    assert all(one.skin_tone is None or one.skin_tone <= 3 for one in told)
    seen = [measure(read_image(folder / row["file_name"])).attributes for row in rows]
    scores = score_attributes(list(zip(told, seen, strict=True)))
    assert min(scores["colours"], scores["asymmetry"], scores["border"]) > 0.8
    again = write_pairs(settings, split, tmp_path / "again", phantoms=24)
    assert (again / "metadata.jsonl").read_text().splitlines() == lines
