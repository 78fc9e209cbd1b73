"""A grid is what its YAML says, or one sentence on what is wrong in it."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from backend.evaluation.errors import EvaluationError
from backend.evaluation.figures import Line, line_chart
from backend.evaluation.grid import (
    NO_GENERATOR,
    make_grid,
    planned_sizes,
    preset_names,
    read_grid,
)
from backend.evaluation.mixtures import draw_balanced, synthetic_count
from backend.evaluation.pools import Pool
from backend.evaluation.tables import latex, published_results, readable, table_2

START = "name: g\ntest: folder:/t\nreal: folder:/r\narchitectures: [resnet18]\n"


def test_the_presets_hold_the_protocol_of_the_paper() -> None:
    counts = {name: sum(1 for _ in planned_sizes(read_grid(name))) for name in preset_names()}
    assert counts["table-2"] == 2 * 2 * 2 * 5
    assert counts["figure-4"] == 2 * (4 * 5 + 2) * 5
    assert counts["whole-paper"] == 40 + 220 + 5
    for architecture in read_grid("whole-paper").architectures:
        recipe = architecture.recipe()
        assert (recipe.epochs, recipe.batch_size) == (40, 32)
    rates = [one.recipe().learning_rate for one in read_grid("table-2").architectures]
    assert rates == [1e-4, 2e-5]


def test_real_images_alone_are_trained_on_once_whatever_the_generators() -> None:
    grid = make_grid(
        {
            "name": "g",
            "test": "folder:/t",
            "real": "folder:/r",
            "generators": {"a": "gallery", "b": "folder:/b"},
            "architectures": ["resnet18"],
            "scenarios": [{"name": "s", "real": [10], "ratios": [0, 0.5]}],
            "seeds": [3],
        }
    )
    found = [(one.generator, one.real, one.synthetic) for one in planned_sizes(grid)]
    assert found == [(NO_GENERATOR, 10, 0), ("a", 10, 4), ("b", 10, 4)]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("name: [", "no YAML"),
        ("- 1", "does not describe a grid"),
        ("name: g", "`test` is missing"),
        (START, "nothing to do"),
        (START + "colour: red", "no field `colour`"),
        (START + "scenarios: [{name: s, real: [3]}]", "3 images cannot be half"),
        (START + "scenarios: [{name: s, ratios: [1]}]", "no real sizes"),
        (START + "scenarios: [{name: s}]", "trains on nothing"),
        (START + "scenarios: [{name: s, synthetic: [4]}]", "needs a generator"),
        (START + "scenarios: [{name: s, real: [4], ratios: [-1]}]", "between 0 and 1000"),
        (START + "scenarios: [{name: s, real: [4], generators: [x]}]", "names the generator 'x'"),
        (START + "scenarios: [{name: s, real: [4]}]\nseeds: [1, 1]", "different numbers"),
        (START + "scenarios: [{name: s, real: [4]}]\nvalidation: 0.9", "share of validation"),
        ("name: g\ntest: nowhere\nrule: true", "no set 'nowhere'"),
        ("name: g\ntest: gallery\nrule: true\nseeds: many", "`seeds`"),
        (
            "name: g\ntest: gallery\narchitectures: [{architecture: x, epochs: 0}]\nrule: true",
            "greater than or equal to 1",
        ),
    ],
)
def test_bad_yaml_gets_one_sentence(text: str, sentence: str, tmp_path: Path) -> None:
    path = tmp_path / "grid.yaml"
    path.write_text(text)
    with pytest.raises(EvaluationError) as caught:
        read_grid(path)
    assert sentence in str(caught.value)
    assert str(caught.value).startswith("grid.yaml")
    assert "\n" not in str(caught.value)


def test_a_grid_that_is_not_there_names_the_presets() -> None:
    with pytest.raises(EvaluationError, match="table-2"):
        read_grid("tabel-2")


def test_draws_are_balanced_and_grow() -> None:
    labels = tuple(int(value) for value in np.random.default_rng(0).random(200) < 0.3)
    pool = Pool(Path(), 32, "", tuple(map(str, range(200))), labels)
    small, large = draw_balanced(pool, 20, 1), draw_balanced(pool, 60, 1)
    assert set(small) < set(large)
    assert sum(labels[index] for index in large) == 30
    assert draw_balanced(pool, 20, 2) != small
    assert draw_balanced(pool, 20, 1) == small
    assert synthetic_count(2500, 1.75) in (4374, 4376)
    with pytest.raises(EvaluationError, match="malignant"):
        draw_balanced(pool, 200, 1)


def test_tables_hold_the_mean_of_the_runs_with_its_interval() -> None:
    accuracies = [0.70, 0.72, 0.71, 0.69, 0.73]
    results = pd.DataFrame(
        {
            "shows": [("table-2",)] * 5,
            "architecture": "ViT",
            "scenario": "(i)",
            "generator": "DermaFlux",
            "run": list("abcde"),
            "accuracy": accuracies,
            "roc_auc": 0.8,
        }
    )
    (row,) = table_2(results).to_dict("records")
    half = 2.7764451 * np.std(accuracies, ddof=1) / 5**0.5
    assert row["accuracy"] == pytest.approx(0.71)
    assert row["accuracy_high"] - 0.71 == pytest.approx(half, abs=1e-6)
    assert readable(table_2(results))["accuracy"][0] == "0.7100 (0.6904 to 0.7296)"
    assert readable(table_2(results[:1]))["accuracy"][0] == "0.7000"


def test_published_numbers_are_those_of_the_paper() -> None:
    published = published_results()
    assert published["published"] is True
    vit = [row for row in published["table_2"] if row["architecture"] == "ViT"]
    assert [row["accuracy"] for row in vit] == [0.6795, 0.7698, 0.7091, 0.7438]
    assert max(row["accuracy"] for row in published["table_3"]) == 0.7804


def test_figures_and_tables_escape_what_names_may_hold() -> None:
    chart = line_chart("<t>", [Line("a & b", [0, 1], [0, 1])], x_label="x", y_label="y")
    assert "&lt;t&gt;" in chart
    assert "a &amp; b" in chart
    assert r"50\% \& a\_b" in latex(pd.DataFrame({"name": ["50% & a_b"]}))
