"""Two versions of captions compared: the choice, the jobs, one report, a page of differences."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.components import Component

from backend.captioning.comparing import (
    KIND,
    REPORT,
    ComparisonTask,
    read_comparison,
    read_differences,
    submit_comparison,
)
from backend.captioning.comparison_tables import AGREEMENT, CAPTIONERS, DISAGREEMENTS
from backend.captioning.errors import CaptioningError
from backend.captioning.versions import CaptionerVersion
from backend.corpus.picture_cards import picture_cards
from backend.errors import DermaFluxError
from backend.files import read_file
from backend.permissions import Deed
from studio.context import StudioContext
from studio.guard import guarded
from studio.markup import html_block
from studio.permissions import permit
from studio.tabs.captions_compared_view import (
    NOT_ENOUGH,
    comparisons_html,
    differences_html,
    report_html,
)
from studio.tabs.captions_images import ImageChoice, build_image_choice
from studio.tabs.captions_view import version_words
from studio.tabs.report_cards import missing_html, report_of, reported_runs
from studio.tabs.table_download import offer_table

PAGE_SIZE = 8
LATEST = 3
TABLES: Mapping[str, tuple[str, str]] = {
    AGREEMENT: ("Agreement as CSV", "caption-agreement"),
    CAPTIONERS: ("Captioners as CSV", "captioners"),
    DISAGREEMENTS: ("Disagreements as CSV", "caption-disagreements"),
}
"""By the file in the folder of a comparison: what is offered, and under which name."""
Values = Mapping[Component, Any]
Updates = dict[Any, Any]


@dataclass(frozen=True)
class CaptionComparison:
    """The components; `opened` is the job whose report is shown, `drawn` that which was drawn."""

    choices: gr.Column
    nothing: gr.Markdown
    first: gr.Dropdown
    second: gr.Dropdown
    images: ImageChoice
    compare: gr.Button
    comparisons: gr.Markdown
    report: gr.Markdown
    tables: Mapping[str, gr.Button]
    notice: gr.Markdown
    differences: gr.Markdown
    results: gr.Column
    earlier: gr.Button
    place: gr.Markdown
    later: gr.Button
    page: gr.State
    opened: gr.State
    drawn: gr.State

    @property
    def inputs(self) -> set[Component]:
        """What drawing depends on."""
        chosen = {self.first, self.second, self.images.choice}
        return {*chosen, self.page, self.opened, self.drawn}

    @property
    def outputs(self) -> list[Any]:
        """What drawing may change."""
        chosen = [self.choices, self.nothing, self.first, self.second, self.images.choice]
        report = [self.comparisons, self.report, self.differences, self.results]
        pager = [self.earlier, self.place, self.later]
        return [*chosen, *report, *pager, self.notice, self.page, self.opened, self.drawn]

    def offer(
        self, studio: StudioContext, values: Values, versions: Sequence[CaptionerVersion]
    ) -> Updates:
        """The versions that have captions; two that differ are chosen where none are."""
        choices = [(version_words(one), one.reference) for one in versions]
        names = [name for _, name in choices]
        enough = len(names) > 1
        first = values[self.first] if values[self.first] in names else next(iter(names), None)
        others = [name for name in names if name != first]
        second = values[self.second] if values[self.second] in names else next(iter(others), None)
        return {
            self.choices: gr.Column(visible=enough),
            self.nothing: "" if enough else NOT_ENOUGH,
            self.first: gr.Dropdown(choices=choices, value=first),
            self.second: gr.Dropdown(choices=choices, value=second),
            **self.images.offer(studio, values),
        }

    def submit(self, studio: StudioContext, values: Values, owner: str | None) -> Updates:
        """Queue the comparison of what is chosen, and open its report when it comes.

        Raises:
            AccountError: the role of the account does not allow it.
            CaptioningError: both are one, or one is not chosen or gone.
        """
        permit(studio, Deed.CAPTION)
        if not (values[self.first] and values[self.second]):
            raise CaptioningError("Choose two versions of captions to compare.")
        task = ComparisonTask(
            first=values[self.first], second=values[self.second], **self.images.read(values)
        )
        opened = {self.opened: submit_comparison(studio.database, task, owner=owner)}
        return self.follow(studio, {**values, **opened, self.page: 0}) | opened

    def follow(self, studio: StudioContext, values: Values) -> Updates:
        """Jobs, and the open report once it is there; the newest is opened first."""
        runs = reported_runs(studio, KIND, REPORT, LATEST)
        opened = values[self.opened] or next((run.job.id for run in runs if run.reported), None)
        drawn: Updates = {self.comparisons: comparisons_html(runs, opened)}
        if opened != values[self.opened]:
            drawn[self.opened] = opened
        if _mark(studio, opened) != values[self.drawn]:
            drawn |= self.draw(studio, {**values, self.opened: opened})
        return drawn

    def draw(self, studio: StudioContext, values: Values, *, page: int | None = None) -> Updates:
        """The open report with one page of differences, and no other."""
        opened = values[self.opened]
        mark = _mark(studio, opened)
        shown: Updates = {self.drawn: mark, self.notice: ""}
        if opened is None or not mark[1]:
            return shown | self._nothing("")
        folder = studio.settings.jobs_dir / opened
        try:
            return shown | self._report(studio, folder, values[self.page] if page is None else page)
        except DermaFluxError as error:
            return shown | self._nothing(missing_html(str(error)))

    def table(self, studio: StudioContext, job_id: str | None, name: str) -> str:
        """The HTML that downloads a table of the open report. Raises FileError where it is gone."""
        if job_id is None:
            raise CaptioningError("No comparison is open: compare two versions first.")
        text = read_file(studio.settings.jobs_dir / job_id / name).decode()
        return offer_table(studio, TABLES[name][1], [text])

    def _report(self, studio: StudioContext, folder: Path, page: int) -> Updates:
        report = read_comparison(folder)
        last = max(0, (report.differing - 1) // PAGE_SIZE)
        page = min(last, max(0, page))
        start = page * PAGE_SIZE
        found = read_differences(folder, limit=PAGE_SIZE, offset=start)
        ids = [one.image_id for one in found]
        cards = picture_cards(studio.database, studio.settings, ids)
        place = f"{start + 1:,} to {start + len(found):,} of {report.differing:,} images"
        return {
            self.report: report_html(report),
            self.differences: differences_html(found, cards),
            self.results: gr.Column(visible=True),
            self.place: place if found else "",
            self.earlier: gr.Button(interactive=page > 0),
            self.later: gr.Button(interactive=page < last),
            self.page: page,
        }

    def _nothing(self, report: str) -> Updates:
        return {
            self.report: report,
            self.differences: "",
            self.results: gr.Column(visible=False),
            self.place: "",
            self.page: 0,
        }


def build_comparison(studio: StudioContext) -> CaptionComparison:
    """Lay the part out; the panel around it wires what it watches."""
    nothing = html_block(NOT_ENOUGH, elem_id="captions-not-enough")
    with gr.Column(visible=False) as choices:
        with gr.Row():
            first = _version_choice("A", "captions-first")
            second = _version_choice("B", "captions-second")
            images = build_image_choice(studio, "captions-of", "On the images of")
        with gr.Row(elem_classes="df-actions"):
            compare = gr.Button("Compare", elem_id="compare-captions")
    comparisons = html_block(elem_id="caption-comparisons")
    report = html_block(elem_id="caption-report")
    with gr.Column(visible=False) as results:
        with gr.Row(elem_classes="df-toolbar"):
            tables = {
                name: gr.Button(words, size="sm", elem_id=f"{file}-csv")
                for name, (words, file) in TABLES.items()
            }
        notice = html_block(elem_id="caption-notice")
        gr.Markdown("### Where they differ", elem_classes="df-heading", container=False)
        differences = html_block(elem_id="caption-differences")
        with gr.Row(elem_classes="df-pager"):
            earlier = gr.Button("← Before", size="sm", interactive=False, min_width=80)
            place = gr.Markdown("", container=False, elem_id="caption-place")
            later = gr.Button(
                "Next →", size="sm", interactive=False, min_width=80, elem_id="caption-later"
            )
    return CaptionComparison(
        choices=choices,
        nothing=nothing,
        first=first,
        second=second,
        images=images,
        compare=compare,
        comparisons=comparisons,
        report=report,
        tables=tables,
        notice=notice,
        differences=differences,
        results=results,
        earlier=earlier,
        place=place,
        later=later,
        page=gr.State(0),
        opened=gr.State(None),
        drawn=gr.State(None),
    )


def wire_pages(comparison: CaptionComparison, studio: StudioContext) -> None:
    """Paging and downloads, which concern this part alone."""
    inputs, outputs = comparison.inputs, comparison.outputs

    @guarded
    def earlier(values: Values) -> Updates:
        return comparison.draw(studio, values, page=values[comparison.page] - 1)

    @guarded
    def later(values: Values) -> Updates:
        return comparison.draw(studio, values, page=values[comparison.page] + 1)

    quiet: dict[str, Any] = {"show_progress": "hidden"}
    comparison.earlier.click(earlier, inputs, outputs, **quiet)
    comparison.later.click(later, inputs, outputs, **quiet)
    for name, offered in comparison.tables.items():
        _wire_table(comparison, studio, name, offered)


def _wire_table(
    comparison: CaptionComparison, studio: StudioContext, name: str, offered: gr.Button
) -> None:
    @guarded
    def download(job_id: str | None) -> str:
        return comparison.table(studio, job_id, name)

    offered.click(download, comparison.opened, comparison.notice, show_progress="hidden")


def _version_choice(label: str, name: str) -> gr.Dropdown:
    return gr.Dropdown([], value=None, label=label, min_width=220, elem_id=name)


def _mark(studio: StudioContext, job_id: str | None) -> tuple[str | None, bool]:
    """What tells a report that is there from one that is not yet."""
    written = job_id is not None and report_of(studio, job_id, REPORT).is_file()
    return job_id, written
