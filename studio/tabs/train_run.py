"""The open run: how it stands, its curves and samples, notes, and what its program printed."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import gradio as gr
from gradio.components import Component

from backend.errors import DermaFluxError
from backend.finetuning.metrics import RunMetrics, measure_run
from backend.finetuning.plan import Plan, read_plan
from backend.finetuning.run_folder import RunFolder
from backend.finetuning.running import read_log_tail
from backend.finetuning.runs import RunView, metrics_mark
from backend.finetuning.shelving import name_on_shelf
from studio.charts import curves_figure, loss_figure
from studio.context import StudioContext
from studio.markup import html_block
from studio.tabs.train_view import (
    NO_SAMPLES,
    controls_html,
    events_html,
    figures_html,
    log_html,
    planned_html,
    run_html,
    samples_html,
    settings_html,
)

VALIDATIONS = [
    ("All images", "overall"),
    ("By timestep", "timestep"),
    ("By size", "bucket"),
    ("By class", "class"),
]
RATES = [
    ("Learning rate", "learning_rate"),
    ("Gradient norm", "grad_norm"),
    ("LoRA norm", "lora_norm"),
    ("Images per second", "images_per_second"),
]
ABC = {"asymmetry": "Asymmetry", "border": "Border", "colours": "Colours"}
Values = Mapping[Component, Any]
Updates = dict[Any, Any]


@dataclass(frozen=True)
class OpenRun:
    """The components of the open run.

    `sample` counts the steps that have samples, from 1. `seen` tells what of which run was drawn,
    so that a tick leaves charts and typed notes alone.
    """

    part: gr.Column
    run: gr.Markdown
    controls: gr.Markdown
    figures: gr.Markdown
    loss: gr.Plot
    validation_by: gr.Radio
    validation: gr.Plot
    rate: gr.Radio
    rates: gr.Plot
    agreement: gr.Plot
    sample: gr.Slider
    samples: gr.Markdown
    events: gr.Markdown
    log: gr.Markdown
    notes: gr.Textbox
    keep: gr.Button
    details: gr.Markdown
    seen: gr.State

    @property
    def inputs(self) -> set[Component]:
        """What drawing the run depends on."""
        return {self.validation_by, self.rate, self.sample, self.seen}

    @property
    def outputs(self) -> list[Any]:
        """What drawing the run may change."""
        charts = [self.loss, self.validation_by, self.validation, self.rate, self.rates]
        drawn = [self.part, self.run, self.controls, self.figures, *charts, self.agreement]
        made = [self.sample, self.samples, self.events, self.log]
        return [*drawn, *made, self.notes, self.details, self.seen]

    def draw(self, studio: StudioContext, values: Values, view: RunView | None) -> Updates:
        """How the run stands; its curves only where they changed since they were drawn."""
        if view is None:
            return {self.part: gr.Column(visible=False), self.seen: None}
        mark = (view.id, view.state.value, metrics_mark(view.folder))
        seen = values[self.seen]
        drawn: Updates = {
            self.run: run_html(view),
            self.controls: controls_html(
                view, name_on_shelf(studio.database, studio.settings, view.folder)
            ),
            self.log: log_html(read_log_tail(view.folder)),
        }
        if seen == mark:
            return drawn
        measured = measure_run(view.folder)
        drawn |= {
            self.part: gr.Column(visible=True),
            self.figures: figures_html(view, measured),
            self.events: events_html(measured),
            self.seen: mark,
        }
        drawn |= self.draw_charts(values, measured)
        drawn |= self._samples(values, measured, another=seen is None or seen[0] != view.id)
        if seen is None or seen[0] != view.id:
            details = settings_html(view) + planned_html(_plan(view.folder))
            drawn |= {self.notes: view.notes, self.details: details}
        return drawn

    def draw_charts(self, values: Values, measured: RunMetrics) -> Updates:
        """The curves; those that have no point yet are not shown."""
        loss = measured.per_step.get("loss")
        by = measured.validation.get(values[self.validation_by] or "overall", {})
        rate = {name: words for words, name in RATES}.get(values[self.rate], RATES[0][0])
        rated = measured.per_step.get(values[self.rate] or RATES[0][1])
        begun = loss is not None and bool(loss.steps)
        agreed = {ABC.get(name, name): one for name, one in measured.agreement.items()}
        held_out = bool(measured.overall.steps)
        return {
            self.loss: _plot(loss_figure(loss, measured.smoothed) if begun and loss else None),
            self.validation_by: gr.Radio(visible=held_out),
            self.validation: _plot(
                curves_figure("Validation loss", by, up="Validation loss") if by else None
            ),
            self.rate: gr.Radio(visible=begun),
            self.rates: _plot(
                curves_figure(rate, {rate: rated}, up=rate, from_zero=True)
                if rated and rated.steps
                else None
            ),
            self.agreement: _plot(
                curves_figure("Agreement of samples with their captions", agreed, up="Agreement")
                if agreed
                else None
            ),
        }

    def draw_samples(self, values: Values, measured: RunMetrics) -> Updates:
        """The samples at the slider's place."""
        steps = sorted(measured.samples)
        if not steps:
            return {self.samples: NO_SAMPLES}
        place = min(len(steps), max(1, int(values[self.sample] or 1)))
        step = steps[place - 1]
        return {self.samples: samples_html(step, measured.samples[step])}

    def _samples(self, values: Values, measured: RunMetrics, *, another: bool) -> Updates:
        """The slider follows the newest samples while it stands at its end."""
        count = len(measured.samples)
        place = int(values[self.sample] or 1)
        if another or place >= count - 1:
            place = max(1, count)
        slider = gr.Slider(maximum=max(2, count), value=place, visible=count > 1)
        return {self.sample: slider} | self.draw_samples({**values, self.sample: place}, measured)


def build_open_run() -> OpenRun:
    """Lay the open run out; the tab wires it."""
    with gr.Column(elem_classes="df-panel", visible=False, elem_id="train-open") as part:
        run = html_block(elem_id="train-run")
        controls = html_block(elem_id="train-controls")
        figures = html_block(elem_id="train-figures")
        loss = _chart("train-loss")
        validation_by = _radio(VALIDATIONS, "Validation loss", "train-validation-by")
        validation = _chart("train-validation")
        rate = _radio(RATES, "Also", "train-rate")
        rates = _chart("train-rates")
        agreement = _chart("train-agreement")
        gr.Markdown("### Samples", elem_classes="df-heading", container=False)
        sample = gr.Slider(
            1,
            2,
            value=1,
            step=1,
            label="Samples from first to last",
            visible=False,
            elem_id="train-sample",
        )
        samples = html_block(NO_SAMPLES, elem_id="train-samples")
        events = html_block(elem_id="train-events")
        with gr.Accordion("Log", open=False, elem_id="train-log-part"):
            log = html_block(elem_id="train-log")
        with gr.Accordion("Notes", open=False, elem_id="train-notes-part"):
            notes = gr.Textbox(
                label="Notes",
                info="What was tried and what came of it; kept with the run.",
                lines=3,
                max_lines=12,
                elem_id="train-notes",
            )
            keep = gr.Button("Keep notes", size="sm", elem_id="train-keep-notes")
        details = html_block(elem_id="train-details")
    return OpenRun(
        part=part,
        run=run,
        controls=controls,
        figures=figures,
        loss=loss,
        validation_by=validation_by,
        validation=validation,
        rate=rate,
        rates=rates,
        agreement=agreement,
        sample=sample,
        samples=samples,
        events=events,
        log=log,
        notes=notes,
        keep=keep,
        details=details,
        seen=gr.State(None),
    )


def _chart(elem_id: str) -> gr.Plot:
    return gr.Plot(
        show_label=False, container=False, visible=False, elem_id=elem_id, elem_classes="df-chart"
    )


def _radio(choices: list[tuple[str, str]], label: str, elem_id: str) -> gr.Radio:
    return gr.Radio(
        choices,
        value=choices[0][1],
        label=label,
        visible=False,
        elem_id=elem_id,
        elem_classes="df-segmented",
    )


def _plot(figure: Any) -> gr.Plot:
    return gr.Plot(visible=False) if figure is None else gr.Plot(figure, visible=True)


def _plan(run: RunFolder) -> Plan | None:
    try:
        return read_plan(run)
    except DermaFluxError:
        return None
