"""The paper's tables and figures as tables of numbers, from predictions alone.

Every figure is the mean over the runs of a classifier with Student's 95 % interval; where there is
one run, there is no interval. The paper's own numbers stand beside them, marked as
published.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score, roc_curve

from backend.evaluation.errors import EvaluationError
from backend.evaluation.estimates import Estimate, over_runs
from backend.evaluation.planning import PlannedCell, generator_words
from backend.settings import REPOSITORY

PUBLISHED = REPOSITORY / "assets" / "published_results.json"
THRESHOLD = 0.5
"""The paper's classifiers answer with the class of the larger logit."""
METRICS = ("accuracy", "roc_auc")
CELL_COLUMNS = ("architecture", "generator", "real", "synthetic", "ratio")
FALSE_POSITIVE_RATES = np.linspace(0, 1, 201)


def run_results(predictions: pd.DataFrame, cells: Sequence[PlannedCell]) -> pd.DataFrame:
    """One row a cell of the experiment: where it stands, accuracy and ROC-AUC on the test images.

    Raises:
        EvaluationError: a cell has no predictions, or the test images have one label.
    """
    test = predictions[predictions["split"] == "test"]
    scored = {
        str(run): (rows["y_true"].to_numpy(int), rows["score"].to_numpy(float))
        for run, rows in test.groupby("run", observed=True)
    }
    rows = []
    for cell in cells:
        if cell.folder.name not in scored:
            raise EvaluationError(f"{cell.model} has no predictions: run the experiment once more.")
        truth, score = scored[cell.folder.name]
        rows.append(
            {
                **{name: value for name, value in asdict(cell).items() if name != "folder"},
                "ratio": cell.ratio,
                "generator": generator_words(cell.generator),
                "run": cell.folder.name,
                **metrics_of(truth, score),
            }
        )
    return pd.DataFrame(rows)


def metrics_of(truth: NDArray[np.int64], score: NDArray[np.float64]) -> dict[str, float]:
    """Accuracy at 0.5 and the area under the ROC curve.

    Raises:
        EvaluationError: only one label is there.
    """
    if len(set(truth.tolist())) < 2:
        raise EvaluationError("The test images are all of one label: add some of the other.")
    accuracy = float(((score >= THRESHOLD) == truth).mean())
    return {"accuracy": accuracy, "roc_auc": float(roc_auc_score(truth, score))}


def table_2(results: pd.DataFrame) -> pd.DataFrame:
    """Accuracy by architecture, scenario and generator, as in Table 2."""
    return _grouped(_shown(results, "table-2"), ["architecture", "scenario", "generator"])


def figure_4(results: pd.DataFrame) -> pd.DataFrame:
    """Accuracy and ROC-AUC over the ratio 1:x, by architecture, generator and real size.

    Runs on real images alone belong to every generator; 0:1 has no real images and no ratio.
    """
    shown = _shown(results, "figure-4")
    return _grouped(shown, ["architecture", "generator", "real", "synthetic", "ratio"])


def table_3(
    results: pd.DataFrame, predictions: pd.DataFrame, scorers: Sequence[str]
) -> pd.DataFrame:
    """Scorers that nobody trained, then the classifiers, as in Table 3."""
    test = predictions[predictions["split"] == "test"]
    rows: list[dict[str, object]] = []
    for model in scorers:
        of_model = test[test["model"] == model]
        found = metrics_of(of_model["y_true"].to_numpy(int), of_model["score"].to_numpy(float))
        rows.append({"model": model, "runs": 1, **_columns(found)})
    own = _grouped(_shown(results, "table-3-figure-5"), ["model"])
    return pd.concat([pd.DataFrame(rows), own], ignore_index=True)


def figure_5(predictions: pd.DataFrame, models: Sequence[str]) -> pd.DataFrame:
    """ROC curves on a grid of false positive rates, averaged over the runs of each model."""
    test = predictions[predictions["split"] == "test"]
    parts = []
    for model in models:
        curves = []
        for _, rows in test[test["model"] == model].groupby("run", observed=True):
            false, true, _ = roc_curve(rows["y_true"], rows["score"], drop_intermediate=False)
            curves.append(np.interp(FALSE_POSITIVE_RATES, false, true))
        mean = np.mean(curves, axis=0)
        mean[0] = 0.0
        values = {
            "model": model,
            "false_positive_rate": FALSE_POSITIVE_RATES,
            "true_positive_rate": mean,
        }
        parts.append(pd.DataFrame(values))
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()


def published_results() -> dict[str, Any]:
    """The paper's numbers: `table_2`, `table_3`, `figure_4` and what its text says of Figure 5."""
    values: dict[str, Any] = json.loads(PUBLISHED.read_text("utf-8"))
    return values


def markdown(table: pd.DataFrame) -> str:
    """A table for a text file."""
    cells = [list(table.columns), ["---"] * len(table.columns)]
    cells += [[_word(value) for value in row] for row in table.itertuples(index=False)]
    return "\n".join(f"| {' | '.join(row)} |" for row in cells) + "\n"


def latex(table: pd.DataFrame) -> str:
    """A table for a manuscript, in the rules of booktabs."""
    rows = [
        " & ".join(_escaped(_word(value)) for value in row) for row in table.itertuples(index=False)
    ]
    header = " & ".join(_escaped(str(name)) for name in table.columns)
    body = " \\\\\n".join(rows)
    columns = "l" * len(table.columns)
    return (
        f"\\begin{{tabular}}{{{columns}}}\n\\toprule\n{header} \\\\\n\\midrule\n{body} \\\\\n"
        "\\bottomrule\n\\end{tabular}\n"
    )


def readable(table: pd.DataFrame) -> pd.DataFrame:
    """The same with each mean and its interval in one cell."""
    shown = table.copy()
    for metric in METRICS:
        if metric in table:
            columns = [table[name] for name in (metric, f"{metric}_low", f"{metric}_high")]
            shown[metric] = [_with_interval(*row) for row in zip(*columns, strict=True)]
            shown = shown.drop(columns=[f"{metric}_low", f"{metric}_high"])
    return shown


def _shown(results: pd.DataFrame, what: str) -> pd.DataFrame:
    if results.empty:
        return results
    return results[[what in shows for shows in results["shows"]]]


def _grouped(results: pd.DataFrame, by: list[str]) -> pd.DataFrame:
    rows = []
    if not results.empty:
        for key, group in results.groupby(by, sort=False, dropna=False):
            runs = group.drop_duplicates("run")
            means = {metric: over_runs(runs[metric].to_numpy(float)) for metric in METRICS}
            values: dict[str, object] = dict(zip(by, key, strict=True))
            rows.append({**values, "runs": len(runs), **_columns(means)})
    return pd.DataFrame(rows)


def _columns(found: Mapping[str, Estimate | float]) -> dict[str, float | None]:
    columns: dict[str, float | None] = {}
    for metric, value in found.items():
        mean = value if isinstance(value, Estimate) else Estimate(value)
        columns |= {metric: mean.value, f"{metric}_low": mean.low, f"{metric}_high": mean.high}
    return columns


def _with_interval(mean: float, low: float | None, high: float | None) -> str:
    if low is None or high is None or math.isnan(low):
        return f"{mean:.4f}"
    return f"{mean:.4f} ({low:.4f} to {high:.4f})"


def _word(value: object) -> str:
    if isinstance(value, float):
        return "" if math.isnan(value) else f"{value:g}"
    return str(value)


def _escaped(text: str) -> str:
    return (
        text.replace("\\", r"\textbackslash{}")
        .replace("&", r"\&")
        .replace("%", r"\%")
        .replace("_", r"\_")
    )
