"""The components of the panel of captions and what they show: jobs, versions, a comparison."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr
from gradio.components import Component

from backend.captioning.comparing import KIND as COMPARE
from backend.captioning.records import count_captions, count_findings
from backend.captioning.running import KIND as CAPTION
from backend.captioning.versions import list_versions
from backend.corpus.queries import count_corpus
from backend.jobs.queue import JobView, count_jobs, list_jobs, queue_position
from backend.jobs.states import OPEN
from studio.context import StudioContext
from studio.tabs.captions_compared import CaptionComparison
from studio.tabs.captions_form import CaptionForm
from studio.tabs.captions_view import NO_CORPUS, VersionRow, runs_html, versions_html

LATEST = 4
Values = Mapping[Component, Any]
Updates = dict[Any, Any]


@dataclass(frozen=True)
class CaptionsPanel:
    """The components of the panel; a parent tab calls `look` when it is opened.

    `timer` runs while a job is open. `question` holds what is asked before images leave the
    building; `seen` tells which jobs were drawn, and how they stood.
    """

    nothing: gr.Markdown
    starting: gr.Column
    form: CaptionForm
    start: gr.Button
    question: gr.Markdown
    runs: gr.Markdown
    versions: gr.Markdown
    compared: CaptionComparison
    actions: gr.Textbox
    timer: gr.Timer
    seen: gr.State

    @property
    def inputs(self) -> set[Component]:
        """What drawing the panel depends on."""
        form = {self.form.images.choice, self.form.model}
        return {*form, *self.compared.inputs, self.seen}

    @property
    def outputs(self) -> list[Any]:
        """What drawing the panel may change."""
        form = [self.form.images.choice, self.form.model, self.form.models]
        drawn = [self.nothing, self.starting, self.question, self.runs, self.versions]
        return [*form, *drawn, *self.compared.outputs, self.timer, self.seen]

    def look(self, studio: StudioContext, values: Values) -> Updates:
        """Everything as the database and the folders of models have it now."""
        there = count_corpus(studio.database) > 0
        return {
            self.nothing: "" if there else NO_CORPUS,
            self.starting: gr.Column(visible=there),
            **self.form.offer(studio, values),
            **self.follow(studio, {**values, self.seen: None}),
        }

    def follow(self, studio: StudioContext, values: Values) -> Updates:
        """The jobs, and versions where a job has begun or ended since they were drawn.

        Open work is counted first: a job that ends meanwhile is drawn once more, as ended.
        """
        watching = count_jobs(studio.database, states=OPEN, kinds=(CAPTION, COMPARE)) > 0
        jobs = list_jobs(studio.database, kinds=(CAPTION,), limit=LATEST)
        seen = tuple((job.id, job.state) for job in jobs)
        drawn: Updates = {
            self.runs: runs_html(_placed(studio, jobs), "Captioning"),
            self.timer: gr.Timer(active=watching),
            **self.compared.follow(studio, values),
        }
        if seen != values[self.seen]:
            drawn |= self.draw_versions(studio, values) | {self.seen: seen}
        return drawn

    def draw_versions(self, studio: StudioContext, values: Values) -> Updates:
        """The versions that have written anything, here and in the lists of what to compare."""
        rows = _versions(studio)
        versions = [row.version for row in rows]
        drawn = self.compared.offer(studio, values, versions)
        return drawn | {self.versions: versions_html(rows)}


def _versions(studio: StudioContext) -> list[VersionRow]:
    counts = {(one.captioner, one.prompt): one for one in count_captions(studio.database)}
    return [
        VersionRow(
            version,
            counts[version.captioner, version.version],
            count_findings(studio.database, version.captioner, version.version),
        )
        for version in list_versions(studio.database)
        if (version.captioner, version.version) in counts
    ]


def _placed(studio: StudioContext, jobs: Sequence[JobView]) -> list[tuple[JobView, int | None]]:
    return [(job, queue_position(studio.database, job.id)) for job in jobs]
