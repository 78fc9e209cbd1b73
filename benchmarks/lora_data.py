"""HAM10000 in a workspace of its own: imported, captioned by the measured captioner behind the
opening that names the label, split by lesion into pairs to learn from and images held out."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from sqlalchemy import select

from backend.abc.attributes import Modality, SkinTone
from backend.abc.grammar import with_opening
from backend.abc.sampling import sample_split
from backend.corpus.pictures import Picture
from backend.corpus.splits import split_pictures
from backend.exports.rows import METADATA
from backend.files import copy_file, write_file
from backend.generation.provenance import write_phantom
from backend.phantom import render
from backend.settings import Settings, load_settings, prepare_workspace
from backend.store.database import Database, open_database
from backend.store.tables import CorpusImage, ImageCaption
from training.starter.captions import training_caption

DATASET, CAPTIONER, SIDE = "ham10000", "measured", 224
PAIRS, HELD_OUT = "pairs", "held_out"
VALIDATION = 100
"""Pairs beyond those that are learnt from, for the loss on images that were not."""
PHANTOM = "phantom"
PHANTOM_SEEDS = 3_000_000_000
"""Of phantoms that hold the layout: as the starter's own training has them, and none that adherence
is measured on."""
LIKE_HAM10000 = (SkinTone.I, SkinTone.II, SkinTone.III)
SPARE = 8
"""So many more are dealt to the held-out side, as labels do not divide evenly."""


@dataclass(frozen=True)
class Item:
    """An image of the corpus and its caption; `file` is its copy, below the workspace."""

    image_id: str
    source: str
    file: str
    lesion: str
    label: str
    caption: str


@dataclass(frozen=True)
class Split:
    """Which images are learnt from, with those for validation among them, and which never seen."""

    seed: int
    pairs: tuple[Item, ...]
    held_out: tuple[Item, ...]


def own_settings(work: Path) -> Settings:
    """The settings of this process, but with the workspace of the experiment."""
    here = load_settings()
    settings = here.model_copy(
        update={
            "workspace": (work / "workspace").absolute(),
            "database_url": None,
            "model_folders": (here.models_dir, *here.model_folders),
        }
    )
    prepare_workspace(settings)
    return settings


def child(settings: Settings, *words: object) -> str:
    """Do one of the project's own programs (`python -m ...`); returns what it printed."""
    command = [sys.executable, "-m", *map(str, words)]
    print("$", "python", *command[1:], flush=True)
    done = subprocess.run(
        command, env=settings.process_environment(), stdout=subprocess.PIPE, text=True, check=False
    )
    if done.returncode:
        sys.exit(f"{done.stdout}\n'{' '.join(command[1:])}' ended with {done.returncode}.")
    return done.stdout


def kept(file: Path, make: Callable[[], Mapping[str, Any]]) -> dict[str, Any]:
    """What `file` holds as JSON; made, and kept whole, where it is not there yet."""
    if not file.is_file():
        made = make()
        file.parent.mkdir(parents=True, exist_ok=True)
        write_file(file, json.dumps(made, indent=1).encode())
    found: dict[str, Any] = json.loads(file.read_bytes())
    return found


def get_split(
    settings: Settings, work: Path, download: Path | None, *, train: int, images: int, seed: int
) -> Split:
    """The split of the work folder; the images are imported and captioned for it if need be."""

    def make() -> Mapping[str, Any]:
        return asdict(_make_split(settings, download, train=train, images=images, seed=seed))

    row = kept(work / "split.json", make)
    sides = (tuple(Item(**item) for item in row[side]) for side in (PAIRS, HELD_OUT))
    return Split(row["seed"], *sides)


def write_pairs(
    settings: Settings, split: Split, folder: Path, *, phantoms: int = 0, lowest_noise: float = 0.7
) -> Path:
    """The pairs as an image folder with its metadata, the layout of the studio's exports.

    `phantoms` are written beside them, learnt at noise above `lowest_noise` alone: combinations of
    attributes that real images lack then keep their layout.
    """
    if (folder / METADATA).is_file():
        return folder
    rows: list[dict[str, object]] = []
    for item in split.pairs:
        file = settings.workspace / item.file
        name = f"{item.source.replace('/', '-')}{file.suffix}"
        copy_file(file, folder / name)
        rows.append(
            {
                "file_name": name,
                "text": item.caption,
                "label": item.label,
                "dataset": DATASET,
                "lesion": item.lesion,
                "origin": CAPTIONER,
            }
        )
    rows += [_write_phantom(folder, number, lowest_noise) for number in range(phantoms)]
    text = "".join(json.dumps(row) + "\n" for row in rows)
    write_file(folder / METADATA, text.encode())
    return folder


def _write_phantom(folder: Path, number: int, lowest_noise: float) -> dict[str, object]:
    """The row of a dermoscopic phantom on skin as that of HAM10000, captioned as the starter's."""
    rng = np.random.default_rng((PHANTOM_SEEDS, number))
    drawn = sample_split(rng, held_out=False)
    while drawn.skin_tone not in LIKE_HAM10000:
        drawn = sample_split(rng, held_out=False)
    drawn = drawn.model_copy(update={"modality": Modality.DERMOSCOPIC})
    seed = PHANTOM_SEEDS + number
    phantom = render(drawn, size=SIDE, seed=seed)
    caption, _stated = training_caption(phantom.truth, rng)
    name = f"{PHANTOM}-{number:05d}.png"
    write_phantom(folder / name, phantom.image, truth=phantom.truth, seed=seed)
    label = phantom.truth.label
    return {
        "file_name": name,
        "text": caption,
        "label": label.value if label else "",
        "origin": PHANTOM,
        "lowest_noise": lowest_noise,
    }


def validation_share(split: Split, train: int) -> float:
    """The share of the pairs that the run holds out, so that `train` are left to learn from."""
    return min(0.5, max(0.02, 1 - train / len(split.pairs)))


def files_of(settings: Settings, items: Iterable[Item]) -> list[Path]:
    """The copies of images."""
    return [settings.workspace / item.file for item in items]


def _make_split(
    settings: Settings, download: Path | None, *, train: int, images: int, seed: int
) -> Split:
    items = _captioned(settings)
    if not items:
        if download is None:
            sys.exit("Nothing is imported yet: name the folder of HAM10000 with --download.")
        child(settings, "backend", "corpus", "import", DATASET, download, "--side", SIDE, "--json")
        child(settings, "backend", "caption", "--captioner", CAPTIONER, "--dataset", DATASET)
        items = _captioned(settings)
    return divide(items, train=train, images=images, seed=seed)


def divide(items: Sequence[Item], *, train: int, images: int, seed: int) -> Split:
    """No lesion on both sides; in each an order by chance, the same for the same seed."""
    pictures = [Picture(one.image_id, Path(one.file), None, one.lesion) for one in items]
    labels = {one.image_id: one.label for one in items}
    wanted = min(images + SPARE, len(items) - 1)
    ratios = {HELD_OUT: float(wanted), PAIRS: float(len(items) - wanted)}
    side = split_pictures(pictures, labels, (), ratios, seed=seed)
    order = np.random.default_rng(seed).permutation(len(items))
    mixed = [items[place] for place in order]
    learnt = [one for one in mixed if side[one.image_id] == PAIRS]
    held = [one for one in mixed if side[one.image_id] == HELD_OUT]
    return Split(seed, tuple(learnt[: train + VALIDATION]), tuple(held[:images]))


def _captioned(settings: Settings) -> list[Item]:
    database = open_database(settings)
    try:
        return _items(database)
    finally:
        database.close()


def _items(database: Database) -> list[Item]:
    statement = (
        select(CorpusImage, ImageCaption)
        .join(ImageCaption, ImageCaption.image_id == CorpusImage.id)
        .where(CorpusImage.dataset == DATASET, ImageCaption.captioner == CAPTIONER)
        .where(ImageCaption.text != "")
        .order_by(CorpusImage.source_id, ImageCaption.created_at)
    )
    with database.session() as session:
        found = {image.id: _item(image, caption) for image, caption in session.execute(statement)}
    return list(found.values())


def _item(image: CorpusImage, caption: ImageCaption) -> Item:
    return Item(
        image_id=image.id,
        source=image.source_id,
        file=image.file,
        lesion=image.lesion,
        label=image.label.value,
        caption=with_opening(image.label, caption.text),
    )
