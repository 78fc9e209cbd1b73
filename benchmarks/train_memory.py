"""The estimate of a training run's memory beside the measured peak, on this machine.

    python -m benchmarks.train_memory [--batches 4 16 24] [--preset starter-cpu]
        [--targets all-linear-layers] [--json]

Each batch is a run of its own in a new process: `python -m training.lora --run FOLDER` for a few
steps on noise images at 128 px with one caption each, no validation and no samples. The peak
is what the program writes into status.json: resident memory of the process on a CPU; what torch
allocated on a GPU, whose own context is then left out of the estimate. Printed: estimate, peak,
estimate / peak. On cores that others use too, DERMAFLUX_THREADS=1 keeps threads from waiting for
each other. Two slow cores, the starter: .99, .99 and 1.00 at batches 4, 20 and 48, and 1.01, 1.05
and 1.05 with checkpointing.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from backend.finetuning.config import Targets
from backend.finetuning.estimate import GPU_CONTEXT
from backend.finetuning.plan import read_plan
from backend.finetuning.planning import make_run
from backend.finetuning.presets import configure
from backend.finetuning.run_folder import RunFolder, read_status
from backend.images import write_image
from backend.settings import Settings, prepare_workspace
from backend.store.database import open_database

IMAGES, SIDE, STEPS = 96, 128, 4
CAPTION = "A symmetric lesion with a regular border and a uniform light brown colour."


@dataclass(frozen=True)
class Row:
    """Bytes, and images a step."""

    batch: int
    checkpointing: str
    estimate: int
    peak: int

    @property
    def ratio(self) -> float:
        """Estimate over peak."""
        return self.estimate / self.peak


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--batches", type=int, nargs="+", default=[4, 16, 24])
    parser.add_argument("--preset", default="starter-cpu")
    parser.add_argument("--base")
    parser.add_argument("--targets", choices=list(Targets))
    parser.add_argument("--checkpointing", nargs="+", default=["off"])
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        rows = [
            measure(Path(folder), asked.preset, batch, checkpointing, asked.base, asked.targets)
            for batch in asked.batches
            for checkpointing in asked.checkpointing
        ]
    if asked.json:
        print(json.dumps([asdict(row) | {"ratio": row.ratio} for row in rows], indent=1))
        return
    print(f"{'batch':>5}  {'checkpointing':<13}  {'estimate':>10}  {'peak':>10}  ratio")
    for row in rows:
        print(
            f"{row.batch:>5}  {row.checkpointing:<13}  {row.estimate / 1e6:>7,.0f} MB  "
            f"{row.peak / 1e6:>7,.0f} MB  {row.ratio:.2f}"
        )


def measure(
    folder: Path,
    preset: str,
    batch: int,
    checkpointing: str,
    base: str | None = None,
    targets: Targets | None = None,
) -> Row:
    """Plan a run, do it in a process of its own, and compare."""
    settings = Settings(workspace=folder / "workspace")
    prepare_workspace(settings)
    pairs = folder / "pairs"
    if not pairs.is_dir():
        write_pairs(pairs)
    config = configure(
        preset,
        {
            "title": f"memory {batch} {checkpointing}",
            "data": {"folder": str(pairs), "validation_share": 0},
            "batch": batch,
            "checkpointing": checkpointing,
            "steps": STEPS,
            "warmup": 0,
            "sample_every": 0,
            "checkpoint_every": STEPS,
        }
        | ({"base": base} if base else {})
        | ({"lora": {"targets": targets}} if targets else {}),
    )
    database = open_database(settings)
    try:
        run = make_run(database, settings, config)
    finally:
        database.close()
    peak = _peak_of(settings, run)
    counted = [item for item in read_plan(run).estimate.memory if item.what != GPU_CONTEXT]
    return Row(batch, checkpointing, sum(item.bytes for item in counted), peak)


def write_pairs(folder: Path) -> None:
    """Noise images with one caption each, as an export lays them out."""
    folder.mkdir()
    generator = np.random.default_rng(0)
    lines = []
    for number in range(IMAGES):
        name = f"{number:03d}.png"
        pixels = generator.integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
        write_image(folder / name, pixels)
        caption = f"{CAPTION} It measures {number / 10:.1f} mm."
        lines.append(json.dumps({"file_name": name, "text": caption}))
    (folder / "metadata.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")


def _peak_of(settings: Settings, run: RunFolder) -> int:
    """What the program says of itself; on a CPU no less than the system counted for it."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    subprocess.run(
        [sys.executable, "-m", "training.lora", "--run", str(run.path)],
        env=os.environ | settings.environment(),
        check=True,
        stdout=subprocess.DEVNULL,
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    status = read_status(run)
    told = status.peak_memory or 0 if status else 0
    return told or max(before, after) * 1024


if __name__ == "__main__":
    main()
