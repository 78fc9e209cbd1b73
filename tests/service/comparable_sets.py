"""A catalogue, a gallery and a folder that share known pictures."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from backend.abc.sampling import sample_attributes
from backend.corpus.catalogue import image_id, write_rows
from backend.corpus.decisions import keep_pairs
from backend.corpus.duplicates import DuplicatePair, Likeness
from backend.images import Pixels
from backend.phantom import render
from backend.settings import Settings
from backend.store.database import Database
from tests.service.test_corpus_catalogue import row

SIDE = 128


@dataclass(frozen=True)
class Comparable:
    """Ids in the catalogue by name, and a folder with a mirrored copy and a broken file."""

    ids: Mapping[str, str]
    folder: Path


def lesions(count: int) -> list[Pixels]:
    """Different lesions."""
    draw = np.random.default_rng(5)
    return [
        np.asarray(render(sample_attributes(draw), size=SIDE, seed=seed).image, dtype=np.uint8)
        for seed in range(count)
    ]


def catalogue(
    settings: Settings, database: Database, pictures: Mapping[str, Any]
) -> dict[str, str]:
    """Put pictures into the catalogue under `dataset/split/name`; returns their ids by name."""
    rows, ids = [], {}
    for number, (place, pixels) in enumerate(pictures.items()):
        dataset, split, name = place.split("/")
        file = settings.corpus_dir / f"{dataset}-{name}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(file)
        where = file.relative_to(settings.workspace).as_posix()
        facts = {"dataset": dataset, "split": split, "source_id": name, "patient": f"P{number}"}
        facts |= {"lesion": f"HAM_{number:07d}", "file": where, "thumbnail": where}
        rows.append(row(number, **facts))
        ids[name] = image_id(dataset, name)
    write_rows(database, rows)
    return ids


def comparable(settings: Settings, database: Database, folder: Path) -> Comparable:
    """Two datasets that share a mirrored lesion, and a folder that holds one of them again."""
    real = lesions(6)
    ids = catalogue(
        settings,
        database,
        {
            "isic2019/train/ISIC_1": real[0],
            "isic2019/train/ISIC_2": real[1],
            "isic2019/test/ISIC_3": real[2],
            "kaggle1/test/melanoma_7": np.ascontiguousarray(real[0][:, ::-1]),
            "kaggle1/test/melanoma_8": real[3],
        },
    )
    folder.mkdir()
    Image.fromarray(real[1][::-1]).save(folder / "upside_down.png")
    Image.fromarray(real[4]).save(folder / "new.png")
    (folder / "broken.jpg").write_bytes(b"\xff\xd8\xff nothing more")
    return Comparable(ids, folder)


def keep_chain(database: Database, *names: str, score: float = 0.7) -> list[tuple[str, str]]:
    """Suggest pairs that join these ids in a chain; returns their ids in order."""
    pairs = [tuple(sorted(pair)) for pair in pairwise(names)]
    keep_pairs(
        database,
        [DuplicatePair(one, other, Likeness.NEAR, score, "mirrored") for one, other in pairs],
    )
    return [(one, other) for one, other in pairs]
