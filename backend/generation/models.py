"""Which models are here: the embedded starter and every FLUX folder of the workspace."""

import hashlib
import json
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from backend.files import write_file
from backend.generation.errors import ModelError
from backend.generation.layout import WEIGHTED, check_model_folder, read_json, weight_files
from backend.generation.request import SIZE_MULTIPLE
from backend.generation.weights import hash_tensors
from backend.settings import Settings

__all__ = [
    "ModelEntry",
    "check_model_folder",
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
    """What a model says of itself in `dermaflux.json`; the defaults are those of FLUX.1-dev."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    title: str | None = None
    sizes: tuple[int, ...] = Field((512, 768, 1024), min_length=1)
    steps: int = Field(20, ge=1, le=100)
    guidance_scale: float = Field(3.5, ge=0, le=20)
    max_sequence_length: int = Field(512, ge=8, le=512)
    licence: str = "not stated"
    description: str = ""


@dataclass(frozen=True)
class ModelEntry:
    """A model that can be chosen; `problem` says in a sentence why it cannot be used.

    sizes: sides in pixels that it was trained for; bytes: of all its files together.
    """

    name: str
    title: str
    folder: Path
    family: Literal["flux"]
    sizes: tuple[int, ...]
    steps: int
    guidance_scale: float
    max_sequence_length: int
    licence: str
    description: str
    bytes: int
    problem: str | None


def list_models(settings: Settings) -> list[ModelEntry]:
    """The starter first, then every model folder of the workspace and of the settings by name.

    A folder that cannot be used is listed with its problem. Of two with the same name the one
    found first counts.
    """
    known = _known_models(settings.models_toml)
    entries: dict[str, ModelEntry] = {}
    for name, folder in _folders(settings, known):
        if name not in entries:
            entries[name] = _entry(name, folder, known.get(name, {}))
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


def model_hash(folder: Path, *, cache: Path | None = None) -> str:
    """SHA-256 over the tensors of all components in name order.

    `cache` is a folder that remembers the answer for these files at their size and time of
    change: hashing a 34 GB model takes a minute or more.

    Raises:
        ModelError: weights are missing or damaged.
    """
    return remembered_hash(
        [file for name in WEIGHTED for file in weight_files(folder / name)],
        lambda: hash_tensors([(name, weight_files(folder / name)) for name in WEIGHTED]),
        cache=cache,
    )


def remembered_hash(
    files: Sequence[Path], compute: Callable[[], str], *, cache: Path | None
) -> str:
    """A SHA-256 that follows from these files, computed only where `cache` does not know it."""
    remembered = cache / f"{_fingerprint(files)}.txt" if cache else None
    if remembered is not None and remembered.is_file():
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
    return _fingerprint([file for name in WEIGHTED for file in weight_files(folder / name)])


def _fingerprint(files: Sequence[Path]) -> str:
    facts = [(str(file.resolve()), file.stat().st_size, file.stat().st_mtime_ns) for file in files]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()


def _known_models(models_toml: Path) -> dict[str, dict[str, object]]:
    try:
        records = tomllib.loads(models_toml.read_text(encoding="utf-8"))["model"]
    except (OSError, tomllib.TOMLDecodeError, KeyError) as error:
        raise ModelError(f"The list of models {models_toml} cannot be read.") from error
    return {str(record["name"]): record for record in records}


def _folders(
    settings: Settings, known: Mapping[str, Mapping[str, object]]
) -> Iterator[tuple[str, Path]]:
    for name, record in known.items():
        if "folder" in record:
            yield name, settings.models_toml.parent / str(record["folder"])
    for parent in (settings.models_dir, *settings.model_folders):
        if (parent / "model_index.json").is_file():
            yield parent.name, parent
            continue
        if parent.is_dir():
            for folder in sorted(path for path in parent.iterdir() if path.is_dir()):
                if not folder.name.startswith("."):
                    yield folder.name, folder


def _entry(name: str, folder: Path, record: Mapping[str, object]) -> ModelEntry:
    card, problem = ModelCard(), None
    try:
        card = _card(folder, record)
        check_model_folder(folder)
    except ModelError as error:
        problem = str(error)
    return ModelEntry(
        name=name,
        title=card.title or name,
        folder=folder,
        family="flux",
        sizes=card.sizes,
        steps=card.steps,
        guidance_scale=card.guidance_scale,
        max_sequence_length=card.max_sequence_length,
        licence=card.licence,
        description=card.description,
        bytes=sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()),
        problem=problem,
    )


def _card(folder: Path, record: Mapping[str, object]) -> ModelCard:
    own = read_json(folder / CARD) if (folder / CARD).is_file() else {}
    try:
        card = ModelCard.model_validate({**record, **own})
    except ValidationError as error:
        field = ".".join(str(part) for part in error.errors()[0]["loc"])
        raise ModelError(f"The {CARD} of the model {folder.name} has a bad {field}.") from error
    bad = next((side for side in card.sizes if side % SIZE_MULTIPLE or side <= 0), None)
    if bad is not None:
        raise ModelError(
            f"The {CARD} of the model {folder.name} names the size {bad}, which is not a "
            f"multiple of {SIZE_MULTIPLE}."
        )
    return card
