"""What a folder must hold to be loaded as a pipeline, in the layout of diffusers."""

import json
import re
from collections.abc import Mapping
from pathlib import Path

from backend.generation.errors import ModelError
from backend.generation.families import (
    ATTRIBUTE_CLASSIFIER,
    FAMILIES,
    STABLE_DIFFUSION,
    ModelFamily,
    family_of_pipeline,
)
from backend.generation.weights import read_tensors

PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle")
_COMPONENTS = frozenset(
    [ATTRIBUTE_CLASSIFIER, *(name for family in FAMILIES for name in family.components)]
)
_VARIANT = re.compile(r"[^.]+\.\w+\.safetensors")
_TEXT_WIDTH_OF_SD2 = 1024


def check_model_folder(folder: Path) -> ModelFamily:
    """The family of the complete pipeline that `folder` holds; reads headers, not weights.

    Raises:
        ModelError: naming the first thing that is missing, truncated, pickled or unknown.
    """
    family = find_family(folder)
    index = read_json(folder / "model_index.json")
    for component, classes in family.components.items():
        _check_class(folder.name, index, component, classes)
        _refuse_pickles(folder / component)
    _refuse_pickles(folder / ATTRIBUTE_CLASSIFIER)
    read_json(folder / "scheduler" / "scheduler_config.json")
    for component in family.weighted:
        read_json(folder / component / "config.json")
        for file in weight_files(folder / component):
            read_tensors(file)
    for component, choices in family.tokenizers.items():
        _check_tokenizer(folder / component, choices)
    if family is STABLE_DIFFUSION:
        _check_text_width(folder)
    return family


def find_family(folder: Path) -> ModelFamily:
    """The kind of model in a folder, from its `model_index.json` alone.

    Raises:
        ModelError: the index is missing or damaged, or names a pipeline that is not loaded here.
    """
    named = read_json(folder / "model_index.json").get("_class_name")
    family = family_of_pipeline(named)
    if family is None:
        known = " or a ".join(known.pipeline for known in FAMILIES)
        raise ModelError(
            f"The model {folder.name} is a {named or 'pipeline of no known kind'}, not a {known}: "
            "choose a FLUX or Stable Diffusion 1.x model in diffusers layout."
        )
    return family


def weight_files(folder: Path) -> list[Path]:
    """The safetensors files of a component, each shard that the index names included.

    Raises:
        ModelError: there is none, or a shard is missing.
    """
    indices = sorted(folder.glob("*.safetensors.index.json"))
    if indices:
        shards = {
            str(shard) for shard in _mapping(read_json(indices[0]).get("weight_map")).values()
        }
        files = [folder / Path(shard).name for shard in sorted(shards)]
    else:
        found = sorted(folder.glob("*.safetensors"))
        files = [file for file in found if not is_variant(file.name)]
    missing = next((file for file in files if not file.is_file()), None)
    if missing is not None or not files:
        name = missing.name if missing else "weights in safetensors"
        raise ModelError(_missing(folder, name))
    return files


def is_variant(name: str) -> bool:
    """Whether a weight file is a second edition beside the plain one, such as `model.fp16`."""
    return _VARIANT.fullmatch(name) is not None


def read_json(file: Path) -> dict[str, object]:
    """A JSON object from a model's folder.

    Raises:
        ModelError: missing, unreadable or no JSON object.
    """
    try:
        values = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ModelError(_missing(file.parent, file.name)) from error
    except (OSError, ValueError) as error:
        raise ModelError(f"The file {file.name} of the model {_model(file)} is damaged.") from error
    if not isinstance(values, dict):
        raise ModelError(f"The file {file.name} of the model {_model(file)} is not a JSON object.")
    return values


def _check_class(
    model: str, index: Mapping[str, object], component: str, classes: tuple[str, ...]
) -> None:
    entry = index.get(component)
    found = entry[1] if isinstance(entry, list) and len(entry) == 2 else None
    if found not in classes:
        raise ModelError(
            f"The model {model} has {found or 'nothing'} as its {component}, where a "
            f"{classes[0]} belongs: code that comes with a model is never run."
        )


def _check_text_width(folder: Path) -> None:
    """Stable Diffusion 1.x reads text 768 wide from CLIP ViT-L/14, 2.x 1,024 wide."""
    config = read_json(folder / "unet" / "config.json")
    width = config.get("cross_attention_dim")
    if config.get("in_channels", 4) != 4:
        raise ModelError(
            f"The model {folder.name} is made for inpainting or depth, which is not done here: "
            "choose a Stable Diffusion 1.x that makes images from text."
        )
    encoder = read_json(folder / "text_encoder" / "config.json").get("hidden_size")
    if width == _TEXT_WIDTH_OF_SD2 or width != encoder:
        raise ModelError(
            f"The model {folder.name} reads text {width} wide, which no Stable Diffusion 1.x "
            "does with its text encoder: choose a 1.x model."
        )


def _refuse_pickles(folder: Path) -> None:
    for file in sorted(folder.glob("*")):
        if file.suffix in PICKLES:
            raise ModelError(
                f"The model {_model(file)} holds {folder.name}/{file.name}, a pickle, which can "
                "run any program when it is opened: get the weights in safetensors and delete it."
            )


def _check_tokenizer(folder: Path, choices: tuple[tuple[str, ...], ...]) -> None:
    if not any(all((folder / name).is_file() for name in choice) for choice in choices):
        raise ModelError(_missing(folder, choices[0][0]))


def _missing(folder: Path, name: str) -> str:
    where = f"{folder.name}/" if folder.name in _COMPONENTS else ""
    return (
        f"The model {_model(folder / name)} is incomplete, {where}{name} is missing: "
        "copy or download the folder again."
    )


def _model(file: Path) -> str:
    parent = file.parent
    return parent.parent.name if parent.name in _COMPONENTS else parent.name


def _mapping(value: object) -> dict[str, object]:
    return value if isinstance(value, dict) else {}
