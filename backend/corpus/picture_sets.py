"""Sets of pictures that can be searched and compared, by name.

`catalogue`, `dataset:KEY`, `dataset:KEY/SPLIT`, `subset:NAME`, `gallery`, `synthetic:NAME` (a set
of the gallery), `build:JOB` (a synthetic set that was built) and `folder:PATH`.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from sqlalchemy import Select, literal, select

from backend.corpus.errors import CorpusError
from backend.corpus.pictures import Picture, pictures_in
from backend.corpus.queries import count_by, count_corpus
from backend.corpus.sources import SOURCES
from backend.corpus.subsets import list_subsets
from backend.generation.building.running import KIND as BUILD_JOB
from backend.generation.gallery import GalleryFilter, count_images, matching
from backend.generation.image_sets import list_sets
from backend.jobs.queue import list_jobs
from backend.settings import Settings
from backend.store.database import Database
from backend.store.tables import CorpusImage, CorpusSubset, CorpusSubsetMember, Image, Job

ARCHIVE_ID = re.compile(r"(IP|IL|HAM|BCN|MSK\d*)_\w+")
"""Patients and lesions that the ISIC archive names: the same in every dataset drawn from it."""
OFFERED_BUILDS = 50


class SetKind(StrEnum):
    """Where the pictures of a set come from."""

    CATALOGUE = "catalogue"
    DATASET = "dataset"
    SUBSET = "subset"
    GALLERY = "gallery"
    SYNTHETIC = "synthetic"
    BUILD = "build"
    FOLDER = "folder"


WHOLE = (SetKind.CATALOGUE, SetKind.GALLERY)


@dataclass(frozen=True)
class SetName:
    """A name taken apart; `part` is a split of a dataset, empty for all of it."""

    kind: SetKind
    name: str = ""
    part: str = ""

    def __str__(self) -> str:
        if self.kind in WHOLE:
            return self.kind.value
        part = f"/{self.part}" if self.part else ""
        return f"{self.kind.value}:{self.name}{part}"


@dataclass(frozen=True)
class PictureSet:
    """A set as it is offered: its name, its name for people, and how many pictures it has."""

    name: str
    title: str
    images: int


def read_set_name(text: str) -> SetName:
    """Take a name apart.

    Raises:
        CorpusError: it names no kind of set, or nothing of its kind.
    """
    kind, _, rest = text.strip().partition(":")
    if kind not in {one.value for one in SetKind}:
        raise CorpusError(
            f"There is no set '{text}': use catalogue, gallery, or dataset:, subset:, synthetic:, "
            "build: or folder: with a name after it."
        )
    found = SetKind(kind)
    if found in WHOLE:
        return SetName(found)
    if not rest.strip():
        raise CorpusError(f"Say which {found} is meant: write its name after '{found}:'.")
    if found is SetKind.DATASET:
        key, _, split = rest.partition("/")
        return SetName(found, key, split)
    if found is SetKind.FOLDER:
        return SetName(found, str(Path(rest.strip()).expanduser().absolute()))
    return SetName(found, rest.strip())


def list_picture_sets(db: Database) -> list[PictureSet]:
    """Every set that has pictures, except folders, which are named by their path."""
    whole, generated = count_corpus(db), _generated_images(db)
    sets = [PictureSet("catalogue", "Whole catalogue", whole)] if whole else []
    sets += _datasets(db)
    sets += [
        PictureSet(f"subset:{one.name}", f"Subset {one.name}", one.images)
        for one in list_subsets(db)
    ]
    if generated:
        sets.append(PictureSet("gallery", "Whole gallery (synthetic)", generated))
    sets += [
        PictureSet(f"synthetic:{one.name}", f"{one.name} (synthetic)", one.images)
        for one in list_sets(db)
        if one.images
    ]
    for job in list_jobs(db, kinds=(BUILD_JOB,), limit=OFFERED_BUILDS):
        images = count_images(db, GalleryFilter(job_id=job.id, drafts=False))
        if images:
            sets.append(PictureSet(f"build:{job.id}", f"{job.title} (synthetic)", images))
    return sets


def set_title(db: Database, name: SetName) -> str:
    """What people call a set, whether it is there or not."""
    if name.kind is SetKind.DATASET:
        return dataset_title(name.name, name.part)
    if name.kind is SetKind.BUILD:
        with db.session() as session:
            title = session.scalar(select(Job.title).where(Job.id == name.name))
        return f"{title or name.name} (synthetic)"
    titles = {
        SetKind.CATALOGUE: "Whole catalogue",
        SetKind.GALLERY: "Whole gallery (synthetic)",
        SetKind.SUBSET: f"Subset {name.name}",
        SetKind.SYNTHETIC: f"{name.name} (synthetic)",
        SetKind.FOLDER: f"Folder {name.name}",
    }
    return titles[name.kind]


def require_set(db: Database, name: SetName) -> None:
    """Look whether a set is there, without reading it.

    Raises:
        CorpusError: it is gone or empty.
    """
    if name.kind is SetKind.FOLDER:
        if not Path(name.name).is_dir():
            raise CorpusError(f"There is no folder {name.name}: check its name.")
        return
    with db.session() as session:
        found = session.execute(_rows(name).limit(1)).first()
    if found is None:
        raise CorpusError(_missing(db, name))


def pictures_of(db: Database, settings: Settings, name: SetName) -> list[Picture]:
    """The pictures of a set; deleted images and drafts of the gallery are not among them.

    Raises:
        CorpusError: the set is gone or empty, or its folder cannot be read.
    """
    if name.kind is SetKind.FOLDER:
        return _below(Path(name.name), settings.workspace)
    with db.session() as session:
        pictures = [
            Picture(
                image_id=image_id,
                path=settings.workspace / file,
                patient_id=own_name(dataset, patient),
                lesion_id=own_name(dataset, lesion),
            )
            for image_id, file, dataset, patient, lesion in session.execute(_rows(name))
        ]
    if not pictures:
        raise CorpusError(_missing(db, name))
    return pictures


def pictures_of_all(db: Database, settings: Settings, names: Sequence[SetName]) -> list[Picture]:
    """The pictures of several sets, each once.

    Raises:
        CorpusError: one of them is gone or empty, or cannot be read.
    """
    found = {
        picture.image_id: picture for name in names for picture in pictures_of(db, settings, name)
    }
    return list(found.values())


def _below(folder: Path, workspace: Path) -> list[Picture]:
    """The pictures of a folder; not the copies and thumbnails of a workspace that lies in it."""
    pictures = pictures_in(folder)
    if not workspace.is_relative_to(folder) or workspace == folder:
        return pictures
    outside = [picture for picture in pictures if not picture.path.is_relative_to(workspace)]
    if not outside:
        raise CorpusError(
            f"The folder {folder} holds no image beside the workspace: name a folder of images."
        )
    return outside


def _datasets(db: Database) -> list[PictureSet]:
    """Each dataset, and each of its splits where it has several."""
    splits: dict[str, dict[str, int]] = {}
    for (dataset, split), images in count_by(db, "dataset", "split").items():
        splits.setdefault(dataset, {})[split] = images
    sets = []
    for dataset, counts in splits.items():
        title = dataset_title(dataset)
        sets.append(PictureSet(f"dataset:{dataset}", title, sum(counts.values())))
        if len(counts) > 1:
            sets += [
                PictureSet(f"dataset:{dataset}/{split}", dataset_title(dataset, split), images)
                for split, images in counts.items()
                if split
            ]
    return sets


def dataset_title(dataset: str, split: str = "") -> str:
    """What people call a dataset, or one of its splits."""
    title = SOURCES[dataset].title if dataset in SOURCES else dataset
    return f"{title}, {split}" if split else title


def _rows(name: SetName) -> Select[str, str, str, str, str]:
    """Id, file, dataset, patient and lesion of each picture, in a fixed order."""
    if name.kind not in (SetKind.CATALOGUE, SetKind.DATASET, SetKind.SUBSET):
        said = select(Image.id, Image.file, literal(""), literal(""), literal(""))
        return said.where(*matching(_criteria(name))).order_by(Image.id)
    image = CorpusImage
    statement = select(image.id, image.file, image.dataset, image.patient, image.lesion)
    if name.kind is SetKind.DATASET:
        statement = statement.where(image.dataset == name.name)
        if name.part:
            statement = statement.where(image.split == name.part)
    elif name.kind is SetKind.SUBSET:
        statement = (
            statement.join(CorpusSubsetMember, CorpusSubsetMember.image_id == image.id)
            .join(CorpusSubset, CorpusSubset.id == CorpusSubsetMember.subset_id)
            .where(CorpusSubset.name == name.name)
        )
    return statement.order_by(image.dataset, image.source_id)


def _criteria(name: SetName) -> GalleryFilter:
    if name.kind is SetKind.SYNTHETIC:
        return GalleryFilter(image_set=name.name, drafts=False)
    return GalleryFilter(job_id=name.name or None, drafts=False)


def _generated_images(db: Database) -> int:
    return count_images(db, GalleryFilter(drafts=False))


def _missing(db: Database, name: SetName) -> str:
    return f"The set '{set_title(db, name)}' is gone or empty: choose another, or fill it first."


def own_name(dataset: str, name: str) -> str | None:
    """An id that no other dataset uses for somebody else; None where it is not said."""
    if not name or ARCHIVE_ID.fullmatch(name):
        return name or None
    return f"{dataset}:{name}"
