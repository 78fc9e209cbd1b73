"""Tables of an evaluation: numbers for programs, and words for people and manuscripts."""

import math
from collections.abc import Iterator

import pandas as pd

from backend.evaluation.comparisons import Comparison
from backend.evaluation.estimates import Estimate
from backend.evaluation.evaluation import Evaluation, ModelFigures, RunFigures
from backend.evaluation.metrics import RATES
from backend.evaluation.operating_points import Wanted
from backend.evaluation.thresholds import PER
from backend.evaluation.wording import p_words, said

FIGURES = ("auc", "average_precision", "brier", "expected_error")
WORDS = {
    "model": "Model",
    "runs": "Runs",
    "images": "Images",
    "malignant": "Malignant",
    "auc": "ROC-AUC",
    "average_precision": "PR-AUC",
    "brier": "Brier score",
    "expected_error": "ECE",
    "point": "Operating point",
    "threshold": "Threshold",
    "chosen_on": "Chosen on",
    "accuracy": "Accuracy",
    "balanced_accuracy": "Balanced accuracy",
    "sensitivity": "Sensitivity",
    "specificity": "Specificity",
    "ppv": "PPV",
    "npv": "NPV",
    "missed_per_1000": "Missed of 1,000 malignant",
}


def model_table(found: Evaluation) -> pd.DataFrame:
    """One row a model: means over its runs with intervals, in columns `_low` and `_high`."""
    rows = []
    for model in found.models:
        run = max(model.runs, key=lambda one: one.images)
        means = {mean.figure: mean.estimate for mean in model.means if not mean.point}
        row: dict[str, object] = {
            "model": model.model,
            "runs": len(model.runs),
            "images": run.images,
            "malignant": run.malignant,
        }
        for figure in FIGURES:
            row |= _columns(figure, means[figure])
        rows.append(row)
    return pd.DataFrame(rows)


def point_table(found: Evaluation) -> pd.DataFrame:
    """One row a model and operating point."""
    rows = [row for model in found.models for row in _points(model, found.options.wanted)]
    return pd.DataFrame(rows)


def confusion_table(found: Evaluation) -> pd.DataFrame:
    """One row a run and operating point: the four cells."""
    rows = []
    for run in _runs(found):
        for one in run.points:
            wanted = Wanted(one.point.rule, one.point.target)
            cells = one.confusion
            rows.append(
                {
                    "model": run.model,
                    "run": run.run,
                    "seed": run.seed,
                    "point": wanted.words,
                    "threshold": one.point.threshold,
                    "chosen_on": one.point.chosen_on.value if one.point.chosen_on else "beforehand",
                    "true_positives": cells.true_positives,
                    "false_negatives": cells.false_negatives,
                    "false_positives": cells.false_positives,
                    "true_negatives": cells.true_negatives,
                }
            )
    return pd.DataFrame(rows)


def comparison_table(found: Evaluation) -> pd.DataFrame:
    """One row a pair of models that scored the same images."""
    return pd.DataFrame([_comparison(one) for one in found.comparisons])


def subgroup_table(found: Evaluation) -> pd.DataFrame:
    """One row a model and group: means over runs."""
    rows = []
    for model in found.models:
        for group in model.subgroups:
            row: dict[str, object] = {
                "model": model.model,
                "group": group.fact.replace("_", " "),
                "value": group.value,
                "images": group.images,
                "malignant": group.malignant,
                "small": group.small,
            }
            for figure in ("auc", "sensitivity", "specificity"):
                row |= _columns(figure, getattr(group, figure))
            rows.append(row)
    return pd.DataFrame(rows)


def in_words(table: pd.DataFrame) -> pd.DataFrame:
    """The same for people: a figure and its interval in one cell, headings in words."""
    shown: dict[str, list[str]] = {}
    for column in table.columns:
        name = str(column)
        if name.endswith(("_low", "_high", "_method")):
            continue
        values = table[column].tolist()
        if f"{name}_low" in table.columns:
            ends = zip(values, table[f"{name}_low"], table[f"{name}_high"], strict=True)
            shown[_heading(name)] = [
                said(Estimate(_known(value), _known(low), _known(high)))
                for value, low, high in ends
            ]
        else:
            shown[_heading(name)] = [_cell(name, value) for value in values]
    return pd.DataFrame(shown)


def _heading(name: str) -> str:
    return WORDS.get(name, name.replace("_", " ").capitalize())


def _cell(name: str, value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else ""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "-"
    if name.endswith("_p"):
        return p_words(float(str(value)))
    if isinstance(value, float):
        return f"{value:,.0f}" if value.is_integer() and name != "threshold" else f"{value:.3f}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def _known(value: object) -> float | None:
    if value is None:
        return None
    number = float(str(value))
    return None if math.isnan(number) else number


def _columns(name: str, estimate: Estimate) -> dict[str, object]:
    return {
        name: estimate.value,
        f"{name}_low": estimate.low,
        f"{name}_high": estimate.high,
        f"{name}_method": estimate.method.value,
    }


def _runs(found: Evaluation) -> Iterator[RunFigures]:
    for model in found.models:
        yield from model.runs


def _points(model: ModelFigures, wanted: tuple[Wanted, ...]) -> Iterator[dict[str, object]]:
    means = {(mean.point, mean.figure): mean.estimate for mean in model.means}
    for one in wanted:
        if (one.words, RATES[0]) not in means:
            continue
        points = [
            found.point
            for run in model.runs
            for found in run.points
            if (found.point.rule, found.point.target) == (one.rule, one.target)
        ]
        thresholds = sorted({f"{point.threshold:.3f}" for point in points})
        where = {point.chosen_on.value if point.chosen_on else "beforehand" for point in points}
        row: dict[str, object] = {
            "model": model.model,
            "point": one.words,
            "threshold": " to ".join(dict.fromkeys((thresholds[0], thresholds[-1]))),
            "chosen_on": " and ".join(sorted(where)),
        }
        for rate in ("sensitivity", "specificity", "ppv", "npv", "accuracy", "balanced_accuracy"):
            row |= _columns(rate, means[one.words, rate])
        sensitivity = means[one.words, "sensitivity"].value
        row["missed_per_1000"] = None if sensitivity is None else round(PER * (1 - sensitivity))
        yield row


def _comparison(one: Comparison) -> dict[str, object]:
    delong = one.delong.difference
    return {
        "first": one.first,
        "second": one.second,
        **_columns("auc_difference", delong),
        "delong_p": one.delong.p,
        "holm_p": one.holm_p,
        **_columns("bootstrap_difference", one.bootstrap),
        "bootstrap_p": one.bootstrap_p,
        "mcnemar_p": one.mcnemar.exact_p if one.mcnemar else None,
        "mcnemar_holm_p": one.mcnemar_holm_p,
    }
