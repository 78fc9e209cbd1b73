"""A CLIP from a folder in the hub's layout: its towers, its tokenizer and how it wants its images.

Nothing is downloaded, no pickle is opened, no code of a repository runs. A text tower of
transformers is built from the `config.json` in the folder where it describes one, else as the BERT
of base size that PubMedBERT is; its weights are in the CLIP's own file.
"""

import json
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import open_clip
from open_clip.coca_model import CoCa
from open_clip.factory import load_checkpoint
from open_clip.model import CLIP, CustomTextCLIP
from open_clip.transform import PreprocessCfg, image_transform_v2
from PIL.Image import Image
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn
from transformers import BertConfig

from backend.evaluation.errors import EvaluationError
from training.zero_shot.panderm import is_panderm, panderm_tower, tower_shape

CONFIG, WEIGHTS, TEXT_CONFIG = (
    "open_clip_config.json",
    "open_clip_model.safetensors",
    "config.json",
)
REMOTE_CODE = "trust_remote_code"
STAND_IN = {"layers": 1, "width": 64, "head_width": 64}
"""A tower that is built only to be replaced by PanDerm's."""


@dataclass(frozen=True)
class ZeroShotModel:
    """`model` has encode_image and encode_text; `preprocess` makes (3, H, W) of a picture."""

    model: nn.Module
    tokenizer: Callable[[list[str]], Tensor]
    preprocess: Callable[[Image], Tensor]


def load_model(folder: Path) -> ZeroShotModel:
    """The model of a folder, in float32 on the CPU, ready to score.

    Raises:
        EvaluationError: a file is missing or damaged, the weights are a pickle or do not fit, or it
            asks for code of its own.
    """
    values = _config(folder)
    weights = _weights(folder)
    try:
        with tempfile.TemporaryDirectory(prefix="dermaflux-text-") as text_folder:
            model = _build(values["model_cfg"], weights, folder, Path(text_folder))
        load_checkpoint(model, str(weights))
        tokenizer = open_clip.get_tokenizer(f"local-dir:{folder}")
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, SafetensorError) as error:
        raise EvaluationError(
            f"The model in {folder.name} cannot be loaded, its files do not fit together: "
            "download the whole folder again, the files of the tokenizer too."
        ) from error
    size = model.visual.image_size  # type: ignore[union-attr]
    chosen = {**values.get("preprocess_cfg", {}), "size": size}
    preprocess = image_transform_v2(PreprocessCfg(**chosen), is_train=False)
    return ZeroShotModel(model.eval(), tokenizer, preprocess)


def _build(config: dict[str, Any], weights: Path, folder: Path, text_folder: Path) -> nn.Module:
    """The towers that a configuration describes, without weights."""
    config = json.loads(json.dumps(config))
    tensors = _vision_tensors(weights)
    vision, text = config["vision_cfg"], config["text_cfg"]
    if "timm_model_name" in vision:
        vision["timm_model_pretrained"] = False
    if is_panderm(tensors):
        kept = {name: vision[name] for name in ("image_size", "patch_size") if name in vision}
        config["vision_cfg"] = {**kept, **STAND_IN}
    described = "hf_model_name" in text
    if described:
        _describe_text_tower(folder, text_folder)
        text |= {"hf_model_name": str(text_folder), "hf_model_pretrained": False}
    custom = config.pop("custom_text", False) or described
    kind = CoCa if "multimodal_cfg" in config else CustomTextCLIP if custom else CLIP
    model: nn.Module = kind(**config)
    if is_panderm(tensors):
        model.visual = panderm_tower(tower_shape(tensors))
    return model


def _describe_text_tower(folder: Path, text_folder: Path) -> None:
    """Leave a configuration of transformers where open_clip looks for it: in a folder, offline."""
    try:
        values = json.loads((folder / TEXT_CONFIG).read_text("utf-8"))
    except FileNotFoundError:
        values = {}
    if "model_type" not in values:
        values = BertConfig().to_dict()
    (text_folder / TEXT_CONFIG).write_text(json.dumps(values), "utf-8")


def _config(folder: Path) -> dict[str, Any]:
    try:
        text = (folder / CONFIG).read_text("utf-8")
        values: dict[str, Any] = json.loads(text)
        fits = {"vision_cfg", "text_cfg", "embed_dim"} <= set(values["model_cfg"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise EvaluationError(
            f"The folder {folder.name} has no {CONFIG} that can be read: name a folder of an "
            "open_clip model as the hub keeps it."
        ) from error
    if not fits:
        raise EvaluationError(f"{CONFIG} in {folder.name} does not describe both towers.")
    if REMOTE_CODE in text:
        raise EvaluationError(
            f"The model in {folder.name} asks to run code of its own, which is never done here: "
            f"remove {REMOTE_CODE} from its {CONFIG}."
        )
    return values


def _weights(folder: Path) -> Path:
    weights = folder / WEIGHTS
    if weights.is_file():
        return weights
    pickle = any(folder.glob("*.bin")) or any(folder.glob("*.pt"))
    reason = "; a pickle can run any code when it is opened and is not read" if pickle else ""
    raise EvaluationError(
        f"The folder {folder.name} has no {WEIGHTS}{reason}: take the weights as safetensors."
    )


def _vision_tensors(weights: Path) -> dict[str, Tensor]:
    """What is read of the file to see which vision tower it holds: nothing, unless PanDerm's."""
    with safe_open(weights, framework="pt") as file:
        names = [name for name in file.keys() if name.startswith("visual.")]  # noqa: SIM118
        if not is_panderm(names):
            return {}
        return {name: file.get_tensor(name) for name in names}
