"""Zero-shot scorers equal a direct computation, PanDerm's tower too, and run no foreign code."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import open_clip
import pytest
import torch
from open_clip.model import CustomTextCLIP
from safetensors.torch import load_file
from torch import Tensor
from torch.nn import functional as F

from backend.evaluation.cells import read_scores
from backend.evaluation.errors import EvaluationError
from backend.evaluation.grid import ZeroShot
from backend.evaluation.prompts import PromptSet, find_prompts
from backend.evaluation.scorers import ScoredImage, write_scoring
from backend.images import open_image, write_image
from backend.settings import REPOSITORY
from tests.tiny_clips import panderm_clip, plain_clip
from training.zero_shot.loading import load_model
from training.zero_shot.scoring import encode_prompts, score_files

PROMPTS = PromptSet(
    templates=("this is a skin image of {} .", "the lesion depicted is {} ."),
    benign=("a benign lesion", "a nevus"),
    malignant=("a malignant lesion", "a melanoma"),
)


@pytest.fixture
def pictures(tmp_path: Path) -> list[Path]:
    rng = np.random.default_rng(0)
    paths = [tmp_path / f"{index}.png" for index in range(3)]
    for path in paths:
        write_image(path, rng.integers(0, 255, (48, 40, 3), dtype=np.uint8))
    return paths


def test_scores_of_a_plain_clip_equal_a_direct_open_clip_computation(
    tmp_path: Path, pictures: list[Path]
) -> None:
    folder = plain_clip(tmp_path / "clip")
    loaded = load_model(folder)
    ours = score_files(loaded, encode_prompts(loaded, PROMPTS), pictures, batch=2)
    model, preprocess = open_clip.create_model_from_pretrained(f"local-dir:{folder}")
    tokenizer = open_clip.get_tokenizer(f"local-dir:{folder}")
    images = torch.stack([preprocess(open_image(path)) for path in pictures])
    theirs = _directly(model.eval(), tokenizer, images)
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-6)


@pytest.mark.parametrize("mean_pooling", [False, True])
def test_scores_with_a_panderm_tower_equal_a_computation_written_out(
    tmp_path: Path, pictures: list[Path], mean_pooling: bool
) -> None:
    folder = panderm_clip(tmp_path / "panderm", mean_pooling=mean_pooling)
    loaded = load_model(folder)
    ours = score_files(loaded, encode_prompts(loaded, PROMPTS), pictures)
    config = json.loads((folder / "open_clip_config.json").read_text())["model_cfg"]
    config["text_cfg"]["hf_model_name"] = str(tmp_path / "panderm-text")
    weights = load_file(folder / "open_clip_model.safetensors")
    model = CustomTextCLIP(**config)
    theirs_text = {k: v for k, v in weights.items() if not k.startswith("visual.")}
    model.load_state_dict(theirs_text, strict=False)
    tower = {name[7:]: value for name, value in weights.items() if name.startswith("visual.")}
    model.visual = _Tower(tower)
    images = torch.stack([loaded.preprocess(open_image(path)) for path in pictures])
    tokenizer = open_clip.get_tokenizer(f"local-dir:{folder}")
    theirs = _directly(model.eval(), tokenizer, images)
    assert images.shape == (3, 3, 32, 32)
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-5)
    assert np.ptp(ours) > 1e-4


def test_the_program_writes_the_one_prediction_table(tmp_path: Path, pictures: list[Path]) -> None:
    folder = plain_clip(tmp_path / "clip")
    images = tuple(
        ScoredImage(image_id=path.stem, path=path, malignant=bool(index % 2), split="test")
        for index, path in enumerate(pictures)
    )
    task = write_scoring(tmp_path, ZeroShot(name="Tiny", folder=folder), PROMPTS, images)
    command = [sys.executable, "-m", "training.zero_shot", str(task)]
    subprocess.run(command, cwd=REPOSITORY, check=True, timeout=200)
    frame = read_scores(task, "Tiny")
    loaded = load_model(folder)
    scores = score_files(loaded, encode_prompts(loaded, PROMPTS), pictures)
    np.testing.assert_allclose(frame["score"], scores, atol=1e-6)
    assert frame["y_true"].tolist() == [0, 1, 0]


def test_pickles_foreign_code_and_damaged_folders_are_refused_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(EvaluationError, match=r"has no open_clip_config\.json"):
        load_model(tmp_path)
    folder = plain_clip(tmp_path / "clip")
    config = folder / "open_clip_config.json"
    text = config.read_text()
    config.write_text(
        text.replace('"preprocess_cfg"', '"trust_remote_code": true, "preprocess_cfg"')
    )
    with pytest.raises(EvaluationError, match="code of its own"):
        load_model(folder)
    config.write_text(text)
    weights = folder / "open_clip_model.safetensors"
    weights.rename(folder / "open_clip_pytorch_model.bin")
    with pytest.raises(EvaluationError, match="pickle"):
        load_model(folder)
    weights.write_bytes(b"not safetensors")
    with pytest.raises(EvaluationError, match="do not fit together"):
        load_model(folder)


def test_prompts_of_the_workspace_win_and_bad_ones_are_named(tmp_path: Path) -> None:
    assert "This is a skin image of a melanoma." in find_prompts("dermatology").sentences(True)
    own = tmp_path / "prompts.toml"
    own.write_text('[mine]\ntemplates = ["{} lesion"]\nbenign = ["mild"]\nmalignant = ["bad"]\n')
    assert find_prompts("mine", tmp_path).sentences(False) == ["mild lesion"]
    with pytest.raises(EvaluationError, match="no prompts 'yours'"):
        find_prompts("yours", tmp_path)
    own.write_text('[mine]\ntemplates = ["lesion"]\nbenign = ["mild"]\nmalignant = ["bad"]\n')
    with pytest.raises(EvaluationError, match=r"mine\.templates.*has to hold"):
        find_prompts("mine", tmp_path)


def _directly(model: torch.nn.Module, tokenizer: object, images: Tensor) -> np.ndarray:
    """Radford's zero-shot recipe, with nothing of ours."""
    with torch.no_grad():
        classes = []
        for names in (PROMPTS.benign, PROMPTS.malignant):
            texts = [one.format(name) for name in names for one in PROMPTS.templates]
            features = F.normalize(model.encode_text(tokenizer(texts)), dim=-1)
            classes.append(F.normalize(features.mean(0), dim=-1))
        embeddings = F.normalize(model.encode_image(images), dim=-1)
        logits = model.logit_scale.exp() * embeddings @ torch.stack(classes).T
        return logits.softmax(-1)[:, 1].numpy()


class _Tower(torch.nn.Module):
    """PanDerm's forward pass written out over its weights."""

    def __init__(self, weights: dict[str, Tensor]) -> None:
        super().__init__()
        self.weights = weights

    def forward(self, images: Tensor) -> Tensor:
        w = self.weights
        width = w["cls_token"].shape[-1]
        patches = F.conv2d(
            images, w["patch_embed.proj.weight"], w["patch_embed.proj.bias"], stride=16
        )
        x = torch.cat((w["cls_token"].expand(len(images), -1, -1), patches.flatten(2).mT), 1)
        x = x + w["pos_embed"]
        for block in ("blocks.0.", "blocks.1."):
            h = F.layer_norm(x, (width,), w[block + "norm1.weight"], w[block + "norm1.bias"], 1e-6)
            q, k, v = (h @ w[block + "attn.qkv.weight"].T).chunk(3, -1)
            q, v = q + w[block + "attn.q_bias"], v + w[block + "attn.v_bias"]
            heads = [one.unflatten(-1, (2, 64)).transpose(1, 2) for one in (q, k, v)]
            attention = (heads[0] @ heads[1].mT / 8).softmax(-1) @ heads[2]
            h = attention.transpose(1, 2).flatten(2) @ w[block + "attn.proj.weight"].T
            x = x + w[block + "gamma_1"] * (h + w[block + "attn.proj.bias"])
            h = F.layer_norm(x, (width,), w[block + "norm2.weight"], w[block + "norm2.bias"], 1e-6)
            h = F.gelu(F.linear(h, w[block + "mlp.fc1.weight"], w[block + "mlp.fc1.bias"]))
            h = F.linear(h, w[block + "mlp.fc2.weight"], w[block + "mlp.fc2.bias"])
            x = x + w[block + "gamma_2"] * h
        mean = "fc_norm.weight" in w
        pooled, name = (x[:, 1:].mean(1), "fc_norm") if mean else (x[:, 0], "norm")
        pooled = F.layer_norm(pooled, (width,), w[f"{name}.weight"], w[f"{name}.bias"], 1e-6)
        return F.linear(pooled, w["head.weight"], w["head.bias"])
