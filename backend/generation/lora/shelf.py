"""The LoRAs that can be used by name: files in the workspace, facts about them in the database.

Those that come with the studio are on the shelf too, without a copy or a row, and stay there.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from backend.files import copy_file, remove_file
from backend.generation.errors import LoraError
from backend.generation.lora.embedded import embedded_loras
from backend.generation.lora.facts import LoraFacts, find_facts, lora_hash
from backend.generation.lora.layouts import Family, Layout
from backend.generation.lora.reading import check_numbers, read_lora
from backend.jobs.queue import new_id
from backend.settings import Settings
from backend.store.database import Database
from backend.store.tables import Lora

LONGEST_NAME = 80
_NAME = re.compile(rf"\w[\w.-]{{0,{LONGEST_NAME - 1}}}")


@dataclass(frozen=True)
class LoraView:
    """A LoRA of the shelf with the absolute path of its file; the facts are those of LoraFacts.

    embedded: it comes with the studio, and is neither renamed nor removed.
    """

    name: str
    title: str
    path: Path
    layout: Layout
    family: Family
    ranks: tuple[int, ...]
    targets: str
    parameters: int
    bytes: int
    hash: str
    base: str | None
    t5_length: int | None
    added_at: datetime
    embedded: bool = False


def add_lora(
    db: Database,
    settings: Settings,
    file: Path,
    *,
    name: str | None = None,
    title: str | None = None,
) -> LoraView:
    """Check a LoRA file and copy it onto the shelf, by default under the name of the file.

    Raises:
        LoraError: the file is not sound, the name cannot be used or is taken, or the same tensors
            are on the shelf already.
        FileError, StoreError: disk or database stand in the way.
    """
    name = shelf_name_for(file, name)
    facts = examine(file)
    return shelve(db, settings, file, facts, name=name, title=title)


def shelf_name_for(file: Path, name: str | None = None) -> str:
    """The name that a file gets on the shelf: that which was given, else that of the file.

    Raises:
        LoraError: there is no such file, or a LoRA cannot be called so.
    """
    if not file.is_file():
        raise LoraError(f"There is no file {file}: give the path of a LoRA in safetensors.")
    return _checked(_name_of(file) if name is None else name)


def examine(file: Path) -> LoraFacts:
    """The facts of a LoRA file after a look at every number in it; takes seconds a gigabyte.

    Raises:
        LoraError: the file is not sound.
    """
    lora = read_lora(file)
    check_numbers(lora)
    return find_facts(lora)


def shelf_copy(settings: Settings, facts: LoraFacts) -> Path:
    """Where the shelf keeps its copy of a LoRA."""
    return settings.loras_dir / f"{facts.hash}.safetensors"


def shelve(
    db: Database,
    settings: Settings,
    file: Path,
    facts: LoraFacts,
    *,
    name: str,
    title: str | None = None,
) -> LoraView:
    """Copy a file that was examined onto the shelf.

    Raises:
        LoraError: the name is taken, the same tensors are on the shelf already, or the file
            changed meanwhile.
        FileError, StoreError: disk or database stand in the way.
    """
    _refuse_taken(db, settings, name, facts)
    copy = shelf_copy(settings, facts)
    copy_file(file, copy)
    if lora_hash(copy) != facts.hash:
        remove_file(copy)
        raise LoraError(f"The file {file.name} changed while it was copied: add it again.")
    row = _row(name, title or facts.title, copy.relative_to(settings.workspace).as_posix(), facts)
    try:
        with db.session() as session:
            session.add(row)
    except IntegrityError as error:
        _refuse_taken(db, settings, name, facts)
        raise LoraError(f"The name {name} was taken a moment ago: choose another.") from error
    return _view(row, settings)


def list_loras(db: Database, settings: Settings, family: Family | None = None) -> list[LoraView]:
    """The shelf, all of it or those of one family: what comes with the studio, then by name."""
    statement = select(Lora).order_by(Lora.name)
    with db.session() as session:
        own = [_view(row, settings) for row in session.scalars(statement)]
    names, hashes = {view.name for view in own}, {view.hash for view in own}
    embedded = [
        view for view in _embedded(settings) if view.name not in names and view.hash not in hashes
    ]
    return [view for view in [*embedded, *own] if family is None or view.family is family]


def get_lora(db: Database, settings: Settings, name: str) -> LoraView:
    """The LoRA of this name.

    Raises:
        LoraError: there is none.
    """
    views = list_loras(db, settings)
    for view in views:
        if view.name == name:
            return view
    raise LoraError(_missing(name, [view.name for view in views]))


def shelf_name(db: Database, settings: Settings, tensor_hash: str) -> str | None:
    """Under which name these tensors are on the shelf."""
    views = list_loras(db, settings)
    return next((view.name for view in views if view.hash == tensor_hash), None)


def refuse_taken_name(db: Database, settings: Settings, name: str) -> None:
    """Go on only if no LoRA has this name.

    Raises:
        LoraError: one has.
    """
    if any(view.name == name for view in list_loras(db, settings)):
        raise LoraError(_taken(name))


def rename_lora(db: Database, settings: Settings, name: str, new_name: str) -> LoraView:
    """Give a LoRA another name; images made with it keep the old one and its hash.

    Raises:
        LoraError: there is none, it comes with the studio, or the new name cannot be used or is
            taken.
    """
    new_name = _checked(new_name)
    _refuse_embedded(db, settings, name)
    if new_name != name:
        refuse_taken_name(db, settings, new_name)
    try:
        with db.session() as session:
            row = _find(session, name)
            row.name = new_name
            session.flush()
            return _view(row, settings)
    except IntegrityError as error:
        raise LoraError(_taken(new_name)) from error


def remove_lora(db: Database, settings: Settings, name: str) -> None:
    """Take a LoRA off the shelf, with its file; images made with it stay.

    The row goes first: a crash in between leaves a file without a row, never the reverse.

    Raises:
        LoraError: there is none of this name, or it comes with the studio.
        FileError, StoreError: disk or database stand in the way.
    """
    _refuse_embedded(db, settings, name)
    with db.session() as session:
        row = _find(session, name)
        file = settings.workspace / row.file
        session.delete(row)
    remove_file(file)


def _find(session: Session, name: str) -> Lora:
    row = session.scalar(select(Lora).where(Lora.name == name))
    if row is None:
        raise LoraError(
            _missing(name, session.scalars(select(Lora.name).order_by(Lora.name)).all())
        )
    return row


def _missing(name: str, names: Sequence[str]) -> str:
    return (
        f"There is no LoRA called {name} on the shelf: add its file, or choose one of these: "
        f"{', '.join(names) or 'none yet'}."
    )


def _refuse_embedded(db: Database, settings: Settings, name: str) -> None:
    if get_lora(db, settings, name).embedded:
        raise LoraError(
            f"The LoRA {name} comes with the studio, and stays on the shelf as it is: add your own "
            "under another name."
        )


def _refuse_taken(db: Database, settings: Settings, name: str, facts: LoraFacts) -> None:
    same = shelf_name(db, settings, facts.hash)
    if same is not None:
        raise LoraError(
            f"These tensors are on the shelf already, as {same}: use that, or rename it."
        )
    refuse_taken_name(db, settings, name)


def _taken(name: str) -> str:
    return f"There is a LoRA called {name} on the shelf already: choose another name."


def _name_of(file: Path) -> str:
    """The name of a file without what a name on the shelf cannot have."""
    return re.sub(r"[^\w.-]+", "-", file.stem).strip(".-")[:LONGEST_NAME] or "lora"


def _checked(name: str) -> str:
    name = name.strip()
    if not _NAME.fullmatch(name):
        raise LoraError(
            f"A LoRA cannot be called {name[:LONGEST_NAME] or 'nothing'}: use at most "
            f"{LONGEST_NAME} letters, digits, dots, hyphens and underscores, a letter or digit "
            "first."
        )
    return name


def _row(name: str, title: str, file: str, facts: LoraFacts) -> Lora:
    return Lora(
        id=new_id(),
        name=name,
        title=title,
        file=file,
        layout=facts.layout.value,
        family=facts.family.value,
        ranks=list(facts.ranks),
        targets=facts.targets,
        parameters=facts.parameters,
        bytes=facts.bytes,
        tensor_hash=facts.hash,
        base=facts.base,
        t5_length=facts.t5_length,
    )


def _embedded(settings: Settings) -> list[LoraView]:
    return [
        LoraView(
            name=lora.name,
            title=lora.facts.title,
            path=lora.path,
            layout=lora.facts.layout,
            family=lora.facts.family,
            ranks=lora.facts.ranks,
            targets=lora.facts.targets,
            parameters=lora.facts.parameters,
            bytes=lora.facts.bytes,
            hash=lora.facts.hash,
            base=lora.facts.base,
            t5_length=lora.facts.t5_length,
            added_at=lora.added_at,
            embedded=True,
        )
        for lora in embedded_loras(settings)
    ]


def _view(row: Lora, settings: Settings) -> LoraView:
    return LoraView(
        name=row.name,
        title=row.title,
        path=settings.workspace / row.file,
        layout=Layout(row.layout),
        family=Family(row.family),
        ranks=tuple(row.ranks),
        targets=row.targets,
        parameters=row.parameters,
        bytes=row.bytes,
        hash=row.tensor_hash,
        base=row.base,
        t5_length=row.t5_length,
        added_at=row.added_at,
    )
