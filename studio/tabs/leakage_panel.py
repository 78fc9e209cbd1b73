"""The components of the panel of leakage and what they show: one report, one page of its pairs."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import gradio as gr
from gradio.components import Component

from backend.corpus.decisions import find_pairs, pairs_mark
from backend.corpus.leakage_search import LEAKAGE, REPORT, LeakageReport, read_leakage
from backend.corpus.picture_cards import picture_cards
from backend.errors import DermaFluxError
from backend.jobs.queue import JobView, count_jobs, get_job
from backend.jobs.states import OPEN
from studio.context import StudioContext
from studio.tabs.leakage_view import (
    NO_REPORT,
    comparisons_html,
    finding_html,
    pairs_html,
    same_html,
)
from studio.tabs.report_cards import missing_html, report_of, reported_runs
from studio.tabs.set_choice import SetChoice

PAGE_SIZE = 8
LATEST = 4
Values = Mapping[Component, Any]
Updates = dict[Component, Any]


@dataclass(frozen=True)
class LeakagePanel:
    """The components of the panel; a parent tab calls `look` when it is opened.

    `timer` runs while a comparison is open. `opened` is the job whose report is shown, `pairs` are
    those on the page, `history` is what was decided in this window; `seen` tells what was drawn.
    """

    first: SetChoice
    second: SetChoice
    compare: gr.Button
    comparisons: gr.Markdown
    finding: gr.Markdown
    undo: gr.Button
    export: gr.Button
    notice: gr.Markdown
    cards: gr.Markdown
    earlier: gr.Button
    place: gr.Markdown
    later: gr.Button
    actions: gr.Textbox
    timer: gr.Timer
    page: gr.State
    opened: gr.State
    pairs: gr.State
    history: gr.State
    seen: gr.State

    @property
    def inputs(self) -> set[Component]:
        """What drawing the panel depends on."""
        return {self.first.sets, self.second.sets, self.page, self.opened, self.seen}

    @property
    def outputs(self) -> list[Component]:
        """What drawing the panel may change."""
        drawn = [self.comparisons, self.finding, self.cards, self.place, self.earlier, self.later]
        states = [self.timer, self.page, self.opened, self.pairs, self.seen]
        return [self.first.sets, self.second.sets, *drawn, self.export, *states]

    def look(self, studio: StudioContext, values: Values) -> Updates:
        """Sets, comparisons and the open report as they are now."""
        offered = self.first.offer(studio, values) | self.second.offer(studio, values)
        return self.follow(studio, values) | offered

    def follow(self, studio: StudioContext, values: Values) -> Updates:
        """Comparisons, and the open report where it changed; the newest is opened first.

        Open work is counted first: a job that ends meanwhile is drawn once more, as ended.
        """
        watching = count_jobs(studio.database, states=OPEN, kinds=(LEAKAGE,)) > 0
        runs = reported_runs(studio, LEAKAGE, REPORT, LATEST)
        opened = values[self.opened] or next((run.job.id for run in runs if run.reported), None)
        drawn: Updates = {
            self.comparisons: comparisons_html(runs, opened),
            self.timer: gr.Timer(active=watching),
        }
        if opened != values[self.opened]:
            drawn[self.opened] = opened
        if self.mark(studio, opened) != values[self.seen]:
            drawn |= self.draw(studio, {**values, self.opened: opened})
        return drawn

    def mark(self, studio: StudioContext, job_id: str | None) -> tuple[object, ...]:
        """What tells one state of a report from another: its file, and all decisions."""
        if job_id is None:
            return ()
        written = report_of(studio, job_id, REPORT).is_file()
        return (job_id, written, *pairs_mark(studio.database))

    def draw(self, studio: StudioContext, values: Values, *, page: int | None = None) -> Updates:
        """The open report with one page of its pairs, and no other pair."""
        job_id = values[self.opened]
        shown: Updates = {self.seen: self.mark(studio, job_id)}
        if job_id is None:
            return shown | self._nothing("", NO_REPORT)
        if not report_of(studio, job_id, REPORT).is_file():
            return shown | self._nothing("", "")
        try:
            job = get_job(studio.database, job_id)
            report = read_leakage(studio.database, studio.settings.jobs_dir / job_id)
        except DermaFluxError as error:
            return shown | self._nothing(missing_html(str(error)), "")
        page = values[self.page] if page is None else page
        return shown | self._report(studio, job, report, page)

    def _report(
        self, studio: StudioContext, job: JobView, report: LeakageReport, page: int
    ) -> Updates:
        found = report.leakage.pairs
        last = max(0, (len(found) - 1) // PAGE_SIZE)
        page = min(last, max(0, page))
        start = page * PAGE_SIZE
        pairs = found[start : start + PAGE_SIZE]
        same = report.leakage.same[:PAGE_SIZE]
        judged = find_pairs(studio.database, [pair.ids for pair in pairs])
        ids = [*same, *(one for pair in pairs for one in pair.ids)]
        cards = picture_cards(studio.database, studio.settings, ids)
        both = same_html(report, {one: cards[one] for one in same}) if page == 0 else ""
        return {
            self.finding: finding_html(job.title, report),
            self.cards: both + pairs_html(report, pairs, judged, cards),
            self.place: f"{start + 1:,} to {start + len(pairs):,} of {len(found):,} pairs"
            if pairs
            else "",
            self.earlier: gr.Button(interactive=page > 0),
            self.later: gr.Button(interactive=page < last),
            self.export: gr.Button(interactive=not report.leakage.clean),
            self.page: page,
            self.pairs: list(judged.values()),
        }

    def _nothing(self, finding: str, cards: str) -> Updates:
        idle = gr.Button(interactive=False)
        return {
            self.finding: finding,
            self.cards: cards,
            self.place: "",
            self.earlier: idle,
            self.later: idle,
            self.export: idle,
            self.page: 0,
            self.pairs: [],
        }
