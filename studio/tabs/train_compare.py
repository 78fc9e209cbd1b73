"""Runs beside each other: what differs, and their curves over images seen."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr
from gradio.components import Component

from backend.finetuning.errors import FinetuningError
from backend.finetuning.metrics import Curve
from backend.finetuning.runs import RunView, compare_runs, metrics_mark
from studio.charts import Line, line_figure
from studio.context import StudioContext
from studio.markup import html_block
from studio.tabs.train_view import comparison_html

ACROSS = "Images seen"
Values = Mapping[Component, Any]
Updates = dict[Any, Any]


@dataclass(frozen=True)
class ComparedRuns:
    """The components of the comparison; `seen` tells what was drawn."""

    part: gr.Column
    table: gr.Markdown
    loss: gr.Plot
    validation: gr.Plot
    seen: gr.State

    @property
    def outputs(self) -> list[Any]:
        """What drawing the comparison may change."""
        return [self.part, self.table, self.loss, self.validation, self.seen]

    def draw(self, studio: StudioContext, values: Values, views: Sequence[RunView]) -> Updates:
        """The runs beside each other where they changed; nothing for fewer than two."""
        mark = tuple((view.id, view.state.value, metrics_mark(view.folder)) for view in views)
        if mark == values[self.seen]:
            return {}
        if len(views) < 2:
            return {self.part: gr.Column(visible=False), self.seen: mark}
        try:
            found = compare_runs(studio.database, studio.settings, [view.id for view in views])
        except FinetuningError:  # one was removed just now: the next look is without it
            return {self.part: gr.Column(visible=False), self.seen: None}
        names = _names(found.runs)
        return {
            self.part: gr.Column(visible=True),
            self.table: comparison_html(found),
            self.loss: _plot("Smoothed training loss", names, found.smoothed),
            self.validation: _plot("Validation loss", names, found.validation),
            self.seen: mark,
        }


def build_compared_runs() -> ComparedRuns:
    """Lay the comparison out; it shows once two runs are chosen."""
    with gr.Column(elem_classes="df-panel", visible=False, elem_id="train-compared") as part:
        gr.Markdown("## Compared", elem_classes="df-heading", container=False)
        table = html_block(elem_id="train-comparison")
        loss, validation = (
            gr.Plot(show_label=False, container=False, elem_id=name, elem_classes="df-chart")
            for name in ("train-compared-loss", "train-compared-validation")
        )
    return ComparedRuns(part, table, loss, validation, gr.State(()))


def _names(views: Sequence[RunView]) -> list[str]:
    """The titles of the runs; equal ones with the name of their folder."""
    titles = [view.title for view in views]
    return [
        f"{view.title} ({view.id})" if titles.count(view.title) > 1 else view.title
        for view in views
    ]


def _plot(title: str, names: Sequence[str], curves: Sequence[Curve]) -> gr.Plot:
    lines = [Line(name, curve) for name, curve in zip(names, curves, strict=True) if curve.steps]
    if not lines:
        return gr.Plot(visible=False)
    return gr.Plot(line_figure(title, lines, across=ACROSS, up=title), visible=True)
