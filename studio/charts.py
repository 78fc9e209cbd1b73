"""Figures of results: pure functions from a result object to a plotly Figure.

Backgrounds are transparent and texts take the page's own colour (assets/css/corpus.css), so that a
figure suits light and dark alike. No series is told by its colour alone.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from backend.abc.attributes import Label
from backend.corpus.describing import FACET_WORDS
from backend.corpus.statistics import FacetCounts
from backend.finetuning.metrics import Curve

if TYPE_CHECKING:
    import plotly.graph_objects as go

BAR_PX, MARGIN_PX = 30, 110
FEW_POINTS = 60
CLEAR = "rgba(0,0,0,0)"
GRID = "rgba(128,140,148,0.35)"
OTHERS = "others"


@dataclass(frozen=True)
class SeriesStyle:
    """At least 3:1 against both backgrounds, and a pattern beside the colour."""

    name: str
    colour: str
    pattern: str


STYLES: Mapping[Label, SeriesStyle] = {
    Label.BENIGN: SeriesStyle("Benign", "#2a8594", ""),
    Label.MALIGNANT: SeriesStyle("Malignant", "#c9622b", "/"),
}


def facet_figure(counts: FacetCounts) -> go.Figure:
    """Stacked bars: images by the values of a facet, split by label, the first value on top."""
    import plotly.graph_objects as go  # late: the studio starts without it

    rows = [*counts.values, *([(OTHERS, counts.others)] if any(counts.others.values()) else [])]
    names = [name for name, _ in rows]
    figure = go.Figure(
        [
            go.Bar(
                y=names,
                x=[by_label.get(label, 0) for _, by_label in rows],
                name=style.name,
                orientation="h",
                marker={
                    "color": style.colour,
                    "pattern": {"shape": style.pattern, "fgcolor": "#ffffff", "size": 6},
                },
                hovertemplate=f"%{{y}}: %{{x:,}} {style.name.lower()}<extra></extra>",
            )
            for label, style in STYLES.items()
        ]
    )
    figure.update_layout(
        barmode="stack",
        height=MARGIN_PX + BAR_PX * max(1, len(rows)),
        margin={"l": 8, "r": 16, "t": 40, "b": 40},
        paper_bgcolor=CLEAR,
        plot_bgcolor=CLEAR,
        legend={"orientation": "h", "x": 0, "y": 1.0, "yanchor": "bottom", "traceorder": "normal"},
        font={"family": "system-ui, sans-serif", "size": 13},
        dragmode=False,
    )
    figure.update_xaxes(title="Images", gridcolor=GRID, zeroline=False, rangemode="tozero")
    figure.update_yaxes(
        title=None, autorange="reversed", automargin=True, type="category", ticksuffix=" "
    )
    figure.update_layout(meta={"title": f"Images by {FACET_WORDS[counts.facet].lower()}"})
    return figure


LINE_PX = 320
_LINES: Sequence[tuple[str, str, str]] = (
    ("#2a8594", "solid", "circle"),
    ("#c9622b", "dash", "square"),
    ("#7d5fb2", "dot", "diamond"),
    ("#5d8a2f", "dashdot", "triangle-up"),
    ("#b0486f", "longdash", "x"),
    ("#8a7020", "longdashdot", "cross"),
    ("#4473b8", "solid", "square-open"),
    ("#6f7a80", "dash", "circle-open"),
)
"""Colour, dash and mark: a line is told from its neighbours by any of the three."""


@dataclass(frozen=True)
class Line:
    """One named curve; `faint` is for raw values behind their smoothed curve."""

    name: str
    curve: Curve
    faint: bool = False


def line_figure(
    title: str, lines: Sequence[Line], *, across: str, up: str, from_zero: bool = False
) -> go.Figure:
    """Curves over optimiser steps, or over whatever `across` says; `up` names their values.

    Values that are no numbers leave a gap; `from_zero` is for what is never negative and may be
    constant.
    """
    import plotly.graph_objects as go  # late: the studio starts without it

    figure = go.Figure([_trace(line, place) for place, line in enumerate(lines)])
    figure.update_layout(
        height=LINE_PX,
        margin={"l": 8, "r": 16, "t": 40, "b": 40},
        paper_bgcolor=CLEAR,
        plot_bgcolor=CLEAR,
        legend={"orientation": "h", "x": 0, "y": 1.0, "yanchor": "bottom", "traceorder": "normal"},
        font={"family": "system-ui, sans-serif", "size": 13},
        showlegend=len(lines) > 1,
        dragmode=False,
        uirevision=title,
        meta={"title": title},
    )
    figure.update_xaxes(title=across, gridcolor=GRID, zeroline=False, rangemode="tozero")
    figure.update_yaxes(
        title=up,
        gridcolor=GRID,
        zeroline=False,
        automargin=True,
        rangemode="tozero" if from_zero else "normal",
    )
    return figure


def loss_figure(raw: Curve, smoothed: Curve) -> go.Figure:
    """The training loss as it came, and its moving average."""
    lines = [Line("Smoothed", smoothed.thinned()), Line("Each step", raw.thinned(), faint=True)]
    return line_figure("Training loss", lines, across="Optimiser steps", up="Loss")


def curves_figure(
    title: str, curves: Mapping[str, Curve], *, up: str, from_zero: bool = False
) -> go.Figure:
    """Named curves of one run over its steps."""
    lines = [Line(name, curve.thinned()) for name, curve in curves.items()]
    return line_figure(title, lines, across="Optimiser steps", up=up, from_zero=from_zero)


def _trace(line: Line, place: int) -> go.Scatter:
    import plotly.graph_objects as go

    colour, dash, symbol = _LINES[place % len(_LINES)]
    few = len(line.curve.steps) <= FEW_POINTS
    return go.Scatter(
        x=list(line.curve.steps),
        y=[value if math.isfinite(value) else None for value in line.curve.values],
        name=line.name,
        mode="lines+markers" if few else "lines",
        opacity=0.45 if line.faint else 1,
        line={
            "color": "#8a949a" if line.faint else colour,
            "dash": "solid" if line.faint else dash,
            "width": 1 if line.faint else 2,
        },
        marker={"symbol": symbol, "size": 7},
        hovertemplate=f"%{{x:,}}: %{{y:.4g}}<extra>{line.name}</extra>",
    )
