"""The GPU benchmark of classifiers: its code with a small net on the CPU, no GPU in a sentence."""

import json
import sys
from collections.abc import Mapping

import pytest
import torch

from backend.evaluation.recipes import Recipe
from benchmarks import classifiers_gpu
from benchmarks.budget import Clock

TINY = Recipe(architecture="resnet10t", side=32)


def test_ours_and_timm_take_turns_and_a_recipe_that_fails_is_named() -> None:
    reported: list[int] = []

    def report(figures: Mapping[str, object]) -> None:
        json.dumps(figures)
        reported.append(len(figures["rows"]))  # type: ignore[arg-type]

    absent = TINY.model_copy(update={"architecture": "no_such_network"})
    figures = classifiers_gpu.measure([TINY, absent], [4], "cpu", report=report, turn=2)
    (row,) = figures["rows"]
    assert all(rate > 0 for rate in row["images_per_second"].values())
    rates = row["images_per_second"]
    assert row["times_timm"] == pytest.approx(rates["ours"] / rates["timm"])
    assert "no architecture 'no_such_network'" in figures["left_out"][0]["reason"]
    assert reported == [1, 1]
    assert len(classifiers_gpu.table(figures).splitlines()) == 4
    late = classifiers_gpu.measure([TINY], [4], "cpu", Clock(budget=0))
    assert late["left_out"][0]["reason"] == "no time left"


def test_both_loops_learn() -> None:
    recipe = TINY.model_copy(
        update={"batch_size": 8, "learning_rate": 1e-3, "precision": "bfloat16"}
    )
    torch.manual_seed(0)
    ours = classifiers_gpu.our_step(classifiers_gpu.build_classifier(recipe), recipe, "cpu")
    losses = [float(ours(4 * number)) for number in range(12)]  # type: ignore[arg-type]
    assert losses[-1] < losses[0]
    plain = classifiers_gpu.timm_step(
        classifiers_gpu.build_classifier(recipe), recipe, "cpu", "adamw", 1e-3
    )
    read = [plain(classifiers_gpu.LOG_INTERVAL * 4 * number) for number in range(12)]
    assert read[-1] < read[0]  # type: ignore[operator]


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_without_a_gpu_it_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["classifiers_gpu"])
    with pytest.raises(SystemExit, match="This benchmark needs an NVIDIA GPU"):
        classifiers_gpu.main()
    assert capsys.readouterr().out == ""
