"""What a folder must hold to be loaded as a FLUX pipeline, in the layout of diffusers."""

import json
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from backend.generation.errors import ModelError
from backend.generation.weights import read_tensors

COMPONENTS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "transformer": ("FluxTransformer2DModel",),
        "vae": ("AutoencoderKL",),
        "text_encoder": ("CLIPTextModel",),
        "text_encoder_2": ("T5EncoderModel",),
        "tokenizer": ("CLIPTokenizer", "CLIPTokenizerFast"),
        "tokenizer_2": ("T5Tokenizer", "T5TokenizerFast"),
        "scheduler": ("FlowMatchEulerDiscreteScheduler",),
    }
)
WEIGHTED = ("transformer", "vae", "text_encoder", "text_encoder_2")
PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle")
_TOKENIZER_FILES = {
    "tokenizer": (("tokenizer.json",), ("vocab.json", "merges.txt")),
    "tokenizer_2": (("tokenizer.json",),),
}


def check_model_folder(folder: Path) -> None:
    """Whether `folder` holds a complete FLUX pipeline in safetensors; reads headers, not weights.

    Raises:
        ModelError: naming the first thing that is missing, truncated, pickled or unknown.
    """
    index = read_json(folder / "model_index.json")
    if index.get("_class_name") != "FluxPipeline":
        raise ModelError(
            f"The model {folder.name} is a {index.get('_class_name', 'pipeline of no known kind')}"
            ", not a FluxPipeline: choose a FLUX model in diffusers layout."
        )
    for component, classes in COMPONENTS.items():
        _check_class(folder.name, index, component, classes)
        _refuse_pickles(folder / component)
    read_json(folder / "scheduler" / "scheduler_config.json")
    for component in WEIGHTED:
        read_json(folder / component / "config.json")
        for file in weight_files(folder / component):
            read_tensors(file)
    for component, choices in _TOKENIZER_FILES.items():
        _check_tokenizer(folder / component, choices)


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
        files = sorted(folder.glob("*.safetensors"))
    missing = next((file for file in files if not file.is_file()), None)
    if missing is not None or not files:
        name = missing.name if missing else "weights in safetensors"
        raise ModelError(_missing(folder, name))
    return files


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
    where = f"{folder.name}/" if folder.name in COMPONENTS else ""
    return (
        f"The model {_model(folder / name)} is incomplete, {where}{name} is missing: "
        "copy or download the folder again."
    )


def _model(file: Path) -> str:
    parent = file.parent
    return parent.parent.name if parent.name in COMPONENTS else parent.name


def _mapping(value: object) -> dict[str, object]:
    return value if isinstance(value, dict) else {}
