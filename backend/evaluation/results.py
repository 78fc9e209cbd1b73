"""What an experiment leaves: the one prediction table, and every table and figure made from it."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from backend.evaluation.cells import read_scores
from backend.evaluation.figures import Line, line_chart
from backend.evaluation.grid import Grid
from backend.evaluation.planning import PlannedCell
from backend.evaluation.prediction_files import write_predictions
from backend.evaluation.predictions import make_predictions, with_facts
from backend.evaluation.tables import (
    figure_4,
    figure_5,
    latex,
    markdown,
    published_results,
    readable,
    run_results,
    table_2,
    table_3,
)
from backend.files import write_file

PREDICTION_TABLE = "predictions.parquet"
METRIC_WORDS = {"accuracy": "Accuracy", "roc_auc": "ROC-AUC"}


@dataclass(frozen=True)
class Scorer:
    """A model that was not trained, and the folder of its scores."""

    model: str
    folder: Path


def write_results(
    folder: Path,
    grid: Grid,
    cells: Sequence[PlannedCell],
    scorers: Sequence[Scorer],
    facts: pd.DataFrame,
) -> list[Path]:
    """Write predictions, tables and figures; returns the files, predictions first.

    `facts` has rows of image_id and what is known of the image (`predictions.FACTS`); it may have
    none.

    Raises:
        EvaluationError: predictions are missing or cannot carry the figures.
        FileError: a file cannot be written.
    """
    table = _prediction_table(cells, scorers)
    predictions = make_predictions(table, name="the experiment")
    if len(facts):
        predictions = with_facts(predictions, facts)
    write_predictions(predictions, folder / PREDICTION_TABLE)
    results = run_results(table, cells)
    names = [scorer.model for scorer in scorers]
    files = [folder / PREDICTION_TABLE, _csv(folder / "runs.csv", results)]
    files += _write_table(folder, "table-2", table_2(results), "table_2")
    sensitivity = figure_4(results)
    files += _write_table(folder, "figure-4", sensitivity, "figure_4")
    if not sensitivity.empty:
        files += [_figure_4(folder, sensitivity, metric) for metric in METRIC_WORDS]
    comparison = table_3(results, table, names)
    files += _write_table(folder, "table-3", comparison, "table_3")
    if not comparison.empty:
        files += _figure_5(folder, figure_5(table, comparison["model"].tolist()))
    write_file(folder / "grid.json", grid.model_dump_json(indent=1).encode())
    return [*files, folder / "grid.json"]


def _prediction_table(cells: Sequence[PlannedCell], scorers: Sequence[Scorer]) -> pd.DataFrame:
    """Every prediction once, although tables share cells."""
    named = {cell.folder: cell.model for cell in cells} | {one.folder: one.model for one in scorers}
    return pd.concat(
        [read_scores(folder, model) for folder, model in named.items()], ignore_index=True
    )


def _write_table(folder: Path, name: str, table: pd.DataFrame, published: str) -> list[Path]:
    """CSV with intervals in columns of their own, Markdown and LaTeX with them in words."""
    if table.empty:
        return []
    words = readable(table)
    theirs = pd.DataFrame(published_results()[published])
    text = (
        f"{markdown(words)}\nPublished by the paper, on its own test images:\n\n{markdown(theirs)}"
    )
    write_file(folder / f"{name}.md", text.encode())
    write_file(folder / f"{name}.tex", latex(words).encode())
    _csv(folder / f"{name}-published.csv", theirs.assign(published=True))
    suffixes = (".csv", ".md", ".tex", "-published.csv")
    _csv(folder / f"{name}.csv", table)
    return [folder / f"{name}{suffix}" for suffix in suffixes]


def _figure_4(folder: Path, table: pd.DataFrame, metric: str) -> Path:
    """A line for each architecture and real size; 0:1 stands as a point of its own in the table."""
    with_real = table[table["real"] > 0].sort_values("ratio")
    lines = []
    for (architecture, real), rows in with_real.groupby(["architecture", "real"], sort=False):
        low, high = rows[f"{metric}_low"], rows[f"{metric}_high"]
        bars = (low.tolist(), high.tolist()) if low.notna().all() else ((), ())
        name = f"{architecture}, {real:,} real"
        lines.append(Line(name, rows["ratio"].tolist(), rows[metric].tolist(), *bars))
    chart = line_chart(
        "Figure 4: synthetic images added to real ones",
        lines,
        x_label="Synthetic images for each real one (1:x)",
        y_label=f"{METRIC_WORDS[metric]}, mean of runs with 95 % interval",
    )
    path = folder / f"figure-4-{metric.replace('_', '-')}.svg"
    write_file(path, chart.encode())
    return path


def _figure_5(folder: Path, curves: pd.DataFrame) -> list[Path]:
    lines = [
        Line(
            str(model),
            rows["false_positive_rate"].tolist(),
            rows["true_positive_rate"].tolist(),
        )
        for model, rows in curves.groupby("model", sort=False)
    ]
    chart = line_chart(
        "Figure 5: receiver operating characteristic",
        lines,
        x_label="False positive rate",
        y_label="True positive rate",
        y_range=(0.0, 1.0),
        diagonal=True,
    )
    write_file(folder / "figure-5.svg", chart.encode())
    return [folder / "figure-5.svg", _csv(folder / "figure-5.csv", curves)]


def _csv(path: Path, table: pd.DataFrame) -> Path:
    write_file(path, table.to_csv(index=False).encode())
    return path


def summary(folder: Path) -> dict[str, object]:
    """The tables of a finished experiment as plain values."""
    values: dict[str, object] = {}
    for name in ("table-2", "figure-4", "table-3"):
        path = folder / f"{name}.csv"
        if path.exists():
            values[name] = json.loads(pd.read_csv(path).to_json(orient="records"))
    return values
