"""How long the catalogue takes for a page and a count, with the paper's 508,344 images in it.

    python -m benchmarks.corpus_catalogue --metadata ../shared/data/metadata/isic2019

Rows are drawn from the real metadata of ISIC 2019 (age, sex, site and diagnosis as they occur
together there) and dealt out over the eleven datasets in the proportions of Table 1. Then first
pages, deep ones, counts and facets are asked for under every kind of filter. Prints milliseconds;
no image file is written.
"""

import argparse
import hashlib
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from backend.abc.attributes import Label
from backend.corpus.catalogue import cell_id, image_id, write_rows
from backend.corpus.facts import ROMAN, ImageFacts
from backend.corpus.label_effects import preview
from backend.corpus.matching import find_tables, peek_tables
from backend.corpus.places import scan
from backend.corpus.queries import (
    FACETS,
    CorpusFilter,
    count_by,
    count_corpus,
    find_corpus,
    query_corpus,
)
from backend.corpus.reading import read_tables
from backend.corpus.rule_editing import Choice, with_choice
from backend.corpus.sources.paper import ISIC2019, PAPER
from backend.settings import Settings, prepare_workspace
from backend.store.database import Database, open_database

BAR_MS = 200.0
PAGE = 24
BATCH = 2_000


def main() -> None:
    """Fill, measure and print; ends with 1 where the bar is missed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--metadata", type=Path, required=True, help="folder of ISIC 2019's tables")
    parser.add_argument("--images", type=int, default=508_344)
    parser.add_argument("--repeats", type=int, default=20, help="pages and counts for each filter")
    parser.add_argument("--database", help="URL of an empty PostgreSQL database")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="dermaflux-benchmark-") as folder:
        settings = Settings(workspace=Path(folder), database_url=options.database)
        prepare_workspace(settings)
        database = open_database(settings)
        try:
            started = time.perf_counter()
            fill(database, real_facts(options.metadata), options.images)
            filled = time.perf_counter() - started
            rows = list(measure(database, settings, options.repeats))
        finally:
            database.close()
    slowest = max(row["p95_ms"] for row in rows)
    figures = {
        "images": options.images,
        "rows_per_second_written": round(options.images / filled),
        "bar_ms": BAR_MS,
        "slowest_p95_ms": slowest,
        "asked": rows,
    }
    print(json.dumps(figures, indent=2) if options.json else table(figures))
    sys.exit(slowest > BAR_MS)


def real_facts(folder: Path) -> list[ImageFacts]:
    """What ISIC 2019 says of its training images."""
    items, _ = scan(folder)
    tables = find_tables(ISIC2019, peek_tables(folder, items), named=True)
    return read_tables(ISIC2019, folder, tables).images


def fill(database: Database, facts: list[ImageFacts], count: int) -> None:
    """Put `count` rows into the catalogue, in batches."""
    rng = np.random.default_rng(0)
    share = np.array([source.published.total for source in PAPER if source.published], float)
    sources = rng.choice(len(PAPER), count, p=share / share.sum())
    for first in range(0, count, BATCH):
        numbers = range(first, min(first + BATCH, count))
        drawn = rng.integers(0, len(facts), BATCH)
        tones = rng.integers(0, len(ROMAN) + 1, BATCH)
        rows = [
            _row(number, PAPER[sources[number]].key, facts[pick], ("", *ROMAN)[tone])
            for number, pick, tone in zip(numbers, drawn, tones, strict=False)
        ]
        write_rows(database, rows)


def measure(database: Database, settings: Settings, repeats: int) -> Iterator[dict[str, Any]]:
    """Milliseconds at the 50th and 95th percentile for everything that a page asks."""
    rng = np.random.default_rng(1)
    for name, criteria in filters():
        total = count_corpus(database, criteria)

        def page(turn: int, criteria: CorpusFilter = criteria, total: int = total) -> object:
            offset = 0 if turn % 2 == 0 else int(rng.integers(0, max(1, total)))
            return query_corpus(database, settings, criteria, limit=PAGE, offset=offset)

        def count(_: int, criteria: CorpusFilter = criteria) -> object:
            return count_corpus(database, criteria)

        def first(_: int, criteria: CorpusFilter = criteria) -> object:
            return query_corpus(database, settings, criteria, limit=PAGE)

        yield {"asked": f"first page, {name}", "matches": total, **timed(first, repeats)}
        yield {"asked": f"any page, {name}", "matches": total, **timed(page, repeats)}
        yield {"asked": f"count, {name}", "matches": total, **timed(count, repeats)}
    for facet in FACETS:
        yield {
            "asked": f"counts by {facet}",
            "matches": count_corpus(database),
            **timed(lambda _, facet=facet: count_by(database, facet), repeats),
        }
    rule = with_choice(ISIC2019.rule, "nevus", Choice.MALIGNANT)
    effect = timed(lambda _: preview(database, "isic2024", rule), repeats)
    yield {"asked": "effect of a label rule", "matches": 0, **effect}
    found = timed(lambda turn: find_corpus(database, settings, f"P{turn * 997}"), repeats)
    yield {"asked": "images of a patient", "matches": 0, **found}


def filters() -> list[tuple[str, CorpusFilter]]:
    """None, each single one, a few together, and one that nothing matches."""
    return [
        ("no filter", CorpusFilter()),
        ("dataset", CorpusFilter(dataset="isic2024")),
        ("small dataset", CorpusFilter(dataset="med_node")),
        ("label", CorpusFilter(label=Label.MALIGNANT)),
        ("diagnosis", CorpusFilter(diagnosis="dermatofibroma")),
        ("modality", CorpusFilter(modality="clinical")),
        ("skin tone", CorpusFilter(skin_tone="VI")),
        ("site", CorpusFilter(site="palms_soles")),
        ("age", CorpusFilter(decade=80)),
        ("sex", CorpusFilter(sex="female")),
        ("split", CorpusFilter(split="test")),
        ("many", CorpusFilter(label=Label.BENIGN, sex="male", skin_tone="II", decade=50)),
        ("rare", CorpusFilter(dataset="ddi", diagnosis="vascular_lesion", decade=0)),
        ("nothing", CorpusFilter(dataset="isic2024", skin_tone="none")),
    ]


def timed(ask: Callable[[int], object], repeats: int) -> dict[str, float]:
    """Ask so many times; the percentiles in milliseconds."""
    taken = []
    for turn in range(repeats):
        started = time.perf_counter()
        ask(turn)
        taken.append(1000 * (time.perf_counter() - started))
    p50, p95 = np.percentile(taken, (50, 95))
    return {"p50_ms": round(float(p50), 1), "p95_ms": round(float(p95), 1)}


def table(figures: dict[str, Any]) -> str:
    """The figures as aligned text."""
    lines = [
        f"{figures['images']:,} images, written at {figures['rows_per_second_written']:,} a second"
    ]
    for row in figures["asked"]:
        words = f"{row['asked']:<32} {row['matches']:>8,} match"
        lines.append(f"{words}  p50 {row['p50_ms']:>6} ms  p95 {row['p95_ms']:>6} ms")
    lines.append(f"slowest p95 {figures['slowest_p95_ms']} ms, bar {figures['bar_ms']} ms")
    return "\n".join(lines)


def _row(number: int, dataset: str, facts: ImageFacts, skin_tone: str) -> dict[str, Any]:
    source_id = f"IMG_{number:07d}"
    digest = hashlib.sha256(source_id.encode()).hexdigest()
    malignant = ISIC2019.rule.malignant
    told = asdict(facts)
    row = {name: told[name] for name in ("diagnosis", "diagnosis_given", "modality", "site")} | {
        "age": facts.age,
        "sex": facts.sex,
        "skin_tone": skin_tone,
        "dataset": dataset,
        "source_id": source_id,
        "source_path": f"images/{source_id}.jpg",
        "patient": f"P{number // 3}",
        "lesion": f"L{number // 2}",
        "target": facts.target,
        "label": Label.MALIGNANT if facts.diagnosis in malignant else Label.BENIGN,
        "rule": ISIC2019.rule.version,
        "split": "test" if number % 10 == 0 else "train",
        "synthetic": False,
        "width": 1024,
        "height": 1024,
        "bytes": 100_000,
        "byte_hash": digest,
        "pixel_hash": digest,
        "recipe": "512-crop-jpeg",
        "file": f"corpus/512-crop-jpeg/{digest[:2]}/{digest}.jpg",
        "thumbnail": f"corpus/512-crop-jpeg-thumbnails/{digest[:2]}/{digest}.jpg",
    }
    if dataset in ("ddi", "pad_ufes_20", "med_node"):
        row["modality"] = "clinical"
    row["id"] = image_id(dataset, source_id)
    return row | {"cell": cell_id(row)}


if __name__ == "__main__":
    main()
