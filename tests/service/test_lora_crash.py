"""A run that is killed at random moments, also while it writes, ends as one that is left alone."""

import os
import subprocess
import sys
from pathlib import Path

from backend.finetuning.run_folder import RunFolder, read_metrics
from tests.service.training_runs import write_pairs

REPOSITORY = Path(__file__).parents[2]
KILLS = 20


def test_twenty_kills_change_no_bit(tmp_path: Path, tiny_flux: Path) -> None:
    pairs = write_pairs(tmp_path / "pairs")
    done = subprocess.run(
        [
            *(sys.executable, "-m", "tests.service.dying_trainer"),
            *(str(tmp_path / "workspace"), str(tiny_flux.parent), str(pairs)),
            *(str(KILLS), "1"),
        ],
        cwd=REPOSITORY,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split()[-1] == str(KILLS)
    whole, killed = (
        RunFolder(tmp_path / "workspace/training" / name) for name in ("whole", "killed")
    )
    ends = [max(run.checkpoints.iterdir()) for run in (whole, killed)]
    assert ends[0].name == ends[1].name == "step-00000150"
    for file in ("lora.safetensors", "ema.safetensors", "optimizer.safetensors"):
        assert (ends[0] / file).read_bytes() == (ends[1] / file).read_bytes(), file
    assert told(whole) == told(killed)
    resumed = [line for line in read_metrics(killed) if "Resumed" in str(line.get("text"))]
    assert len(resumed) >= 8
    assert len(list(killed.checkpoints.iterdir())) == 2


def told(run: RunFolder) -> list[tuple[str, int, float]]:
    """What the metrics say of each step, without times."""
    return [
        (line["kind"], line["step"], line["loss"]) for line in read_metrics(run) if "loss" in line
    ]
