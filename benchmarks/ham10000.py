"""HAM10000 as the experiments on real images take it: one small folder, split by lesion.

    python -m benchmarks.ham10000 ../shared/data/ham10000 --work FOLDER [--pack FOLDER]

Imports the download into a workspace below --work, captions it by the measured captioner, divides
it by lesion and near-duplicate, and writes a folder that needs neither workspace nor database:
`images/*.jpg` (160 px, JPEG 95), `labels.csv`, `captions.json` and `NOTICE.txt`. What is there
already is not done again. HAM10000 is CC BY-NC 4.0, and so is that folder.
"""

import argparse
import csv
import hashlib
import io
import json
import os
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image
from sqlalchemy import select

from backend.corpus.duplicates import find_duplicates
from backend.corpus.fingerprints import read_fingerprints
from backend.corpus.pictures import Picture
from backend.corpus.queries import CorpusView, iterate_corpus
from backend.corpus.sources import SOURCES
from backend.corpus.splits import leakproof_groups, split_pictures
from backend.files import write_file
from backend.images import open_image
from backend.settings import REPOSITORY, Settings, prepare_workspace
from backend.store.database import Database, open_database
from backend.store.tables import ImageCaption

DATASET = "ham10000"
TRAIN, HELD_OUT, REST = "train", "held out", "rest"
LABELS, CAPTIONS, NOTICE, IMAGES = "labels.csv", "captions.json", "NOTICE.txt", "images"
COLUMNS = ("image_id", "file", "lesion", "diagnosis", "label", "split")
SIDE, QUALITY = 160, 95
SPARE = 8
"""So many images more than asked for are dealt to a split at first, since groups stay whole."""
OPENING = "This photo depicts a {label} lesion. "
"""How a caption in the authors' wording begins; the measured captioner itself names no label."""


@dataclass(frozen=True)
class Photograph:
    """An image of the folder; `caption` is empty where the captioner could not tell."""

    image_id: str
    path: Path
    lesion: str
    diagnosis: str
    label: str
    split: str
    caption: str

    def text(self, *, labelled: bool) -> str:
        """The measured caption, after an opening that names the label where that is wanted."""
        return (OPENING.format(label=self.label) if labelled else "") + self.caption


def main() -> None:
    """Make the folder and print what it holds."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("data", type=Path, help="the download: labels.csv beside images/")
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--pack", type=Path, help="the folder; WORK/ham10000 if unset")
    add_counts(parser)
    options = parser.parse_args()
    folder = make_pack(
        options.data,
        options.work,
        options.pack or options.work / DATASET,
        train=options.train_images,
        held_out=options.held_out,
    )
    print(describe(folder))


def add_counts(parser: argparse.ArgumentParser) -> None:
    """How many images are trained on and held out."""
    parser.add_argument("--train-images", type=int, default=1_600)
    parser.add_argument("--held-out", type=int, default=400)


def describe(folder: Path) -> str:
    """What a folder holds, in a line."""
    photographs = read_pack(folder)
    counts = {
        split: sum(one.split == split for one in photographs) for split in (TRAIN, HELD_OUT, REST)
    }
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    said = ", ".join(f"{count:,} {split}" for split, count in counts.items())
    return f"{folder}: {said}, {size / 1e6:.1f} MB"


def make_pack(data: Path, work: Path, folder: Path, *, train: int, held_out: int) -> Path:
    """The folder of the experiments, made unless it is there."""
    if (folder / LABELS).is_file():
        return folder
    settings = Settings(workspace=work / "workspace", database_url=None)
    prepare_workspace(settings)
    command(settings, "corpus", "import", DATASET, str(data.absolute()), "--side", "224")
    command(settings, "caption", "--captioner", "measured", "--dataset", DATASET)
    database = open_database(settings)
    try:
        images = sorted(iterate_corpus(database, settings), key=lambda one: one.source_id)
        captions = measured_captions(database)
    finally:
        database.close()
    splits = divide(settings, images, captions, train=train, held_out=held_out)
    write_pack(folder, images, captions, splits)
    return folder


def command(settings: Settings, *arguments: str) -> None:
    """Run a command of the studio in this workspace; ends this program where it fails."""
    environment = {**os.environ, "DERMAFLUX_WORKSPACE": str(settings.workspace)}
    environment.pop("DERMAFLUX_DATABASE_URL", None)
    done = subprocess.run(
        [sys.executable, "-m", "backend", *arguments],
        cwd=REPOSITORY,
        env=environment,
        stdout=subprocess.DEVNULL,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"`python -m backend {' '.join(arguments)}` failed: see above.")


def measured_captions(database: Database) -> dict[str, str]:
    """The captions by the id of the image."""
    statement = select(ImageCaption.image_id, ImageCaption.text).where(
        ImageCaption.captioner == "measured"
    )
    with database.session() as session:
        return {image_id: text for image_id, text in session.execute(statement) if text}


def divide(
    settings: Settings,
    images: Sequence[CorpusView],
    captions: Mapping[str, str],
    *,
    train: int,
    held_out: int,
) -> dict[str, str]:
    """The split of each image: lesions and near-duplicates on one side, labels by their share.

    Exactly `train` and `held_out` images with captions; all others are the rest.
    """
    pictures = [
        Picture(one.id, one.file, one.patient or None, one.lesion or None) for one in images
    ]
    prints = read_fingerprints(pictures, settings.fingerprints_file, threads=2, step=_ignored)
    pairs = [pair.ids for pair in find_duplicates(prints, None, threads=2, step=_ignored)]
    spare = min(SPARE, max(0, (len(images) - train - held_out - 1) // 3))
    wanted = {TRAIN: train, HELD_OUT: held_out}
    shares = {split: float(count + spare) for split, count in wanted.items()}
    shares[REST] = max(1e-6, len(images) - sum(shares.values()))
    labels = {one.id: one.label.value for one in images}
    splits = split_pictures(pictures, labels, pairs, shares)
    groups = leakproof_groups(pictures, pairs)
    for group in groups:
        if any(image_id not in captions for image_id in group):
            splits.update(dict.fromkeys(group, REST))
    order = np.random.default_rng(0).permutation(len(groups))
    for split, count in wanted.items():
        _trim(splits, split, count, [groups[place] for place in order])
    return splits


def _trim(splits: dict[str, str], split: str, count: int, groups: Iterable[Sequence[str]]) -> None:
    """Move what a split has too much of to the rest, in whole groups."""
    surplus = sum(one == split for one in splits.values()) - count
    for group in groups:
        if 0 < len(group) <= surplus and splits[group[0]] == split:
            splits.update(dict.fromkeys(group, REST))
            surplus -= len(group)
    if surplus:
        raise SystemExit(
            f"The images cannot be divided into {count:,} for '{split}' and the others: ask for "
            "fewer with --train-images and --held-out."
        )


def _ignored(*_progress: object) -> None:
    """Progress that nobody looks at."""


def write_pack(
    folder: Path,
    images: Sequence[CorpusView],
    captions: Mapping[str, str],
    splits: Mapping[str, str],
) -> None:
    """The folder's files; the labels are written last, since they say that it is whole."""
    rows = io.StringIO()
    writer = csv.writer(rows, lineterminator="\n")
    writer.writerow(COLUMNS)
    texts = {}
    for one in images:
        name = f"{IMAGES}/{one.source_id}.jpg"
        write_file(folder / name, _small(one.file), durable=False)
        texts[one.source_id] = captions.get(one.id, "")
        writer.writerow(
            (one.source_id, name, one.lesion, one.diagnosis, one.label.value, splits[one.id])
        )
    source = SOURCES[DATASET]
    notice = (
        f"{source.title}, reduced to {SIDE} px and divided by lesion. {source.licence}: attribution, "
        f"non-commercial use only.\n{source.citation}\n"
    )
    write_file(folder / NOTICE, notice.encode())
    write_file(folder / CAPTIONS, json.dumps(texts, indent=0).encode())
    write_file(folder / LABELS, rows.getvalue().encode())


def _small(file: Path) -> bytes:
    image = open_image(file)
    scale = SIDE / min(image.size)
    if scale < 1:
        size = (round(image.width * scale), round(image.height * scale))
        image = image.resize(size, Image.Resampling.LANCZOS)
    data = io.BytesIO()
    image.save(data, "JPEG", quality=QUALITY)
    return data.getvalue()


def read_pack(folder: Path) -> list[Photograph]:
    """Every image of the folder, in the order of its labels."""
    captions = json.loads((folder / CAPTIONS).read_text("utf-8"))
    with (folder / LABELS).open(encoding="utf-8", newline="") as stream:
        return [
            Photograph(
                image_id=row["image_id"],
                path=folder / row["file"],
                lesion=row["lesion"],
                diagnosis=row["diagnosis"],
                label=row["label"],
                split=row["split"],
                caption=captions[row["image_id"]],
            )
            for row in csv.DictReader(stream)
        ]


def pack_hash(folder: Path) -> str:
    """Changes with labels, splits and captions."""
    digest = hashlib.sha256()
    for name in (LABELS, CAPTIONS):
        digest.update((folder / name).read_bytes())
    return digest.hexdigest()


if __name__ == "__main__":
    main()
