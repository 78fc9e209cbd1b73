"""What the imports left out, and why: filtered, paged, exported."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import gradio as gr
from gradio.components import Component

from backend.corpus.catalogue import (
    count_left_out_by_dataset,
    left_out_lines,
    list_left_out,
)
from backend.corpus.describing import dataset_title
from backend.corpus.differences import REASONS
from backend.corpus.exclusions import LeftOut, Reason
from backend.files import write_file
from backend.permissions import Deed
from studio.context import StudioContext
from studio.guard import guarded
from studio.markup import escape, file_url, html_block, notice_html, one_line
from studio.permissions import permit
from studio.wording import ANY

PAGE_SIZE = 50
NOTHING = one_line("""
<div class="df-empty"><p>Nothing was left out. After an import, every row and file that is not in
the catalogue stands here with its reason.</p></div>
""")
Values = Mapping[Component, Any]
Updates = dict[Component, Any]


@dataclass(frozen=True)
class ReportPanel:
    """The table with its two filters and its pager."""

    dataset: gr.Dropdown
    reason: gr.Dropdown
    save: gr.Button
    saved: gr.Markdown
    table: gr.Markdown
    place: gr.Markdown
    previous: gr.Button
    following: gr.Button
    page: gr.State

    @property
    def inputs(self) -> set[Component]:
        """What drawing the report depends on."""
        return {self.dataset, self.reason, self.page}

    @property
    def outputs(self) -> list[Component]:
        """What drawing the report may change."""
        shown = [self.table, self.place, self.previous, self.following, self.save]
        return [*shown, self.dataset, self.reason, self.page]

    def chosen(self, values: Values) -> tuple[str | None, Reason | None]:
        """The filters as they stand."""
        reason = values[self.reason]
        return values[self.dataset] or None, Reason(reason) if reason else None

    def show_dataset(self, studio: StudioContext, values: Values, dataset: str) -> Updates:
        """What was left out of one dataset, for any reason."""
        drawn = self.draw(studio, {**values, self.dataset: dataset, self.reason: ""}, page=0)
        counts = count_left_out_by_dataset(studio.database)
        return drawn | {
            self.dataset: gr.Dropdown(choices=_dataset_choices(counts, dataset), value=dataset),
            self.reason: gr.Dropdown(choices=_reason_choices(counts, dataset, None), value=""),
        }

    def draw(self, studio: StudioContext, values: Values, *, page: int | None = None) -> Updates:
        """The page of rows that the filters ask for."""
        dataset, reason = self.chosen(values)
        counts = count_left_out_by_dataset(studio.database)
        total = sum(
            count
            for (name, kind), count in counts.items()
            if dataset in (None, name) and reason in (None, kind)
        )
        last = max(0, (total - 1) // PAGE_SIZE)
        page = min(last, max(0, values[self.page] if page is None else page))
        offset = page * PAGE_SIZE
        rows = list_left_out(studio.database, dataset, reason, limit=PAGE_SIZE, offset=offset)
        return {
            self.table: report_html(rows) if rows else NOTHING,
            self.place: f"{offset + 1:,} to {offset + len(rows):,} of {total:,}" if rows else "",
            self.previous: gr.Button(interactive=page > 0),
            self.following: gr.Button(interactive=page < last),
            self.save: gr.Button(interactive=total > 0),
            self.dataset: gr.Dropdown(choices=_dataset_choices(counts, dataset)),
            self.reason: gr.Dropdown(choices=_reason_choices(counts, dataset, reason)),
            self.page: page,
        }


def report_html(rows: list[tuple[str, LeftOut]]) -> str:
    """One page of what was left out."""
    body = "".join(
        f'<tr><th scope="row">{escape(dataset_title(dataset))}</th><td>{_kind(one.reason)}</td>'
        f'<td class="df-place">{escape(one.place)}</td><td>{escape(one.detail)}</td></tr>'
        for dataset, one in rows
    )
    return one_line(f"""
    <div class="df-scroll" tabindex="0" role="region" aria-label="Left out">
    <table class="df-table df-corpus-table"><thead><tr><th scope="col">Dataset</th>
    <th scope="col">Reason</th><th scope="col">File or row</th><th scope="col">Why</th></tr></thead>
    <tbody>{body}</tbody></table></div>
    """)


def build_report_panel(studio: StudioContext) -> ReportPanel:
    """Lay the panel out and wire it."""
    gr.Markdown("## What was left out", elem_classes="df-heading", container=False)
    with gr.Row():
        dataset = _filter("Dataset")
        reason = _filter("Reason")
    with gr.Row(elem_classes="df-toolbar"):
        save = gr.Button("Save as CSV", size="sm", interactive=False, elem_id="report-save")
    saved = html_block(elem_id="report-saved")
    table = html_block(NOTHING, elem_id="report")
    with gr.Row(elem_classes="df-pager"):
        previous = gr.Button("← Previous", size="sm", interactive=False, min_width=80)
        place = gr.Markdown("", container=False, elem_id="report-place")
        following = gr.Button(
            "Next →", size="sm", interactive=False, min_width=80, elem_id="report-next"
        )
    panel = ReportPanel(
        dataset=dataset,
        reason=reason,
        save=save,
        saved=saved,
        table=table,
        place=place,
        previous=previous,
        following=following,
        page=gr.State(0),
    )
    _wire(panel, studio)
    return panel


def _filter(label: str) -> gr.Dropdown:
    return gr.Dropdown(
        [(ANY, "")],
        value="",
        label=label,
        filterable=False,
        min_width=150,
        elem_id=f"report-{label.lower()}",
    )


def _wire(panel: ReportPanel, studio: StudioContext) -> None:
    @guarded
    def first(values: Values) -> Updates:
        return panel.draw(studio, values, page=0)

    @guarded
    def previous(values: Values) -> Updates:
        return panel.draw(studio, values, page=values[panel.page] - 1)

    @guarded
    def following(values: Values) -> Updates:
        return panel.draw(studio, values, page=values[panel.page] + 1)

    @guarded
    def save(values: Values) -> Updates:
        permit(studio, Deed.EXPORT)
        return {panel.saved: _save(studio, *panel.chosen(values))}

    quiet: dict[str, Any] = {"show_progress": "hidden", "concurrency_limit": None}
    changed = [panel.dataset.input, panel.reason.input]
    gr.on(changed, first, panel.inputs, panel.outputs, **quiet)
    panel.previous.click(previous, panel.inputs, panel.outputs, **quiet)
    panel.following.click(following, panel.inputs, panel.outputs, **quiet)
    panel.save.click(save, panel.inputs, [panel.saved], show_progress="minimal")


def _save(studio: StudioContext, dataset: str | None, reason: Reason | None) -> str:
    moment = datetime.now(UTC).strftime("%Y%m%d-%H%M%S-%f")
    file = studio.settings.exports_dir / f"left-out-{dataset or 'all'}-{moment}.csv"
    write_file(file, "".join(left_out_lines(studio.database, dataset, reason)).encode())
    link = f'<a class="df-button" href="{file_url(file)}" download="{file.name}">Download CSV</a>'
    return notice_html("The report is saved.", link)


def _kind(reason: Reason) -> str:
    return REASONS[reason][0].capitalize()


def _dataset_choices(
    counts: Mapping[tuple[str, Reason], int], chosen: str | None
) -> list[tuple[str, str]]:
    totals: dict[str, int] = dict.fromkeys(filter(None, [chosen]), 0)
    for (name, _), count in counts.items():
        totals[name] = totals.get(name, 0) + count
    named = [(f"{dataset_title(name)} ({count:,})", name) for name, count in sorted(totals.items())]
    return [(ANY, ""), *named]


def _reason_choices(
    counts: Mapping[tuple[str, Reason], int], dataset: str | None, chosen: Reason | None
) -> list[tuple[str, str]]:
    totals: dict[Reason, int] = dict.fromkeys(filter(None, [chosen]), 0)
    for (name, kind), count in counts.items():
        if dataset in (None, name):
            totals[kind] = totals.get(kind, 0) + count
    named = [(f"{_kind(kind)} ({count:,})", kind.value) for kind, count in totals.items()]
    return [(ANY, ""), *named]
