"""What is known of models and LoRAs by name: `assets/models.toml` and the user's own file."""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TypeVar

import tomlkit
from filelock import FileLock
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator
from tomlkit.exceptions import TOMLKitError

from backend.files import explained_files, write_file
from backend.generation.errors import ModelError
from backend.generation.lora.layouts import Family
from backend.settings import Settings

NAME = r"\w[\w.-]{0,79}"
HUB_NAME = r"[\w.-]+(/[\w.-]+)?"


class Source(BaseModel):
    """Where the files of a model are on the hub.

    files: patterns, none for those of the family; bytes: of all of them together, about; gated:
    whether the hub wants an account that has accepted the licence.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    repo: str = Field(pattern=rf"^{HUB_NAME}$")
    revision: str = Field("main", pattern=r"^[\w.-]+$")
    files: tuple[str, ...] = ()
    bytes: int = Field(gt=0)
    gated: bool = False

    @field_validator("files", mode="after")
    @classmethod
    def _inside(cls, files: tuple[str, ...]) -> tuple[str, ...]:
        for file in files:
            if PurePosixPath(file).is_absolute() or ".." in PurePosixPath(file).parts:
                raise ValueError(f"the file {file} lies outside the repository")
        return files


class _Named(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=rf"^{NAME}$")
    title: str | None = None
    licence: str = "not stated"
    description: str = ""
    source: Source | None = None


class CaptionerRecord(_Named):
    """A vision-language model; without a `folder` it lies, or will lie, in the models folder."""

    folder: Path | None = None


class _Record(_Named):
    family: Family


class ModelRecord(_Record):
    """A model; where `folder` is unset it lies, or will lie, in the models folder.

    What is None is that of the model's own card, else of its family.
    """

    folder: Path | None = None
    sizes: tuple[int, ...] | None = None
    steps: int | None = None
    guidance_scale: float | None = None
    max_sequence_length: int | None = None

    def stated(self) -> dict[str, object]:
        """What counts where the model's own card is silent."""
        return self.model_dump(exclude_none=True, exclude={"name", "family", "folder", "source"})


class LoraRecord(_Record):
    """A LoRA that can be had, and the name of the model that it was made for."""

    model: str


Record = TypeVar("Record", bound=_Named)
Placed = TypeVar("Placed", ModelRecord, CaptionerRecord)


@dataclass(frozen=True)
class Registry:
    """Both files as one, by name."""

    models: Mapping[str, ModelRecord]
    loras: Mapping[str, LoraRecord]
    captioners: Mapping[str, CaptionerRecord]


def read_registry(settings: Settings) -> Registry:
    """What is known by name; an entry of the user's counts for more than one of ours.

    Raises:
        ModelError: naming the file and the entry that cannot be read.
    """
    ours = _read(settings.models_toml)
    if not settings.own_models_toml.is_file():
        return ours
    own = _read(settings.own_models_toml)
    return Registry(
        {**ours.models, **own.models},
        {**ours.loras, **own.loras},
        {**ours.captioners, **own.captioners},
    )


def register(settings: Settings, record: ModelRecord) -> None:
    """Write a model into the user's file, which keeps its comments.

    Raises:
        ModelError: the name is taken.
        FileError: the file system refuses.
    """
    with _locked(settings):
        if record.name in read_registry(settings).models:
            raise ModelError(f"There is a model called {record.name} already: give another name.")
        document = _own_document(settings)
        tables = document.setdefault("model", tomlkit.aot())
        table = tomlkit.table()
        table.update(record.model_dump(mode="json", exclude_none=True, exclude_defaults=True))
        tables.append(table)
        write_file(settings.own_models_toml, tomlkit.dumps(document).encode())


def unregister(settings: Settings, name: str) -> None:
    """Take a model out of the user's file; its folder is left as it is.

    Raises:
        ModelError: it is not in there.
        FileError: the file system refuses.
    """
    with _locked(settings):
        document = _own_document(settings)
        tables = document.get("model", [])
        place = next((at for at, table in enumerate(tables) if table.get("name") == name), None)
        if place is None:
            raise ModelError(f"The model {name} is not in {settings.own_models_toml}.")
        del tables[place]
        write_file(settings.own_models_toml, tomlkit.dumps(document).encode())


def model_name(given: str | None, fallback: str) -> str:
    """What a model is called: as given, else as its folder or file, with hyphens for odd signs.

    Raises:
        ModelError: it cannot be called so.
    """
    name = re.sub(r"[^\w.-]+", "-", fallback).strip(".-") if given is None else given.strip()
    if not re.fullmatch(NAME, name):
        raise ModelError(
            f"A model cannot be called {name[:80] or 'nothing'}: use letters, digits, dots, "
            "hyphens and underscores, a letter or digit first."
        )
    return name


def _own_document(settings: Settings) -> tomlkit.TOMLDocument:
    file = settings.own_models_toml
    if not file.is_file():
        return tomlkit.document()
    try:
        return tomlkit.parse(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, TOMLKitError) as error:
        raise _unreadable(file, str(error)) from error


def _locked(settings: Settings) -> FileLock:
    """The page and a command may both write; the lock lies beside the file."""
    file = settings.own_models_toml
    with explained_files(file):
        file.parent.mkdir(parents=True, exist_ok=True)
    return FileLock(file.with_name(f".{file.name}.lock"), timeout=10)


def _read(file: Path) -> Registry:
    try:
        values = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise _unreadable(file, str(error)) from error
    unknown = sorted(set(values) - {"model", "lora", "captioner"})
    if unknown:
        reason = f"it has a part called {unknown[0]}; use [[model]], [[lora]] and [[captioner]]"
        raise _unreadable(file, reason)
    models = [_record(file, ModelRecord, entry) for entry in _entries(file, values, "model")]
    loras = [_record(file, LoraRecord, entry) for entry in _entries(file, values, "lora")]
    captioners = [
        _record(file, CaptionerRecord, entry) for entry in _entries(file, values, "captioner")
    ]
    return Registry(
        {record.name: _placed(file, record) for record in models},
        {record.name: record for record in loras},
        {record.name: _placed(file, record) for record in captioners},
    )


def _entries(file: Path, values: Mapping[str, object], part: str) -> list[object]:
    entries = values.get(part, [])
    if not isinstance(entries, list):
        raise _unreadable(file, f"write [[{part}]] in double brackets")
    return entries


def _record(file: Path, kind: type[Record], entry: object) -> Record:
    try:
        return kind.model_validate(entry)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"]) or "name"
        name = entry.get("name", "without a name") if isinstance(entry, dict) else "without a name"
        problem = first["msg"].removeprefix("Value error, ").lower()
        raise _unreadable(file, f"in the entry {name}, {field}: {problem}") from error


def _placed(file: Path, record: Placed) -> Placed:
    if record.folder is None:
        return record
    return record.model_copy(update={"folder": file.parent / record.folder.expanduser()})


def _unreadable(file: Path, reason: str) -> ModelError:
    return ModelError(f"The list of models {file} cannot be read: {reason.rstrip('.')}.")
