"""Tiny real models of open_clip in the hub's layout: a plain one, and one with PanDerm's tower."""

import json
from pathlib import Path
from typing import Any

import torch
from open_clip.model import CLIP, CustomTextCLIP
from safetensors.torch import save_file
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from torch import nn
from transformers import BertConfig, BertTokenizerFast, PreTrainedTokenizerFast

from training.zero_shot.panderm import TowerShape, panderm_tower

WIDTH = 64
PREPROCESS = {
    "mean": [0.48, 0.46, 0.41],
    "std": [0.27, 0.26, 0.28],
    "interpolation": "bicubic",
    "resize_mode": "shortest",
}
WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "this", "is", "a", "an", "skin", "image"]
WORDS += ["of", "the", "lesion", "depicted", "benign", "malignant", "melanoma", "nevus", "."]


def plain_clip(folder: Path) -> Path:
    """A CLIP with a vision transformer and open_clip's own text tower and tokenizer."""
    config = {
        "embed_dim": WIDTH,
        "vision_cfg": {
            "image_size": 32,
            "layers": 2,
            "width": WIDTH,
            "head_width": 32,
            "patch_size": 16,
        },
        "text_cfg": {
            "context_length": 77,
            "vocab_size": 49408,
            "width": 32,
            "heads": 2,
            "layers": 1,
        },
    }
    torch.manual_seed(3)
    return _write(folder, CLIP(**config), config)


def panderm_clip(folder: Path, *, mean_pooling: bool = False) -> Path:
    """A CLIP as DermLIP-PanDerm's release: PanDerm's tower, BERT, the configuration of another."""
    folder.mkdir(parents=True)
    text_folder = folder.parent / f"{folder.name}-text"
    text_folder.mkdir()
    bert = BertConfig(
        vocab_size=len(WORDS),
        hidden_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=256,
    )
    bert.save_pretrained(text_folder)
    bert.save_pretrained(folder)
    _tokenizer().save_pretrained(folder)
    config: dict[str, Any] = {
        "embed_dim": WIDTH,
        "vision_cfg": {"image_size": 32, "layers": 1, "width": WIDTH, "patch_size": 16},
        "text_cfg": {
            "hf_model_name": str(text_folder),
            "hf_tokenizer_name": str(text_folder),
            "hf_proj_type": "mlp",
            "hf_pooler_type": "cls_last_hidden_state_pooler",
            "hf_model_pretrained": False,
            "context_length": 256,
        },
    }
    torch.manual_seed(4)
    model = CustomTextCLIP(**json.loads(json.dumps(config)))
    shape = TowerShape(32, 16, 128, 2, 2, 256, WIDTH, mean_pooling)
    model.visual = panderm_tower(shape)
    for parameter in model.visual.parameters():
        nn.init.normal_(parameter, std=0.2)
    nn.init.constant_(model.logit_scale, 4.6)
    config["text_cfg"]["hf_model_name"] = "somebody/a-bert-that-is-not-here"
    config["text_cfg"]["hf_tokenizer_name"] = "somebody/a-bert-that-is-not-here"
    return _write(folder, model, config)


def _write(folder: Path, model: nn.Module, config: dict[str, Any]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {name: value.contiguous() for name, value in model.state_dict().items()}
    save_file(tensors, folder / "open_clip_model.safetensors")
    values = {"model_cfg": config, "preprocess_cfg": PREPROCESS}
    (folder / "open_clip_config.json").write_text(json.dumps(values))
    return folder


def _tokenizer() -> PreTrainedTokenizerFast:
    words = Tokenizer(
        WordLevel({word: index for index, word in enumerate(WORDS)}, unk_token="[UNK]")
    )
    words.pre_tokenizer = Whitespace()
    return BertTokenizerFast(tokenizer_object=words)
