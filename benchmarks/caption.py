"""Images per second of the measured captioner, beside Otsu's threshold by Pillow and scikit-image.

    python -m benchmarks.caption ../shared/data/ham10000/images

Both read the same standard copies of the corpus with as many processes. The peer is the shortest
measurement of a lesion that a script would make: decode with Pillow, threshold with Otsu, label,
keep the largest region, trace its contour, and take its shape and mean colour. The captioner
removes hair, finds skin and lesion, measures asymmetry, border, edge and colours, writes the
caption, checks it and keeps it all in the database as a job. The two take turns, each first in its
turn of the rounds, and what counts is the median of the ratios within a round: other work on the
machine disturbs both alike. Starting the processes counts for both.
"""

import argparse
import json
import multiprocessing
import os
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from PIL import Image
from sqlalchemy import delete

from backend.captioning.records import count_captions
from backend.captioning.running import KIND, caption_title
from backend.captioning.task import CaptionTask
from backend.corpus.importing import KIND as IMPORT
from backend.corpus.importing import import_title, plan_task
from backend.corpus.queries import iterate_corpus
from backend.jobs.here import run_here
from backend.jobs.states import JobState
from backend.settings import Settings, prepare_workspace
from backend.store.database import Database, open_database
from backend.store.tables import CaptionFinding, ImageCaption, ImageMeasurement

BAR = 0.5


def main() -> None:
    """Measure and print; ends with 1 where the bar is missed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path, help="JPEG files")
    parser.add_argument("--images", type=int, default=400)
    parser.add_argument("--side", type=int, default=512)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="dermaflux-benchmark-") as scratch:
        root = Path(scratch)
        settings = Settings(workspace=root / "workspace")
        prepare_workspace(settings)
        database = open_database(settings)
        count = lay_out(options.folder, root / "set", options.images)
        task = plan_task("folder", root / "set", side=options.side, processes=options.processes)
        run_job(settings, database, IMPORT, task.model_dump(mode="json"), import_title(task))
        files = [image.file for image in iterate_corpus(database, settings)]
        contenders: dict[str, Callable[[], None]] = {
            "captioner": partial(ours, settings, database, options.processes),
            "Otsu": partial(otsu, files, options.processes),
        }
        rates: dict[str, list[float]] = {name: [] for name in contenders}
        for turn in range(options.turns):
            for name in sorted(contenders, reverse=bool(turn % 2)):
                forget(database)
                rates[name].append(len(files) / timed(contenders[name]))
        (made,) = count_captions(database) or [None]
        database.close()
    figures = {
        "images": count,
        "side": options.side,
        "processes": options.processes,
        "turns": options.turns,
        "images_per_second": {name: round(median(rate), 1) for name, rate in rates.items()},
        "to_otsu": round(ratio(rates["captioner"], rates["Otsu"]), 3),
        "captions": made.captions if made else None,
        "unsure": made.unsure if made else None,
    }
    print(json.dumps(figures, indent=2) if options.json else table(figures))
    sys.exit(figures["to_otsu"] < BAR)


def ratio(ours: list[float], theirs: list[float]) -> float:
    """The median of the ratios of each turn."""
    return median(one / other for one, other in zip(ours, theirs, strict=True))


def lay_out(folder: Path, root: Path, count: int) -> int:
    """Links to the first files as two classes; hard links, because links are not followed."""
    files = sorted(folder.rglob("*.jpg"))[:count]
    if not files:
        sys.exit(f"There are no JPEG files in {folder}.")
    for place, file in enumerate(files):
        target = root / ("nevus", "melanoma")[place % 2] / file.name
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link(file, target)
        except OSError:
            target.write_bytes(file.read_bytes())
    return len(files)


def ours(settings: Settings, database: Database, processes: int) -> None:
    """The captioning job, checks and database included."""
    task = CaptionTask(processes=processes)
    run_job(settings, database, KIND, task.model_dump(mode="json"), caption_title(task))


def otsu(files: list[Path], processes: int) -> None:
    """The peer in a pool of processes."""
    with multiprocessing.get_context("spawn").Pool(processes) as pool:
        for _ in pool.imap(_outline, files, chunksize=16):
            pass


def run_job(
    settings: Settings, database: Database, kind: str, payload: dict[str, Any], title: str
) -> None:
    """A job to its end."""
    job = run_here(
        settings,
        database,
        kind=kind,
        payload=payload,
        title=title,
        total=0,
        show=lambda _: None,
    )
    if job.state is not JobState.DONE:
        sys.exit(job.error or f"the job is {job.state}")


def forget(database: Database) -> None:
    """Captions and measurements of the turn before, so that all is to be done again."""
    with database.session() as session:
        for rows in (CaptionFinding, ImageCaption, ImageMeasurement):
            session.execute(delete(rows))


def timed(run: Callable[[], None]) -> float:
    """Seconds."""
    started = time.perf_counter()
    run()
    return time.perf_counter() - started


def table(figures: dict[str, Any]) -> str:
    """The figures as aligned text."""
    what = f"{figures['images']:,} images at {figures['side']} px"
    lines = [f"{what}, {figures['processes']} processes, {figures['turns']} turns"]
    for name, rate in figures["images_per_second"].items():
        lines.append(f"{name:<12} {rate:>8} images/s")
    lines.append(f"to Otsu {figures['to_otsu']}, bar {BAR}")
    return "\n".join(lines)


def _outline(file: Path) -> tuple[float, float, int, list[float]]:
    """Eccentricity, solidity, points of the contour and mean colour of the largest dark region."""
    from skimage.color import rgb2gray
    from skimage.filters import gaussian, threshold_otsu
    from skimage.measure import find_contours, label, regionprops

    with Image.open(file) as image:
        pixels = np.asarray(image.convert("RGB"))
    gray = gaussian(rgb2gray(pixels), 2)
    regions = regionprops(label(gray < threshold_otsu(gray)))
    largest = max(regions, key=lambda region: region.area)
    mask = np.zeros(gray.shape, dtype=bool)
    mask[tuple(largest.coords.T)] = True
    outline = max(find_contours(mask.astype(float), 0.5), key=len)
    mean = pixels[mask].mean(axis=0).tolist()
    return largest.eccentricity, largest.solidity, len(outline), mean


if __name__ == "__main__":
    main()
