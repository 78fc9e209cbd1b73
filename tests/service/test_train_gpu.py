"""The GPU benchmark of training: its code with a tiny transformer on the CPU, its refusal without a
GPU."""

import json
import math
import sys
import time
from pathlib import Path

import pytest
import torch

from benchmarks import train_gpu
from benchmarks.train_gpu import Bench, Plan

CPU = torch.device("cpu")
TRANSFORMER = {
    **train_gpu.FLUX_1,
    "num_layers": 1,
    "num_single_layers": 2,
    "attention_head_dim": 16,
    "num_attention_heads": 2,
    "joint_attention_dim": 32,
    "pooled_projection_dim": 32,
    "axes_dims_rope": (4, 6, 6),
}


@pytest.fixture(scope="module")
def bench() -> Bench:
    return train_gpu.build(TRANSFORMER, CPU, rank=4, peak=1e12)


def test_every_row_has_ours_beside_plain_and_is_written(bench: Bench, tmp_path: Path) -> None:
    out = tmp_path / "rows.json"
    plans = [Plan(32, 2, 16), Plan(64, 1, 8), Plan(32, 1, 8, beside_plain=False)]
    figures = train_gpu.measure(bench, plans, time.perf_counter() + 600, out)
    rows = figures["rows"]
    assert json.loads(out.read_text())["rows"] == rows
    assert [row["side"] for row in rows] == [32, 64, 32]
    for row in rows:
        assert "skipped" not in row
        assert row["images_per_second"] > 0
        assert math.isfinite(row["loss"])
        assert 0 < row["share_of_roofline"] < 1
        assert row["estimate_bytes"] > 0
        assert not row["checkpointing"]
    assert all(row["times_plain"] > 0 for row in rows[:2])
    assert rows[2]["plain_images_per_second"] is None


def test_operations_are_those_that_torch_counts() -> None:
    wide = {**TRANSFORMER, "attention_head_dim": 64, "num_attention_heads": 4}
    wide |= {"axes_dims_rope": (16, 24, 24), "num_layers": 2, "num_single_layers": 4}
    row = train_gpu.measure_row(
        train_gpu.build(wide, CPU, rank=4, peak=1e12), Plan(128, 1, 64, beside_plain=False)
    )
    assert row["flops_counted"] == pytest.approx(row["flops_a_step"], rel=0.2)


def test_what_does_not_fit_is_computed_twice_and_plain_left_out(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    step = train_gpu.Stepper.step

    def full(self: train_gpu.Stepper, *given: object) -> None:
        if not bench.denoiser.is_gradient_checkpointing:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        step(self, *given)  # type: ignore[arg-type]

    monkeypatch.setattr(train_gpu.Stepper, "step", full)
    row = train_gpu.measure_row(bench, Plan(32, 1, 8))
    assert row["checkpointing"]
    assert row["plain_images_per_second"] is None
    assert row["images_per_second"] > 0


def test_a_plain_loop_that_fails_leaves_ours_standing(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_given: object) -> float:
        raise torch.OutOfMemoryError("CUDA out of memory.")

    monkeypatch.setattr(train_gpu.PlainLoop, "step", full)
    row = train_gpu.measure_row(bench, Plan(32, 1, 8))
    assert row["plain_problem"] == "CUDA out of memory."
    assert row["images_per_second"] > 0


def test_a_row_without_time_or_with_an_error_is_named(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    late = train_gpu.measure(bench, [Plan(32, 1, 8)], time.perf_counter())
    assert late["rows"][0]["skipped"] == "no time left"

    def broken(*_given: object) -> None:
        raise RuntimeError("no kernel image\nand more")

    monkeypatch.setattr(train_gpu.Stepper, "step", broken)
    row = train_gpu.measure_row(bench, Plan(32, 1, 8))
    assert row == {"skipped": "RuntimeError: no kernel image"}
    assert "skipped: no time left" in capsys.readouterr().out


def test_without_a_gpu_it_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    if torch.cuda.is_available():
        pytest.skip("there is a GPU here")
    monkeypatch.setattr(sys, "argv", ["train_gpu"])
    with pytest.raises(SystemExit, match="This benchmark needs an NVIDIA GPU"):
        train_gpu.main()
    assert capsys.readouterr().out == ""
