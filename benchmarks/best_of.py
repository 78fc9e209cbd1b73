"""What choosing the best of several candidates by measured ABC gains in adherence.

    python -m benchmarks.best_of [--count 200] [--best-of 4] [--model starter] [--json]

Two sets of two balanced classes are built by the real builder from the same captions and the same
noise: one takes the first candidate that fits the rules, the other the best of --best-of. Every
image is then measured anew from its file. Prints the adherence of both, and the difference with a
95 % interval of a bootstrap in which the two images of a caption are drawn together. With
--workspace the builds are kept there, and one that was killed goes on.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import fmean
from typing import Any

from backend.abc.adherence import (
    Pair,
    bootstrap_gains,
    mean_interval,
    score_attributes,
)
from backend.abc.agreement import agreement
from backend.abc.measure import measure
from backend.generation.building.ledger import Ledger, build_counts
from backend.generation.building.running import KIND, build_names, prepare_build, submit_build
from backend.generation.building.task import Place, kept_table, make_task, places
from backend.generation.design.design import make_design
from backend.generation.design.table import CaptionTable, write_table
from backend.generation.gallery import get_image
from backend.generation.models import usable_model
from backend.images import read_image
from backend.jobs.processes import this_process
from backend.jobs.queue import claim_next, get_job, list_jobs, retry
from backend.jobs.reconcile import reconcile
from backend.jobs.states import JobState
from backend.jobs.worker import Worker
from backend.settings import Settings, load_settings, prepare_workspace
from backend.store.database import Database, open_database

RESAMPLES = 2_000
PLAIN, BEST = "plain", "best"
Measured = Mapping[int, Pair]
"""Requested and measured attributes by the place in the set."""


def main() -> None:
    """Build, measure and print; ends with 1 where nothing was gained."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--count", type=int, default=200, help="images of each set, two classes")
    parser.add_argument("--best-of", type=int, default=4)
    parser.add_argument("--model", default="starter")
    parser.add_argument("--steps", type=int, help="the model's own if unset")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workspace", type=Path, help="kept, and gone on with")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    here = load_settings()
    with tempfile.TemporaryDirectory(prefix="dermaflux-benchmark-") as folder:
        settings = here.model_copy(
            update={
                "workspace": options.workspace or Path(folder),
                "database_url": None,
                "model_folders": (here.models_dir, *here.model_folders),
            }
        )
        figures = run(
            settings,
            model=options.model,
            count=options.count,
            best_of=options.best_of,
            steps=options.steps,
            seed=options.seed,
        )
    print(json.dumps(figures, indent=2) if options.json else table(figures))
    sys.exit(figures["agreement"]["interval"]["low"] <= 0)


def run(
    settings: Settings, *, model: str, count: int, best_of: int, steps: int | None, seed: int
) -> dict[str, Any]:
    """Build both sets in the workspace, and compare them."""
    prepare_workspace(settings)
    database = open_database(settings)
    try:
        entry = usable_model(settings, model)
        captions = design(count, seed)
        values: dict[str, object] = {
            "per_class": count // 2,
            "seed": seed,
            "model": model,
            "steps": steps or entry.steps,
            "guidance_scale": entry.guidance_scale,
            "width": entry.sizes[0],
            "height": entry.sizes[0],
        }
        sets = {
            name: build(
                settings,
                database,
                captions,
                {"name": f"{name} of {candidates}", **values} | {"best_of": candidates},
            )
            for name, candidates in ((PLAIN, 1), (BEST, best_of))
        }
        figures = compare(*(measured(settings, database, job_id) for job_id in sets.values()))
        made = {name: _candidates(database, job_id) for name, job_id in sets.items()}
    finally:
        database.close()
    asked = {key: values[key] for key in ("model", "steps", "width", "seed")}
    return {**asked, "count": count, "best_of": best_of, "candidates": made, **figures}


def design(count: int, seed: int) -> CaptionTable:
    """As many captions as images, half of each label, that state all that can be measured."""
    return write_table(
        make_design(
            {
                "vary": {
                    "label": ["benign", "malignant"],
                    "asymmetry": ["symmetric", "one_axis", "two_axes"],
                    "border": ["regular", "irregular"],
                },
                "drawn": ["colours", "skin_tone"],
                "plan": "hypercube",
                "count": count,
                "seed": seed,
            }
        )
    )


def build(
    settings: Settings, database: Database, captions: CaptionTable, values: dict[str, object]
) -> str:
    """The id of the job that built the set: now, or before, or gone on with.

    A class that cannot be filled ends the build; what it has is compared.
    """
    reconcile(database, settings)
    job_id = build_names(database).get(str(values["name"]))
    if job_id is None:
        task = prepare_build(database, settings, captions, values)
        job_id = submit_build(database, settings, task)
    elif get_job(database, job_id).state.can_retry:
        retry(database, job_id)
    worker = Worker(settings, database)
    while list_jobs(database, states=(JobState.QUEUED,), kinds=(KIND,)):
        claimed = claim_next(database, this_process())
        if claimed is not None:
            worker.run_job(claimed)
    job = get_job(database, job_id)
    if not Ledger(database, job_id).kept():
        sys.exit(job.error or f"The build {job.title} is {job.state} and has no image.")
    return job_id


def measured(settings: Settings, database: Database, job_id: str) -> dict[int, Pair]:
    """What the images of a set show, read from their files."""
    task = make_task(get_job(database, job_id).payload)
    spots: Sequence[Place] = places(task, kept_table(settings, task))
    found = {}
    for one in Ledger(database, job_id).kept():
        file = get_image(database, settings, str(one.image_id)).path
        found[one.position] = (
            spots[one.position].row.attributes,
            measure(read_image(file)).attributes,
        )
    return found


def compare(plain: Measured, best: Measured) -> dict[str, Any]:
    """Scores of both sets, and what is gained, over the captions that have an image in both."""
    both = sorted(plain.keys() & best.keys())
    before, after = ([one[place] for place in both] for one in (plain, best))
    old, new = score_attributes(before), score_attributes(after)
    gains = bootstrap_gains(before, after, resamples=RESAMPLES)
    agreed = [[agreement(*pair) for pair in pairs] for pairs in (before, after)]
    differences = [second - first for first, second in zip(*agreed, strict=True)]
    return {
        "compared": len(both),
        "agreement": {
            PLAIN: fmean(agreed[0]),
            BEST: fmean(agreed[1]),
            "gain": fmean(differences),
            "interval": asdict(mean_interval(differences, resamples=RESAMPLES)),
        },
        "scores": {
            name: {
                PLAIN: old[name],
                BEST: new[name],
                "gain": new[name] - old[name],
                "interval": asdict(gains[name]),
            }
            for name in old
        },
    }


def table(figures: Mapping[str, Any]) -> str:
    """The figures as aligned text."""
    best = f"best of {figures['best_of']}"
    lines = [
        (
            f"{figures['compared']} of {figures['count']} captions, {figures['model']}, "
            f"{figures['width']} px, {figures['steps']} steps; candidates: "
            f"{figures['candidates'][PLAIN]:,} and {figures['candidates'][BEST]:,}"
        ),
        f"{'':<12}{PLAIN:>10}{best:>12}{'gain':>9}  95 % interval",
    ]
    rows = {**figures["scores"], "agreement": figures["agreement"]}
    for name, row in rows.items():
        low, high = row["interval"]["low"], row["interval"]["high"]
        lines.append(
            f"{name.replace('_', ' '):<12}{row[PLAIN]:>10.3f}{row[BEST]:>12.3f}"
            f"{row['gain']:>+9.3f}  {low:+.3f} to {high:+.3f}"
        )
    return "\n".join(lines)


def _candidates(database: Database, job_id: str) -> int:
    return sum(counts.made for counts in build_counts(database, job_id).values())


if __name__ == "__main__":
    main()
