"""A study's report: one offline HTML page, and every figure and table as a file of its own.

The page needs no script and no network. Its numbers are those of `evaluate predictions`.
"""

import base64
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path

import pandas as pd

from backend.evaluation.canvas import Canvas
from backend.evaluation.checklists import CHECKLISTS, LIMITS, STARD
from backend.evaluation.evaluation import Evaluation, ModelFigures
from backend.evaluation.figures import Line
from backend.evaluation.plots import (
    Curve,
    ForestRow,
    PublishedPoint,
    calibration_plot,
    decision_plot,
    flow_plot,
    forest_plot,
    precision_recall_plot,
    roc_plot,
    sensitivity_plot,
)
from backend.evaluation.predictions import Predictions
from backend.evaluation.report_tables import (
    comparison_table,
    confusion_table,
    in_words,
    model_table,
    point_table,
    subgroup_table,
)
from backend.evaluation.report_text import flow_steps, limits, methods, seeds, versions
from backend.evaluation.tables import latex, published_results
from backend.files import write_file
from backend.settings import REPOSITORY

PAGE, STYLE = "report.html", REPOSITORY / "assets" / "css" / "report.css"
MAX_CURVES = 12
FORESTS = 6
METRIC_WORDS = {"accuracy": "Accuracy", "roc_auc": "ROC-AUC"}


@dataclass(frozen=True)
class Study:
    """What is reported: predictions, what was found, and what is known beside them.

    `tables` are Table 2, Table 3 and Figure 4 of an experiment; `left_out` counts images that never
    came to be scored, by reason; `sources` name the tables, `key` is the hash of their content.
    """

    title: str
    predictions: Predictions
    found: Evaluation
    sources: Sequence[str]
    key: str = ""
    tables: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    left_out: Mapping[str, int] = field(default_factory=dict)


def write_report(study: Study, folder: Path) -> list[Path]:
    """Write the page, figures as SVG and PNG, tables as CSV and LaTeX; the page comes last.

    Raises:
        FileError: a file cannot be written.
    """
    files = []
    figures = study_figures(study)
    for name, canvas in figures.items():
        files += [folder / f"{name}.svg", folder / f"{name}.png"]
        write_file(files[-2], canvas.svg().encode(), durable=False)
        write_file(files[-1], canvas.png(), durable=False)
    tables = study_tables(study.found)
    for name, table in tables.items():
        files += [folder / f"{name}.csv", folder / f"{name}.tex"]
        write_file(files[-2], table.to_csv(index=False).encode(), durable=False)
        write_file(files[-1], latex(in_words(table)).encode(), durable=False)
    write_file(folder / PAGE, report_html(study, figures, tables).encode())
    return [*files, folder / PAGE]


def study_tables(found: Evaluation) -> dict[str, pd.DataFrame]:
    """Every table that has a row, by the name of its file."""
    tables = {
        "models": model_table(found),
        "operating-points": point_table(found),
        "confusion": confusion_table(found),
        "comparisons": comparison_table(found),
        "subgroups": subgroup_table(found),
    }
    return {name: table for name, table in tables.items() if not table.empty}


def study_figures(study: Study) -> dict[str, Canvas]:
    """Every figure that the data can carry, by the name of its file."""
    curves = curves_of(study.found)
    drawn: dict[str, Canvas | None] = {
        "flow": flow_plot(flow_steps(study.predictions, study.found, study.left_out)),
        "roc": roc_plot(curves, published=published_points()),
        "precision-recall": precision_recall_plot(curves),
        "calibration": calibration_plot([curve for curve in curves if curve.roc]),
        "decision": decision_plot(curves),
    }
    for place, model in enumerate(study.found.models[:FORESTS]):
        drawn[f"subgroups-{place + 1}"] = forest_of(model)
    for metric, words in METRIC_WORDS.items():
        if "figure-4" in study.tables:
            lines = [*figure_4_lines(study.tables["figure-4"], metric), *published_lines(metric)]
            title = "Figure 4: synthetic images added to real ones"
            name = f"figure-4-{metric.replace('_', '-')}"
            drawn[name] = sensitivity_plot(title, lines, words)
    return {name: canvas for name, canvas in drawn.items() if canvas is not None}


def curves_of(found: Evaluation) -> list[Curve]:
    """The first run of each model, as plots take it."""
    return [
        Curve(
            model.model if len(model.runs) == 1 else f"{model.model}, run {model.runs[0].run}",
            place,
            run.roc,
            run.precision_recall,
            run.calibration.bins,
            run.decision,
            run.auc,
        )
        for place, model in enumerate(found.models[:MAX_CURVES])
        for run in model.runs[:1]
    ]


def published_points() -> list[PublishedPoint]:
    """What the paper's text says of the curve in its Figure 5."""
    return [
        PublishedPoint(
            f"Published: {one['model']}, AUC {one['roc_auc']:g}; near 1 at 0.75", 0.75, 1.0
        )
        for one in published_results()["figure_5"]
    ]


def published_lines(metric: str) -> list[Line]:
    """The paper's Figure 4, as far as its text gives numbers."""
    rows = pd.DataFrame(published_results()["figure_4"])
    if metric not in rows.columns:
        return []
    return [
        Line(f"{architecture}, {real:,} real", part["ratio"].tolist(), part[metric].tolist(),
             published=True)
        for (architecture, real), part in rows.groupby(["architecture", "real"], sort=False)
    ]  # fmt: skip


def figure_4_lines(table: pd.DataFrame, metric: str) -> list[Line]:
    """A line for each architecture, generator and real size; 0:1 is in the table alone."""
    lines = []
    rows = table[table["real"] > 0].sort_values("ratio")
    keys = [name for name in ("architecture", "generator", "real") if name in rows.columns]
    generators = rows["generator"].dropna().nunique() if "generator" in rows.columns else 0
    for key, part in rows.groupby(keys, sort=False, dropna=False):
        found = dict(zip(keys, key, strict=True))
        words = [found["architecture"], f"{found['real']:,.0f} real"]
        if generators > 1:
            words.insert(1, found["generator"])
        low, high = part[f"{metric}_low"], part[f"{metric}_high"]
        bars = (low.tolist(), high.tolist()) if low.notna().all() else ((), ())
        lines.append(
            Line(", ".join(map(str, words)), part["ratio"].tolist(), part[metric].tolist(), *bars)
        )
    return lines


def forest_of(model: ModelFigures) -> Canvas | None:
    """Mean sensitivity and specificity of each group, at the first operating point."""
    rows = [
        ForestRow(
            one.fact.replace("_", " "), one.value, one.images, one.malignant, one.small,
            one.sensitivity, one.specificity,
        )
        for one in model.subgroups
    ]  # fmt: skip
    overall = None
    sensitivity, specificity = (
        next((one.estimate.value for one in model.means if one.point and one.figure == rate), None)
        for rate in ("sensitivity", "specificity")
    )
    if sensitivity is not None and specificity is not None:
        overall = (sensitivity, specificity)
    return forest_plot(rows, "Sensitivity", "Specificity", overall)


def report_html(
    study: Study, figures: Mapping[str, Canvas], tables: Mapping[str, pd.DataFrame]
) -> str:
    """The page, whole."""
    sections = [
        _section(name, title, "".join(parts))
        for name, title, parts in _sections(study, figures, tables)
    ]
    present = [(name, title) for name, title, _ in _sections(study, figures, tables)]
    contents = "".join(f'<li><a href="#{name}">{title}</a></li>' for name, title in present)
    checks = _checklists({name for name, _ in present})
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; '
        "img-src data:; style-src 'unsafe-inline'\">"
        f"<title>{escape(study.title)}</title><style>{STYLE.read_text('utf-8')}</style></head>"
        f"<body><header><h1>{escape(study.title)}</h1><p>Report of diagnostic accuracy, made by "
        "DermaFlux Studio from predictions alone. It is no medical device and gives no advice.</p>"
        f'</header><nav aria-label="Contents"><ol>{contents}'
        '<li><a href="#checklists">Reporting guidelines</a></li></ol></nav>'
        f"<main>{''.join(sections)}{checks}</main></body></html>\n"
    )


def _sections(
    study: Study, figures: Mapping[str, Canvas], tables: Mapping[str, pd.DataFrame]
) -> Iterator[tuple[str, str, list[str]]]:
    found = study.found
    yield "data", "Data", _data(study)
    yield "flow", "Flow of images", [_figure(figures["flow"])]
    yield "methods", "Methods", [f"<p>{escape(text)}</p>" for text in methods(found)]
    yield "models", "Models", [_table(tables["models"], "Means over runs, with intervals")]
    curves = ("roc", "precision-recall", "calibration", "decision")
    drawn = [_figure(figures[name]) for name in curves if name in figures]
    if drawn:
        yield "curves", "Curves", ['<div class="figures">', *drawn, "</div>"]
    if "operating-points" in tables:
        parts = [_table(tables["operating-points"], "Means over runs, with intervals")]
        parts.append(_table(tables["confusion"], "Images by truth and call, each run"))
        yield "points", "Operating points", parts
    if "comparisons" in tables:
        caption = "First minus second, on the same images"
        yield "comparisons", "Comparisons", [_table(tables["comparisons"], caption)]
    if "subgroups" in tables:
        forests = [canvas for name, canvas in figures.items() if name.startswith("subgroups-")]
        names = [model.model for model in found.models]
        parts = [
            f"<h3>{escape(name)}</h3>{_figure(canvas)}"
            for name, canvas in zip(names, forests, strict=False)
        ]
        parts.append(
            _table(tables["subgroups"], "Means over runs, with the mean of their intervals")
        )
        yield "groups", "Subgroups", parts
    if study.tables:
        yield "paper", "Beside the paper", _paper(study, figures)
    said = [f"<li>{escape(text)}</li>" for text in limits(found)]
    yield LIMITS, "Limits", ["<ul>", *(said or ["<li>None was found in the table.</li>"]), "</ul>"]
    lists = {"Software": versions(), "Seeds": seeds(found)}
    yield "versions", "Versions and seeds", [_facts(name, one) for name, one in lists.items()]


def _data(study: Study) -> list[str]:
    found = study.found
    facts = {"Tables": ", ".join(study.sources), "Judged split": found.options.split.value}
    if study.key:
        facts["Hash of the tables"] = study.key
    facts["Drawn together"] = found.clustered_by
    for model in found.models:
        for run in model.runs[:1]:
            share = run.malignant / run.images
            facts[model.model] = (
                f"{run.images:,} images, {run.malignant:,} malignant ({share:.1%}); "
                f"{len(model.runs)} {'run' if len(model.runs) == 1 else 'runs'}"
            )
    return [_facts("", facts)]


def _paper(study: Study, figures: Mapping[str, Canvas]) -> list[str]:
    published = published_results()
    parts = [
        (
            f"<p>Published: {escape(str(published['source']))}, on its own "
            f"{published['test_images']:,} test images. They are not the images of this report.</p>"
        )
    ]
    for name, title in (("table-2", "Table 2"), ("table-3", "Table 3")):
        if name in study.tables:
            theirs = pd.DataFrame(published[name.replace("-", "_")])
            parts.append(_table(study.tables[name], f"{title}, this study"))
            parts.append(_table(theirs, f"{title}, published", published=True))
    drawn = [canvas for name, canvas in figures.items() if name.startswith("figure-4")]
    return [*parts, '<div class="figures">', *map(_figure, drawn), "</div>"]


def _checklists(sections: set[str]) -> str:
    parts = []
    for name, items in CHECKLISTS.items():
        rows = []
        for item in items:
            answered = item.section in sections
            where = f'<a href="#{item.section}">{item.section}</a>' if answered else "authors"
            answer = item.answer if answered else "To be stated by the authors."
            cells = (escape(item.number), escape(item.topic), where, escape(answer))
            rows.append("".join(f"<td>{cell}</td>" for cell in cells))
        head = "".join(f"<th scope='col'>{one}</th>" for one in ("Item", "Topic", "Where", "How"))
        note = " (items of STARD 2015 that it keeps)" if name == STARD else ""
        body = "".join(f"<tr>{row}</tr>" for row in rows)
        parts.append(
            f'<div class="scroll"><table><caption>{escape(name + note)}</caption>'
            f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
        )
    return _section("checklists", "Reporting guidelines", "".join(parts))


def _section(name: str, title: str, body: str) -> str:
    return f'<section id="{name}"><h2>{escape(title)}</h2>{body}</section>'


def _figure(canvas: Canvas) -> str:
    # As a picture: ids and styles of one drawing do not reach another.
    data = base64.b64encode(canvas.svg().encode()).decode()
    return (
        f'<figure><img src="data:image/svg+xml;base64,{data}" alt="{escape(canvas.title)}" '
        f'width="{canvas.width:g}" height="{canvas.height:g}"></figure>'
    )


def _table(table: pd.DataFrame, caption: str, *, published: bool = False) -> str:
    words = in_words(table)
    head = "".join(f'<th scope="col">{escape(str(name))}</th>' for name in words.columns)
    rows = "".join(
        "<tr>" + "".join(f"<td>{escape(str(cell))}</td>" for cell in row) + "</tr>"
        for row in words.itertuples(index=False)
    )
    kind = ' class="published"' if published else ""
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{escape(caption)}">'
        f"<table{kind}><caption>{escape(caption)}</caption><thead><tr>{head}</tr></thead>"
        f"<tbody>{rows}</tbody></table></div>"
    )


def _facts(title: str, facts: Mapping[str, str]) -> str:
    rows = "".join(
        f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>"
        for name, value in facts.items()
    )
    return (f"<h3>{escape(title)}</h3>" if title else "") + f"<dl>{rows}</dl>"
