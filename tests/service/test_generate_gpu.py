"""The GPU benchmark: its code with a tiny model on the CPU, its refusal without a GPU."""

import json
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from backend.generation.profile import Profile
from backend.generation.speed.plans import EXACT, Plan
from benchmarks import generate_gpu
from benchmarks.budget import Clock

TRANSFORMER = {
    **generate_gpu.TRANSFORMER,
    "num_layers": 1,
    "num_single_layers": 2,
    "attention_head_dim": 16,
    "num_attention_heads": 2,
    "joint_attention_dim": 32,
    "pooled_projection_dim": 32,
    "axes_dims_rope": (4, 6, 6),
}
VAE = {
    **generate_gpu.VAE,
    "block_out_channels": (8, 8, 16, 16),
    "norm_num_groups": 4,
    "layers_per_block": 1,
}


def test_every_variant_is_measured_against_plain_and_exact(tmp_path: Path) -> None:
    bench = generate_gpu.prepare(tmp_path, TRANSFORMER, VAE, steps=2, repeats=1, device="cpu")
    plans = {
        "exact": EXACT,
        "fast": Plan(Profile.FAST, lean=True),
        "fast, cache and fp8": Plan(Profile.FAST, cache_threshold=0.1, float8=True, lean=True),
    }
    figures = generate_gpu.measure(bench, plans, sizes=[64], lengths=[16, 8])
    rows = {(row["variant"], row["text_length"]): row for row in figures["rows"]}
    assert len(rows) == 4 * 2
    for length in (16, 8):
        assert rows["plain", length]["times_plain"] == 1
        assert rows["exact", length]["error"] == 0
        assert rows["plain", length]["error"] < 1e-4
        assert rows["fast", length]["error"] < 1e-3
        assert rows["fast", length]["error"] < rows["fast, cache and fp8", length]["error"] < 0.5
    assert all(row["seconds"] > 0 and row["peak_bytes"] is None for row in figures["rows"])
    assert figures["left_out"] == []
    assert len(generate_gpu.table(figures).splitlines()) == 2 + 8


def test_rows_that_fail_or_come_too_late_are_named_and_the_others_stay(tmp_path: Path) -> None:
    bench = generate_gpu.prepare(tmp_path, TRANSFORMER, VAE, steps=2, repeats=1, device="cpu")
    plans = {
        "exact": EXACT,
        "flash": Plan(Profile.FAST, attention="flash", lean=True),
        "absent": Plan(Profile.FAST, offload="nowhere", attention="none", lean=True),  # type: ignore[arg-type]
    }
    reported: list[int] = []

    def report(figures: Mapping[str, object]) -> None:
        json.dumps(figures)
        reported.append(len(figures["rows"]))  # type: ignore[arg-type]

    figures = generate_gpu.measure(bench, plans, [64], [8], report=report)
    assert [row["variant"] for row in figures["rows"]][:2] == ["plain", "exact"]
    assert "absent" in {row["variant"] for row in figures["left_out"]}
    assert all(row["reason"] for row in figures["left_out"])
    assert len(reported) == 4
    late = generate_gpu.measure(bench, plans, [64], [8], Clock(budget=0))
    assert (late["rows"], len(late["left_out"])) == ([], 4)
    assert "no time left" in generate_gpu.table(late)


def test_weights_are_written_as_safetensors_reads_them(tmp_path: Path) -> None:
    import torch
    from safetensors.torch import load_file

    tensors = {"a": torch.randn(3, 5).bfloat16(), "b": torch.randn(7).bfloat16()}
    generate_gpu.write_weights(tmp_path / "w.safetensors", tensors)
    read = load_file(tmp_path / "w.safetensors")
    assert read.keys() == tensors.keys()
    assert all(torch.equal(read[name], tensor) for name, tensor in tensors.items())


def test_without_a_gpu_it_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip("there is a GPU here")
    monkeypatch.setattr(sys, "argv", ["generate_gpu"])
    with pytest.raises(SystemExit, match="This benchmark needs an NVIDIA GPU"):
        generate_gpu.main()
    assert capsys.readouterr().out == ""
