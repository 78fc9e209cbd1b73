"""What the Benchmark tab shows of predictions, as HTML."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from backend.corpus.picture_cards import PictureCard
from backend.evaluation.canvas import Canvas
from backend.evaluation.exploring import Exploration, RunAtPoint, groups_at
from backend.evaluation.plots import (
    UNIT,
    calibration_plot,
    decision_frame,
    decision_plot,
    forest_plot,
    precision_recall_plot,
    roc_plot,
    sensitivity_plot,
)
from backend.evaluation.report import (
    METRIC_WORDS,
    PAGE,
    figure_4_lines,
    published_lines,
    published_points,
)
from backend.evaluation.report_tables import in_words
from backend.evaluation.reporting import ARCHIVE
from backend.evaluation.tables import published_results
from backend.evaluation.thresholds import CELLS
from backend.evaluation.wording import said
from studio.markup import button, escape, file_url, one_line

BRIDGE = "benchmark-bridge"
CELL_WORDS = {
    "true_positives": "Found malignant",
    "false_negatives": "Missed malignant",
    "false_positives": "False alarms",
    "true_negatives": "Rightly benign",
}
PAGE_SIZE = 24
EMPTY = one_line("""
<div class="df-empty"><h2 class="df-section">No predictions chosen</h2>
<p>Choose the results of an experiment above, or import a table of predictions. Without either,
<strong>Run the embedded demo</strong> trains small classifiers on phantoms: about a quarter of an
hour, offline.</p></div>
""")
NO_IMAGES = '<p class="df-dim">Choose a cell of the table to see the images behind it.</p>'
NO_GROUPS = (
    '<p class="df-note">Skin tone, modality, dataset, site, age or sex of these images are not '
    "in the table: import one that has such columns.</p>"
)
NO_PAPER = (
    '<p class="df-note">Tables 2 and 3 and Figure 4 come from an experiment grid: choose the '
    "results of one.</p>"
)


def curves_html(found: Exploration) -> str:
    """ROC, precision-recall, calibration and decision curve, as far as there are any."""
    curves = [run.curve for run in found.runs]
    notes = "".join(f'<p class="df-message">{escape(one)}</p>' for one in found.problems)
    middle = {curve.place: (0.5, 0.5) for curve in curves}
    drawn: Mapping[str, Canvas | None] = {
        "roc": roc_plot(curves, middle, published_points()),
        "precision-recall": precision_recall_plot(curves, middle),
        "decision": decision_plot(curves, middle),
        "calibration": calibration_plot(curves),
    }
    parts = []
    for name, canvas in drawn.items():
        if canvas is None:
            continue
        frame = decision_frame(curves) if name == "decision" else UNIT
        edges = (frame.left, frame.right, frame.top, frame.bottom, *frame.x_range, *frame.y_range)
        data = f' data-frame="{escape(json.dumps(edges))}"'
        if name == "roc":
            data += f' data-curves="{escape(_curve_data(found))}"'
        parts.append(f'<div class="df-plot" data-plot="{name}"{data}>{canvas.svg()}</div>')
    if not parts:
        return notes
    return f'{notes}<div class="df-plots">{"".join(parts)}</div>'


def readout_html(points: Sequence[RunAtPoint], focus: str, cell: str) -> str:
    """Each run at its operating point, and the confusion of the one in focus."""
    if not points:
        return ""
    rows = "".join(_row(one, one.run.key == focus) for one in points)
    head = ("Run", "Threshold", "Chosen on", "Sensitivity", "Specificity", "PPV", "NPV",
            "Missed of 1,000 malignant")  # fmt: skip
    heads = "".join(f'<th scope="col">{one}</th>' for one in head)
    chosen = next((one for one in points if one.run.key == focus), points[0])
    dots = escape(json.dumps({str(one.run.curve.place): _dots(one) for one in points}))
    return one_line(f"""
    <div data-points="{dots}">
      <div class="df-scroll" tabindex="0" role="region" aria-label="Operating points">
      <table class="df-table" data-readout><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody>
      </table></div>{_confusion(chosen, cell)}
    </div>
    """)


def forest_html(point: RunAtPoint | None) -> str:
    """Sensitivity and specificity by group at the operating point."""
    if point is None:
        return NO_GROUPS
    sensitivity, specificity = point.at.sensitivity.value, point.at.specificity.value
    overall = None
    if sensitivity is not None and specificity is not None:
        overall = (sensitivity, specificity)
    rows = groups_at(point.run, point.at.threshold)
    canvas = forest_plot(rows, "Sensitivity", "Specificity", overall)
    if canvas is None:
        return NO_GROUPS
    return (
        f'<p class="df-dim">{escape(point.run.key)}; dashed: all images. Groups with fewer than '
        "30 images, or 10 of either class, are greyed.</p>"
        f'<div class="df-scroll" tabindex="0" role="region" aria-label="Subgroups">'
        f'<div class="df-plot df-forest">{canvas.svg()}</div></div>'
    )


def images_html(
    cell: str,
    run: str,
    shown: Sequence[tuple[str, float, PictureCard]],
    total: int,
    first: int,
) -> str:
    """The images behind one cell: the furthest on the wrong side first."""
    words = CELL_WORDS[cell]
    if not total:
        return f'<p class="df-dim">{words}: no image of {escape(run)}.</p>'
    tiles = "".join(_tile(name, score, card) for name, score, card in shown)
    last = first + len(shown)
    before = _turn("Before", first - PAGE_SIZE) if first else ""
    after = _turn("Next", last) if last < total else ""
    return one_line(f"""
    <h3 class="df-sub">{words}: {total:,} of {escape(run)}</h3>
    <ul class="df-seen" aria-label="{words}">{tiles}</ul>
    <div class="df-row">{before}<span class="df-dim">{first + 1:,} to {last:,} of {total:,}</span>
    {after}</div>
    """)


def paper_html(tables: Mapping[str, pd.DataFrame]) -> str:
    """Tables 2 and 3 and Figure 4 beside what the paper published."""
    if not tables:
        return NO_PAPER
    published = published_results()
    parts = [
        (
            f'<p class="df-dim">Published: {escape(str(published["source"]))}, on its own '
            f"{published['test_images']:,} test images, not on yours.</p>"
        )
    ]
    for name, title in (("table-2", "Table 2"), ("table-3", "Table 3")):
        if name in tables:
            theirs = pd.DataFrame(published[name.replace("-", "_")])
            parts.append(_table(tables[name], f"{title}: yours"))
            parts.append(_table(theirs, f"{title}: published"))
    if "figure-4" in tables:
        drawn = []
        for metric, words in METRIC_WORDS.items():
            lines = [*figure_4_lines(tables["figure-4"], metric), *published_lines(metric)]
            canvas = sensitivity_plot(f"Figure 4: {words}", lines, words)
            drawn.append(f'<div class="df-plot">{canvas.svg()}</div>' if canvas else "")
        parts.append(f'<div class="df-plots">{"".join(drawn)}</div>')
    return "".join(parts)


def downloads_html(folder: Path) -> str:
    """What a finished report leaves to take away."""
    if not (folder / PAGE).is_file():
        return ""
    links = [(PAGE, "Report as HTML"), (ARCHIVE, "Everything as ZIP"), ("roc.svg", "ROC as SVG"),
             ("roc.png", "ROC as PNG"), ("models.csv", "Models as CSV"),
             ("models.tex", "Models as LaTeX")]  # fmt: skip
    shown = "".join(
        f'<a class="df-button" href="{file_url(folder / name)}" download="{name}">{words}</a>'
        for name, words in links
        if (folder / name).is_file()
    )
    return f'<div class="df-row" id="benchmark-downloads">{shown}</div>'


def preview_html(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """The first rows of a file that is about to be imported."""
    heads = "".join(f'<th scope="col">{escape(name)}</th>' for name in header)
    body = "".join(
        "<tr>" + "".join(f"<td>{escape(cell[:60])}</td>" for cell in row) + "</tr>" for row in rows
    )
    return (
        '<div class="df-scroll" tabindex="0" role="region" aria-label="First rows">'
        f'<table class="df-table"><caption>First rows</caption><thead><tr>{heads}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def _curve_data(found: Exploration) -> str:
    data = []
    for run in found.runs:
        roc = run.curve.roc
        if roc is not None:
            data.append(
                {
                    "place": run.curve.place,
                    "name": run.curve.name,
                    "threshold": [round(min(1.0, value), 6) for value in roc.threshold],
                    "sensitivity": [round(value, 5) for value in roc.sensitivity],
                    "specificity": [round(value, 5) for value in roc.specificity],
                }
            )
    return json.dumps(data, separators=(",", ":"))


def _dots(one: RunAtPoint) -> dict[str, list[float]]:
    """Where the dot of a run is in each plot."""
    at = one.at
    if at.sensitivity.value is None or at.specificity.value is None:
        return {}
    precision = 1.0 if at.ppv.value is None else at.ppv.value
    return {
        "roc": [round(1 - at.specificity.value, 5), round(at.sensitivity.value, 5)],
        "precision-recall": [round(at.sensitivity.value, 5), round(precision, 5)],
        "decision": [round(min(1.0, at.threshold), 5), round(at.net_benefit, 5)],
    }


def _row(one: RunAtPoint, focused: bool) -> str:
    at = one.at
    chosen = one.chosen_on.value if one.chosen_on else "by hand"
    warn = " (judged images: too good)" if chosen == "test" else ""
    missed = "-" if at.missed_per_1000 is None else f"{at.missed_per_1000:,}"
    mark = ' aria-current="true"' if focused else ""
    swatch = f'<span class="df-swatch fill-series-{one.run.curve.place}"></span>'
    cells = (
        f"{at.threshold:.3f}",
        f"{chosen}{warn}",
        *(said(value) for value in (at.sensitivity, at.specificity, at.ppv, at.npv)),
        missed,
    )
    shown = "".join(f"<td>{cell}</td>" for cell in cells)
    return f'<tr{mark}><th scope="row">{swatch}{escape(one.run.key)}</th>{shown}</tr>'


def _confusion(one: RunAtPoint, cell: str) -> str:
    counts = {name: getattr(one.at.confusion, name) for name in CELLS}

    def shown(name: str) -> str:
        words = f"{CELL_WORDS[name]}: {counts[name]:,}"
        press = button(
            f"{counts[name]:,}<small>{CELL_WORDS[name]}</small>",
            bridge=BRIDGE, action="cell", value=name, kind=f"df-cell df-{name.replace('_', '-')}",
            title=f"{words}. Show the images.", pressed=cell == name,
        )  # fmt: skip
        return f'<td data-cell="{name}">{press}</td>'

    return f"""
    <table class="df-confusion"><caption>Confusion: {escape(one.run.key)}</caption>
    <thead><tr><td></td><th scope="col">Called malignant</th><th scope="col">Called benign</th></tr>
    </thead><tbody><tr><th scope="row">Malignant</th>{shown("true_positives")}
    {shown("false_negatives")}</tr><tr><th scope="row">Benign</th>{shown("false_positives")}
    {shown("true_negatives")}</tr></tbody></table>"""


def _tile(name: str, score: float, card: PictureCard) -> str:
    said_of = f"Score {score:.3f}"
    if card.thumbnail is None:
        why = "not in the corpus" if card.gone else "no thumbnail"
        picture = f'<p class="df-no-picture">{why}</p>'
    else:
        source = file_url(card.thumbnail, str(card.thumbnail.stat().st_mtime_ns))
        picture = f'<img src="{source}" alt="Image {escape(card.name)}" loading="lazy">'
    if card.file is not None and card.thumbnail is not None:
        address, words = file_url(card.file), f"Open in a new window: {escape(card.name)}"
        picture = (
            f'<a href="{address}" target="_blank" rel="noopener" title="{words}">{picture}</a>'
        )
    mark = '<span class="df-mark">Synthetic</span> ' if card.synthetic else ""
    known = card.diagnosis.replace("_", " ")
    return (
        f'<li data-image="{escape(name)}">{picture}<p>{mark}<strong>{said_of}</strong> '
        f"{escape(card.name)}{f', {escape(known)}' if known else ''}</p></li>"
    )


def _turn(words: str, first: int) -> str:
    return button(words, bridge=BRIDGE, action="page", value=str(first))


def _table(table: pd.DataFrame, caption: str) -> str:
    words = in_words(table)
    heads = "".join(f'<th scope="col">{escape(str(name))}</th>' for name in words.columns)
    rows = "".join(
        "<tr>" + "".join(f"<td>{escape(str(cell))}</td>" for cell in row) + "</tr>"
        for row in words.itertuples(index=False)
    )
    return (
        f'<div class="df-scroll" tabindex="0" role="region" aria-label="{escape(caption)}">'
        f'<table class="df-table"><caption>{escape(caption)}</caption><thead><tr>{heads}</tr>'
        f"</thead><tbody>{rows}</tbody></table></div>"
    )
