"""An export is written aside and put in place whole, or not at all."""

import shutil
import zipfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from backend.files import explained_files, new_file
from backend.generation.errors import GenerationError
from backend.generation.export.accompaniment import Tally, write_accompaniment
from backend.generation.export.records import ExportRecord, read_record
from backend.generation.export.writers import WRITERS
from backend.generation.export_format import ExportFormat
from backend.generation.gallery import ImageView
from backend.generation.models import list_models
from backend.generation.profile import Profile
from backend.generation.selection import (
    Selection,
    check_exportable,
    selected_images,
)
from backend.settings import Settings
from backend.store.database import Database

ARCHIVE_NOTICE = b"Synthetic images made by DermaFlux Studio. Not for diagnosis."
AfterImage = Callable[[int], None]


@dataclass(frozen=True)
class Exported:
    """Where an export lies, how many images are in it, and how many drafts were left out."""

    folder: Path
    images: int
    drafts: int


def export_images(
    db: Database,
    settings: Settings,
    selection: Selection,
    destination: Path,
    form: ExportFormat = ExportFormat.IMAGE_FOLDER,
    *,
    after: AfterImage | None = None,
) -> Exported:
    """Write the images except drafts into a new folder, with README.txt and manifest.json.

    The folder appears under its name only once it is complete; whatever stops it, and be it
    raised by `after`, which is told how many images are read, leaves nothing behind.

    Raises:
        GenerationError: nothing but drafts is selected, an image is gone, or the destination is
            taken.
        ForeignImageError: a file has lost its mark.
        FileError: disk full, or the destination cannot be written.
    """
    check_exportable(db, selection)
    aside = aside_of(destination)
    with explained_files(destination):
        _refuse_taken(destination)
        shutil.rmtree(aside, ignore_errors=True)
        aside.mkdir(parents=True)
        try:
            images, drafts = _fill(db, settings, selection, aside, form, after)
            if destination.is_dir():
                destination.rmdir()
            aside.replace(destination)
        except BaseException:
            shutil.rmtree(aside, ignore_errors=True)
            raise
    return Exported(destination, images, drafts)


def export_image_folder(
    db: Database, settings: Settings, ids: Sequence[str], destination: Path
) -> Path:
    """These images, byte for byte, in a new folder with `metadata.jsonl`.

    Raises:
        GenerationError, ForeignImageError, FileError: as `export_images`.
    """
    return export_images(db, settings, ids, destination).folder


def new_export_folder(settings: Settings) -> Path:
    """A name in the exports folder of the workspace that no other export has."""
    moment = datetime.now(UTC).strftime("%Y%m%d-%H%M%S-%f")
    return settings.exports_dir / f"dermaflux-synthetic-{moment}"


def pack(folder: Path, *, after: AfterImage | None = None) -> Path:
    """Turn an export into `<folder>.zip`; the folder is gone afterwards, whatever happens.

    Raises:
        FileError: disk full or any other refusal of the file system.
    """
    archive = folder.with_name(f"{folder.name}.zip")
    aside = aside_of(archive)
    with explained_files(archive):
        try:
            aside.unlink(missing_ok=True)
            with new_file(aside) as stream, zipfile.ZipFile(stream, "w") as bundle:
                bundle.comment = ARCHIVE_NOTICE
                for position, file in enumerate(sorted(folder.iterdir())):
                    bundle.write(file, f"{folder.name}/{file.name}")
                    if after is not None:
                        after(position + 1)
            aside.replace(archive)
        finally:
            aside.unlink(missing_ok=True)
            shutil.rmtree(folder, ignore_errors=True)
    return archive


def aside_of(destination: Path) -> Path:
    """Where an export is written before it is put in place; a later attempt begins there anew."""
    return destination.with_name(f".{destination.name}.dermaflux-partial")


def _fill(
    db: Database,
    settings: Settings,
    selection: Selection,
    folder: Path,
    form: ExportFormat,
    after: AfterImage | None,
) -> tuple[int, int]:
    tally = Tally()
    drafts: list[str] = []
    records = _read(selected_images(db, settings, selection), drafts, after)
    WRITERS[form](folder, tally.counted(records))
    if not tally.images:
        raise GenerationError("No image was left to export: they were removed meanwhile.")
    licences = {entry.name: entry.licence for entry in list_models(settings)}
    write_accompaniment(folder, tally, licences, layout=form.description, form=form.value)
    return tally.images, len(drafts)


def _read(
    images: Iterable[ImageView], drafts: list[str], after: AfterImage | None
) -> Iterator[ExportRecord]:
    """The images but drafts, whose ids are put into `drafts`."""
    for position, image in enumerate(images):
        if image.profile is Profile.DRAFT:
            drafts.append(image.id)
        else:
            yield read_record(image)
        if after is not None:
            after(position + 1)


def _refuse_taken(destination: Path) -> None:
    if destination.is_dir() and not any(destination.iterdir()):
        return
    if destination.exists():
        raise GenerationError(f"The folder {destination} is there already: choose a new name.")
