"""Which vision-language models are here, by name or by folder, and whether each can be used."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from backend.captioning.errors import CaptioningError
from backend.captioning.task import PAPERS_MODEL
from backend.errors import DermaFluxError
from backend.files import size_words
from backend.generation.layout import PICKLES, read_json, weight_files
from backend.generation.models import hash_cache, remembered_hash
from backend.generation.registry import CaptionerRecord, read_registry
from backend.generation.weights import hash_tensors, read_tensors
from backend.settings import Settings

CONFIG = "config.json"
VISION_FILES = ("config.json", "*.json", "*.safetensors", "*.jinja", "*.model", "*.txt")
"""Patterns of the files of a hub repository that are needed; what lies deeper is another layout."""
_PROCESSORS = ("preprocessor_config.json", "processor_config.json")
_TOKENIZERS = ("tokenizer.json", "tokenizer.model", "vocab.json", "tokenizer_config.json")
_TEMPLATES = ("chat_template.jinja", "chat_template.json")
_TEMPLATE_HOLDERS = ("tokenizer_config.json", "processor_config.json")
_READ_AS_TEXT = (".json", ".jinja", ".model", ".txt")


@dataclass(frozen=True)
class VisionModel:
    """A model that describes images; `problem` says in a sentence why it cannot be used.

    weights: how many numbers it has; bytes: of its weight files.
    """

    name: str
    title: str
    folder: Path
    kind: str
    weights: int
    bytes: int
    licence: str
    description: str
    problem: str | None


def list_vision_models(settings: Settings) -> list[VisionModel]:
    """Those of the list of models that are here, then those in the folders of models."""
    known = read_registry(settings).captioners
    found: dict[str, VisionModel] = {}
    for name, folder in _folders(settings):
        if name not in found:
            found[name] = _entry(name, folder, known.get(name))
    return list(found.values())


def find_vision_model(settings: Settings, given: str | None) -> VisionModel:
    """A model by its name or by its folder, complete; the paper's unless one is given.

    Raises:
        CaptioningError: it is not here, or cannot be used; says where a known one can be had.
        ModelError: the list of models cannot be read.
    """
    name = given or PAPERS_MODEL
    folder = Path(name).expanduser()
    model = next((one for one in list_vision_models(settings) if one.name == name), None)
    if model is None and folder.is_dir():
        model = _entry(folder.absolute().name, folder.absolute(), None)
    if model is None:
        raise CaptioningError(_absent(settings, name))
    if model.problem is not None:
        raise CaptioningError(model.problem)
    return model


def is_vision_folder(folder: Path) -> bool:
    """Whether a folder is laid out for transformers, not for diffusers."""
    return (folder / CONFIG).is_file() and not (folder / "model_index.json").is_file()


def check_vision_folder(folder: Path) -> str:
    """What kind of model a folder holds, as `config.json` says; reads headers, not weights.

    Raises:
        CaptioningError, ModelError: naming the first thing that is missing, damaged or pickled.
    """
    config = read_json(folder / CONFIG)
    kind = config.get("model_type")
    if not isinstance(kind, str) or not kind:
        raise CaptioningError(
            f"The {CONFIG} of the model {folder.name} names no kind of model: download it again."
        )
    if not any((folder / name).is_file() for name in _PROCESSORS):
        raise CaptioningError(
            f"The model {folder.name} ({kind}) reads no images, {_PROCESSORS[0]} is missing: "
            "choose a vision-language model, or copy the folder whole."
        )
    if not any((folder / name).is_file() for name in _TOKENIZERS):
        raise CaptioningError(
            f"The model {folder.name} is incomplete, its tokenizer is missing: copy or download "
            "the folder again."
        )
    if not _has_template(folder):
        raise CaptioningError(
            f"The model {folder.name} has no chat template, so that it cannot be instructed: "
            "choose the edition that is tuned to follow instructions."
        )
    _refuse_pickles_alone(folder)
    for file in weight_files(folder):
        read_tensors(file)
    return kind


def model_identity(settings: Settings, folder: Path) -> str:
    """SHA-256 over the tensors and over the texts beside them: template, tokenizer, processor.

    Raises:
        ModelError: weights are missing or damaged.
    """
    texts = sorted(
        file for file in folder.iterdir() if file.suffix in _READ_AS_TEXT and file.is_file()
    )
    weights = weight_files(folder)
    tensors = remembered_hash(
        weights, lambda: hash_tensors([("model", weights)]), cache=hash_cache(settings)
    )
    digest = hashlib.sha256(tensors.encode())
    for file in texts:
        digest.update(f"{file.name}:".encode() + hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()


def _folders(settings: Settings) -> Iterator[tuple[str, Path]]:
    for name, record in read_registry(settings).captioners.items():
        if record.folder is not None:
            yield name, record.folder
    for parent in (settings.models_dir, *settings.model_folders):
        if is_vision_folder(parent):
            yield parent.name, parent
        elif parent.is_dir():
            for folder in sorted(path for path in parent.iterdir() if path.is_dir()):
                if is_vision_folder(folder):
                    yield folder.name, folder


def _entry(name: str, folder: Path, record: CaptionerRecord | None) -> VisionModel:
    problem, kind, weights, size = None, "", 0, 0
    try:
        kind = check_vision_folder(folder)
        tensors = [tensor for file in weight_files(folder) for tensor in read_tensors(file)]
        weights = sum(tensor.elements for tensor in tensors)
        size = sum(tensor.stop - tensor.start for tensor in tensors)
    except DermaFluxError as error:
        problem = str(error)
    return VisionModel(
        name=name,
        title=(record.title if record else None) or name,
        folder=folder,
        kind=kind,
        weights=weights,
        bytes=size,
        licence=record.licence if record else "not stated",
        description=record.description if record else "",
        problem=problem,
    )


def _absent(settings: Settings, name: str) -> str:
    record = read_registry(settings).captioners.get(name)
    if record is not None and record.source is not None:
        source = record.source
        return (
            f"{record.title or name} is not here: it takes about {size_words(source.bytes)}, and "
            f"its licence is {record.licence}; get it with `models download {name}`, put its "
            f"folder into {settings.models_dir}, or choose another."
        )
    here = [one.name for one in list_vision_models(settings) if one.problem is None]
    known = [one for one in read_registry(settings).captioners if one not in here]
    return (
        f"There is no vision-language model {name}, and no such folder: here are "
        f"{', '.join(here) or 'none'}; known by name are {', '.join(known) or 'none'}."
    )


def _has_template(folder: Path) -> bool:
    if any((folder / name).is_file() for name in _TEMPLATES):
        return True
    holders = [folder / name for name in _TEMPLATE_HOLDERS if (folder / name).is_file()]
    return any("chat_template" in read_json(file) for file in holders)


def _refuse_pickles_alone(folder: Path) -> None:
    """Llama's own folder has a pickle beside the safetensors; it is never opened."""
    if any(folder.glob("*.safetensors")):
        return
    pickle = next((file for file in sorted(folder.glob("*")) if file.suffix in PICKLES), None)
    if pickle is not None:
        raise CaptioningError(
            f"The weights of the model {folder.name} are in {pickle.name}, a pickle, which can run "
            "any program when it is opened: get them in safetensors."
        )
