"""Two processes learn what one process learns from batches twice as large."""

from pathlib import Path

import pytest
from safetensors.torch import load_file

from backend.finetuning.run_folder import Phase, RunFolder, read_metrics, read_status
from tests.service.training_runs import (
    a_run,
    run_program,
    tiny_config,
    training_settings,
    write_pairs,
)
from training.lora.program import train


def test_two_processes_learn_as_one_with_twice_the_batch(tmp_path: Path, tiny_flux: Path) -> None:
    sizes = [(64, 64)] * 7 + [(96, 64)] * 3
    pairs = write_pairs(tmp_path / "pairs", sizes)
    settings = training_settings(tmp_path / "workspace", tiny_flux.parent)
    config = tiny_config(pairs, steps=6, ema_decay=0.9, resolutions=(64, 80), accumulate=2)
    one = a_run(settings, "one", config.model_copy(update={"batch": 4}))
    two = a_run(settings, "two", config.model_copy(update={"processes": 2, "sample_every": 6}))
    assert train(settings, one) is Phase.DONE
    run_program(
        settings,
        two,
        *("-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes", "2"),
        *("--num_machines", "1", "--mixed_precision", "no", "--num_cpu_threads_per_process", "1"),
    )
    for kind in ("step", "validation"):
        assert losses(two, kind) == pytest.approx(losses(one, kind), rel=1e-5)
    ours, theirs = (
        load_file(run.checkpoints / "step-00000006" / "lora.safetensors") for run in (two, one)
    )
    for key, value in ours.items():
        assert (value - theirs[key]).abs().max() < 1e-4, key
    (sampled,) = [line for line in read_metrics(two) if line["kind"] == "samples"][1:]
    assert [image["file"][-6:] for image in sampled["images"]] == [
        "00.png",
        "01.png",
        "02.png",
        "03.png",
    ]
    status = read_status(two)
    assert status is not None
    assert status.phase is Phase.DONE


def losses(run: RunFolder, kind: str) -> list[float]:
    """In the order of the steps."""
    return [line["loss"] for line in read_metrics(run) if line["kind"] == kind]
