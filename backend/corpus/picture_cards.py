"""What a person is shown of a picture that was compared, wherever it came from."""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import select

from backend.abc.attributes import Label
from backend.corpus.picture_sets import dataset_title
from backend.files import write_file
from backend.images import ImageError, encode_thumbnail, read_image
from backend.settings import Settings
from backend.store.database import Database
from backend.store.tables import CorpusImage, Image

AT_ONCE = 500
GALLERY = "Gallery"
GONE = "No longer there"
FOLDER = "pairs"
"""In the folder of thumbnails: those of pictures that lie outside of the workspace."""


@dataclass(frozen=True)
class PictureCard:
    """A picture by name; `place` is its dataset, the gallery or its folder.

    Empty text means: not said. `file` and `thumbnail` are None where there is none that a browser
    may reach; `gone` says that the picture is in no catalogue and no folder any more.
    """

    id: str
    name: str
    place: str
    split: str = ""
    label: Label | None = None
    diagnosis: str = ""
    patient: str = ""
    lesion: str = ""
    file: Path | None = None
    thumbnail: Path | None = None
    synthetic: bool = False
    gone: bool = False


def picture_cards(db: Database, settings: Settings, ids: Iterable[str]) -> dict[str, PictureCard]:
    """The card of each id; one that nothing is known of says so."""
    wanted = list(dict.fromkeys(ids))
    cards: dict[str, PictureCard] = {}
    for first in range(0, len(wanted), AT_ONCE):
        part = wanted[first : first + AT_ONCE]
        cards |= {card.id: card for card in _catalogued(db, settings, part)}
        left = [image_id for image_id in part if image_id not in cards]
        cards |= {card.id: card for card in _generated(db, settings, left)}
        cards |= {one: _from_folder(settings, one) for one in left if one not in cards}
    return {image_id: cards[image_id] for image_id in wanted}


def keep_folder_thumbnails(
    settings: Settings,
    ids: Iterable[str],
    *,
    step: Callable[[int, int], None] = lambda _done, _total: None,
) -> None:
    """Draw thumbnails of pictures outside of the workspace, which a browser cannot reach.

    One that is there and not older than its picture is kept; a picture that cannot be read has
    none. `step` hears how many are done and of how many, and may raise to stop.
    """
    paths = [Path(image_id) for image_id in dict.fromkeys(ids) if Path(image_id).is_absolute()]
    for done, path in enumerate(paths):
        step(done, len(paths))
        thumbnail = folder_thumbnail(settings, str(path))
        try:
            if thumbnail.is_file() and thumbnail.stat().st_mtime >= path.stat().st_mtime:
                continue
            write_file(thumbnail, encode_thumbnail(read_image(path)), durable=False)
        except (ImageError, OSError):
            continue


def folder_thumbnail(settings: Settings, image_id: str) -> Path:
    """Where the thumbnail of a picture of a folder lies; its id is its path."""
    name = hashlib.sha256(image_id.encode()).hexdigest()[:26]
    return settings.thumbnails_dir / FOLDER / f"{name}.webp"


def _catalogued(db: Database, settings: Settings, ids: Sequence[str]) -> Iterator[PictureCard]:
    with db.session() as session:
        rows = list(session.scalars(select(CorpusImage).where(CorpusImage.id.in_(ids))))
    for row in rows:
        yield PictureCard(
            id=row.id,
            name=row.source_id,
            place=dataset_title(row.dataset),
            split=row.split,
            label=row.label,
            diagnosis=row.diagnosis,
            patient=row.patient,
            lesion=row.lesion,
            file=_shown(settings.workspace / row.file),
            thumbnail=_shown(settings.workspace / row.thumbnail),
            synthetic=row.synthetic,
        )


def _generated(db: Database, settings: Settings, ids: Sequence[str]) -> Iterator[PictureCard]:
    image = Image
    columns = (image.id, image.seed, image.label, image.file, image.thumbnail, image.deleted_at)
    with db.session() as session:
        rows = session.execute(select(*columns).where(image.id.in_(ids))).all()
    for image_id, seed, label, file, thumbnail, deleted in rows:
        yield PictureCard(
            id=image_id,
            name=f"{image_id}, seed {seed}",
            place=f"{GALLERY}, deleted" if deleted else GALLERY,
            label=label,
            file=_shown(settings.workspace / file),
            thumbnail=_shown(settings.workspace / thumbnail),
            synthetic=True,
        )


def _from_folder(settings: Settings, image_id: str) -> PictureCard:
    path = Path(image_id)
    if not path.is_absolute():
        return PictureCard(id=image_id, name=image_id, place=GONE, gone=True)
    gone = not path.is_file()
    return PictureCard(
        id=image_id,
        name=path.name,
        place=f"{path.parent}, {GONE.lower()}" if gone else str(path.parent),
        thumbnail=_shown(folder_thumbnail(settings, image_id)),
        gone=gone,
    )


def _shown(file: Path) -> Path | None:
    return file if file.is_file() else None
