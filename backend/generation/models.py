"""Which models are here: the embedded starter, folders of the workspace, and those registered."""

import hashlib
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from backend.files import write_file
from backend.generation.attribute_guidance.files import (
    classifier_files,
    known_side,
)
from backend.generation.errors import ModelError
from backend.generation.families import ATTRIBUTE_CLASSIFIER, FLUX, ModelFamily, family_named
from backend.generation.layout import check_model_folder, find_family, read_json, weight_files
from backend.generation.lora.layouts import Family
from backend.generation.registry import ModelRecord, read_registry
from backend.generation.request import SIZE_MULTIPLE
from backend.generation.weights import hash_tensors
from backend.settings import Settings

__all__ = [
    "ModelEntry",
    "Origin",
    "check_model_folder",
    "classifier_hash",
    "find_model",
    "hash_cache",
    "list_models",
    "model_hash",
    "remembered_hash",
    "usable_model",
    "weights_fingerprint",
]

CARD = "dermaflux.json"


class ModelCard(BaseModel):
    """What a model says of itself in `dermaflux.json`, completed by the registry and its family."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    title: str | None = None
    sizes: tuple[int, ...] = Field(min_length=1)
    steps: int = Field(ge=1, le=100)
    guidance_scale: float = Field(ge=0, le=20)
    max_sequence_length: int = Field(ge=8, le=512)
    licence: str = "not stated"
    description: str = ""


class Origin(StrEnum):
    """How a model came to be listed, which decides how it is removed."""

    EMBEDDED = "comes with the studio"
    WORKSPACE = "in the workspace"
    REGISTERED = "added by its folder"
    SETTINGS = "named in the settings"


@dataclass(frozen=True)
class ModelEntry:
    """A model that can be chosen; `problem` says in a sentence why it cannot be used.

    sizes: sides in pixels that it was trained for; bytes: of all its files together;
    guided_side: that at which a classifier leads its images to their captions, None without one.
    """

    name: str
    title: str
    folder: Path
    family: Family
    origin: Origin
    sizes: tuple[int, ...]
    steps: int
    guidance_scale: float
    max_sequence_length: int
    licence: str
    description: str
    bytes: int
    problem: str | None
    guided_side: int | None = None

    @property
    def kind(self) -> ModelFamily:
        """How models of its family are loaded and sample."""
        return family_named(self.family) or FLUX


def list_models(settings: Settings) -> list[ModelEntry]:
    """The starter first, then registered folders, those of the workspace and of the settings.

    A folder that cannot be used is listed with its problem. Of two with the same name the one
    found first counts.
    """
    known = read_registry(settings).models
    entries: dict[str, ModelEntry] = {}
    for name, folder, origin in _folders(settings, known):
        if name not in entries:
            entries[name] = _entry(name, folder, origin, known.get(name))
    return list(entries.values())


def find_model(settings: Settings, name: str) -> ModelEntry:
    """The model called `name`.

    Raises:
        ModelError: there is none of this name.
    """
    entries = list_models(settings)
    for entry in entries:
        if entry.name == name:
            return entry
    names = ", ".join(entry.name for entry in entries if entry.problem is None) or "none"
    raise ModelError(
        f"There is no model called {name}: put its diffusers folder into {settings.models_dir}, "
        f"or choose one of these: {names}."
    )


def usable_model(settings: Settings, name: str) -> ModelEntry:
    """The model called `name`, complete and loadable.

    Raises:
        ModelError: there is none of this name, or it cannot be used.
    """
    entry = find_model(settings, name)
    if entry.problem is not None:
        raise ModelError(entry.problem)
    return entry


def model_hash(folder: Path, *, cache: Path | None = None, anew: bool = False) -> str:
    """SHA-256 over the tensors of all components in name order.

    `cache` is a folder that remembers the answer for these files at their size and time of
    change: hashing a 34 GB model takes a minute or more. `anew` reads the files all the same.

    Raises:
        ModelError: weights are missing or damaged.
    """
    parts = [(name, weight_files(folder / name)) for name in find_family(folder).weighted]
    files = [file for _, found in parts for file in found]
    return remembered_hash(files, lambda: hash_tensors(parts), cache=cache, anew=anew)


def classifier_hash(folder: Path, *, cache: Path | None = None, anew: bool = False) -> str | None:
    """SHA-256 over the tensors and the configuration of the classifier that a model has, if any;
    `anew` as in `model_hash`.

    Raises:
        ModelError: its weights are missing or damaged.
    """
    files = classifier_files(folder)
    if not files:
        return None
    weights, config = files

    def compute() -> str:
        tensors = hash_tensors([(ATTRIBUTE_CLASSIFIER, [weights])])
        return hashlib.sha256(tensors.encode() + config.read_bytes()).hexdigest()

    return remembered_hash(files, compute, cache=cache, anew=anew)


def remembered_hash(
    files: Sequence[Path], compute: Callable[[], str], *, cache: Path | None, anew: bool = False
) -> str:
    """A SHA-256 that follows from these files, computed only where `cache` does not know it, or
    `anew`."""
    remembered = cache / f"{file_fingerprint(files)}.txt" if cache else None
    if remembered is not None and remembered.is_file() and not anew:
        stored = remembered.read_text(encoding="ascii", errors="replace").strip()
        if re.fullmatch(r"[0-9a-f]{64}", stored):
            return stored
    value = compute()
    if remembered is not None:
        write_file(remembered, value.encode())
    return value


def hash_cache(settings: Settings) -> Path:
    """The folder of the workspace that remembers the hashes of models."""
    return settings.workspace / "cache" / "model-hashes"


def weights_fingerprint(folder: Path) -> str:
    """Changes whenever a weight file is replaced: a hash over their paths, sizes and times.

    Raises:
        ModelError: weights are missing.
    """
    weighted = find_family(folder).weighted
    files = [file for name in weighted for file in weight_files(folder / name)]
    return file_fingerprint([*files, *classifier_files(folder)])


def file_fingerprint(files: Sequence[Path]) -> str:
    facts = [(str(file.resolve()), file.stat().st_size, file.stat().st_mtime_ns) for file in files]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()


def _folders(
    settings: Settings, known: Mapping[str, ModelRecord]
) -> Iterator[tuple[str, Path, Origin]]:
    for name, record in known.items():
        if record.folder is not None:
            embedded = record.folder.parent == settings.models_toml.parent
            yield name, record.folder, Origin.EMBEDDED if embedded else Origin.REGISTERED
    for parent in (settings.models_dir, *settings.model_folders):
        origin = Origin.WORKSPACE if parent == settings.models_dir else Origin.SETTINGS
        if (parent / "model_index.json").is_file():
            yield parent.name, parent, origin
            continue
        if parent.is_dir():
            for folder in sorted(path for path in parent.iterdir() if path.is_dir()):
                if not folder.name.startswith(".") and not _is_captioner(folder):
                    yield folder.name, folder, origin


def _is_captioner(folder: Path) -> bool:
    """Whether a folder is in the layout of transformers, and makes no images."""
    return (folder / "config.json").is_file() and not (folder / "model_index.json").is_file()


def _entry(name: str, folder: Path, origin: Origin, record: ModelRecord | None) -> ModelEntry:
    family = family_named(record.family) if record else None
    problem, guided_side = None, None
    try:
        family = check_model_folder(folder)
        guided_side = known_side(folder) if family is FLUX else None
        if record is not None and record.family is not family.family:
            raise ModelError(
                f"The model {name} is a {family.full_name}, and the list of models says "
                f"{record.family.full_name}: correct its entry, or give the folder another name."
            )
    except ModelError as error:
        problem = str(error)
    family = family or FLUX
    try:
        card = _card(folder, family, record)
    except ModelError as error:
        card, problem = _card(None, family, record), problem or str(error)
    return ModelEntry(
        name=name,
        title=card.title or name,
        folder=folder,
        family=family.family,
        origin=origin,
        sizes=card.sizes,
        steps=card.steps,
        guidance_scale=card.guidance_scale,
        max_sequence_length=(
            family.max_sequence_length if family.fixed_length else card.max_sequence_length
        ),
        licence=card.licence,
        description=card.description,
        bytes=sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()),
        problem=problem,
        guided_side=guided_side,
    )


def _card(folder: Path | None, family: ModelFamily, record: ModelRecord | None) -> ModelCard:
    """The card of a model; without a folder what the registry and the family say."""
    plain = {
        "sizes": family.sizes,
        "steps": family.steps,
        "guidance_scale": family.guidance_scale,
        "max_sequence_length": family.max_sequence_length,
    }
    own = read_json(folder / CARD) if folder is not None and (folder / CARD).is_file() else {}
    where = (
        f"The {CARD} of the model {folder.name}" if folder else "The entry in the list of models"
    )
    try:
        card = ModelCard.model_validate({**plain, **(record.stated() if record else {}), **own})
    except ValidationError as error:
        field = ".".join(str(part) for part in error.errors()[0]["loc"])
        raise ModelError(f"{where} has a bad {field}.") from error
    bad = next((side for side in card.sizes if side % SIZE_MULTIPLE or side <= 0), None)
    if bad is not None:
        raise ModelError(
            f"{where} names the size {bad}, which is not a multiple of {SIZE_MULTIPLE}."
        )
    return card
