"""Images per second of an import, beside bare Pillow and the ImageFolder loader of `datasets`.

    python -m benchmarks.ingest ../shared/data/ham10000/images

All three decode the same JPEG files, bring them to the same scale (shorter side and centre crop,
Lanczos) and encode them as JPEG of the same quality into files, with as many processes. The import
also hashes bytes and pixels, waits until every file is on the disk, and fills the catalogue. The
three take turns, each first in its turn of the rounds, and what counts is the median of the ratios
within a round: other work on the machine disturbs all three alike. Needs `datasets`
(requirements-dev.txt).
"""

import argparse
import json
import multiprocessing
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

from PIL import Image, ImageOps

from backend.corpus.importing import KIND, import_title, plan_task
from backend.corpus.standard import JPEG_QUALITY
from backend.jobs.here import run_here
from backend.jobs.states import JobState
from backend.settings import Settings, prepare_workspace
from backend.store.database import Database, open_database

BARE_BAR = 0.8
LOADER_BAR = 1.0
Contender = Callable[[Path, Path, int, int], None]
"""Takes the folder of the originals, one for the copies, the side in px and the processes."""


def main() -> None:
    """Measure and print; ends with 1 where a bar is missed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path, help="JPEG files")
    parser.add_argument("--images", type=int, default=2_100)
    parser.add_argument("--side", type=int, default=256)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="dermaflux-benchmark-") as scratch:
        root = Path(scratch)
        count = lay_out(options.folder, root / "set", options.images)
        contenders = {"import": ours, "bare Pillow": bare, "datasets ImageFolder": loader}
        rates: dict[str, list[float]] = {name: [] for name in contenders}
        for turn in range(options.turns):
            for name, run in turned(contenders, turn).items():
                out = root / f"{turn}-{name.replace(' ', '-')}"
                out.mkdir()
                if run is ours:
                    open_studio(out)[1].close()
                seconds = timed(partial(run, root / "set", out, options.side, options.processes))
                rates[name].append(count / seconds)
                shutil.rmtree(out)
    figures = {
        "images": count,
        "processes": options.processes,
        "turns": options.turns,
        "images_per_second": {name: round(median(rate), 1) for name, rate in rates.items()},
        "to_bare_pillow": round(ratio(rates["import"], rates["bare Pillow"]), 3),
        "to_datasets": round(ratio(rates["import"], rates["datasets ImageFolder"]), 3),
    }
    print(json.dumps(figures, indent=2) if options.json else table(figures))
    sys.exit(figures["to_bare_pillow"] < BARE_BAR or figures["to_datasets"] < LOADER_BAR)


def turned(contenders: dict[str, Contender], turn: int) -> dict[str, Contender]:
    """The contenders, another first in each turn."""
    names = list(contenders)
    first = turn % len(names)
    return {name: contenders[name] for name in names[first:] + names[:first]}


def ratio(ours: list[float], theirs: list[float]) -> float:
    """The median of the ratios of each turn."""
    return median(one / other for one, other in zip(ours, theirs, strict=True))


def lay_out(folder: Path, root: Path, count: int) -> int:
    """Links to the first files as two classes; hard links, because links are not followed."""
    files = sorted(folder.rglob("*.jpg"))[:count]
    for place, file in enumerate(files):
        target = root / ("nevus", "melanoma")[place % 2] / file.name
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link(file, target)
        except OSError:
            target.write_bytes(file.read_bytes())
    return len(files)


def ours(folder: Path, out: Path, side: int, processes: int) -> None:
    """The import job, catalogue included."""
    settings, database = open_studio(out)
    task = plan_task("folder", folder, side=side, processes=processes)
    job = run_here(
        settings,
        database,
        kind=KIND,
        payload=task.model_dump(mode="json"),
        title=import_title(task),
        total=0,
        show=lambda _: None,
    )
    database.close()
    if job.state is not JobState.DONE:
        sys.exit(job.error or f"the import is {job.state}")


def open_studio(folder: Path) -> tuple[Settings, Database]:
    """A workspace; making its tables the first time is no part of an import."""
    settings = Settings(workspace=folder)
    prepare_workspace(settings)
    return settings, open_database(settings)


def bare(folder: Path, out: Path, side: int, processes: int) -> None:
    """Pillow alone in a pool of processes."""
    files = sorted(folder.rglob("*.jpg"))
    with multiprocessing.get_context("spawn").Pool(processes) as pool:
        for _ in pool.imap(partial(_standardise, out, side), files, chunksize=32):
            pass


def loader(folder: Path, out: Path, side: int, processes: int) -> None:
    """`load_dataset("imagefolder")` and `map`, without its network and with a cache of its own."""
    os.environ["HF_HUB_OFFLINE"] = "1"
    from datasets import disable_progress_bars, load_dataset

    disable_progress_bars()
    cache = str(out / "cache")
    dataset = load_dataset("imagefolder", data_dir=str(folder), cache_dir=cache, split="train")
    dataset.map(
        partial(_map, out, side), with_indices=True, num_proc=processes, remove_columns=["image"]
    )


def timed(run: Callable[[], None]) -> float:
    """Seconds."""
    started = time.perf_counter()
    run()
    return time.perf_counter() - started


def table(figures: dict[str, Any]) -> str:
    """The figures as aligned text."""
    lines = [
        f"{figures['images']:,} images, {figures['processes']} processes, {figures['turns']} turns"
    ]
    for name, rate in figures["images_per_second"].items():
        lines.append(f"{name:<22} {rate:>8} images/s")
    lines.append(f"to bare Pillow {figures['to_bare_pillow']}, bar {BARE_BAR}")
    lines.append(f"to datasets    {figures['to_datasets']}, bar {LOADER_BAR}")
    return "\n".join(lines)


def _standardise(out: Path, side: int, file: Path) -> None:
    with Image.open(file) as image:
        _encode(image, out / file.name, side)


def _map(out: Path, side: int, example: dict[str, Any], index: int) -> dict[str, int]:
    _encode(example["image"], out / f"{index}.jpg", side)
    return {"index": index}


def _encode(image: Image.Image, file: Path, side: int) -> None:
    fitted = ImageOps.fit(image.convert("RGB"), (side, side), Image.Resampling.LANCZOS)
    fitted.save(file, "JPEG", quality=JPEG_QUALITY, subsampling=0)


if __name__ == "__main__":
    main()
