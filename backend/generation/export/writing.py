"""An export is written aside and put in place whole, or not at all."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from backend.exports.folders import AfterFile, whole_folder
from backend.exports.folders import pack as pack_folder
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
    after: AfterFile | None = None,
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
    with whole_folder(destination, GenerationError) as folder:
        images, drafts = _fill(db, settings, selection, folder, form, after)
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


def pack(folder: Path, *, after: AfterFile | None = None) -> Path:
    """Turn an export into `<folder>.zip`, marked; the folder is gone afterwards.

    Raises:
        FileError: disk full or any other refusal of the file system.
    """
    return pack_folder(folder, ARCHIVE_NOTICE, after=after)


def _fill(
    db: Database,
    settings: Settings,
    selection: Selection,
    folder: Path,
    form: ExportFormat,
    after: AfterFile | None,
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
    images: Iterable[ImageView], drafts: list[str], after: AfterFile | None
) -> Iterator[ExportRecord]:
    """The images but drafts, whose ids are put into `drafts`."""
    for position, image in enumerate(images):
        if image.profile is Profile.DRAFT:
            drafts.append(image.id)
        else:
            yield read_record(image)
        if after is not None:
            after(position + 1)
