"""The overview: Table 1 for what is here beside the paper's numbers, and counts as a chart."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr
from gradio.components import Component

from backend.abc.attributes import Label
from backend.corpus.describing import FACET_WORDS
from backend.corpus.differences import PAPER_TOTAL, explained_table
from backend.corpus.queries import count_by, count_corpus
from backend.corpus.sources.paper import PAPER
from backend.corpus.statistics import FacetCounts, TableRow, facet_counts
from studio.charts import OTHERS, facet_figure
from studio.context import StudioContext
from studio.guard import guarded
from studio.markup import escape, html_block, one_line

FIRST_FACET = "dataset"
NO_IMAGES = one_line("""
<div class="df-empty"><h2 class="df-section">The corpus is empty</h2><p>Open <strong>Import</strong>
and point the studio at a download: a dataset of the paper, or images of your own.</p></div>
""")
Values = Mapping[Component, Any]
Updates = dict[Component, Any]


@dataclass(frozen=True)
class OverviewPanel:
    """A headline, Table 1, and one facet of all images at a time."""

    headline: gr.Markdown
    table: gr.Markdown
    facet: gr.Radio
    chart: gr.Plot
    counts: gr.Markdown

    @property
    def inputs(self) -> set[Component]:
        """What drawing the overview depends on."""
        return {self.facet}

    @property
    def outputs(self) -> list[Component]:
        """What drawing the overview may change."""
        return [self.headline, self.table, self.chart, self.counts]

    def draw(self, studio: StudioContext, values: Values) -> Updates:
        """Everything as the catalogue has it now."""
        images = count_corpus(studio.database)
        datasets = len(count_by(studio.database, "dataset"))
        noun = "dataset" if datasets == 1 else "datasets"
        headline = f"<p><strong>{images:,} images</strong> of {datasets:,} {noun}.</p>"
        return {
            self.headline: headline if images else NO_IMAGES,
            self.table: table_html(explained_table(studio.database)),
            **self.draw_facet(studio, values[self.facet] or FIRST_FACET),
        }

    def draw_facet(self, studio: StudioContext, facet: str) -> Updates:
        """The chart of one facet, and its numbers."""
        counts = facet_counts(studio.database, facet)
        return {
            self.chart: gr.Plot(facet_figure(counts), visible=counts.total > 0),
            self.counts: counts_html(counts) if counts.total else "",
        }


def build_overview(studio: StudioContext) -> OverviewPanel:
    """Lay the panel out and wire it."""
    with gr.Column(elem_classes="df-panel"):
        gr.Markdown("## The corpus", elem_classes="df-heading", container=False)
        headline = html_block(NO_IMAGES, elem_id="corpus-headline")
        facet = gr.Radio(
            [(words, name) for name, words in FACET_WORDS.items()],
            value=FIRST_FACET,
            label="Count by",
            elem_id="corpus-facet",
            elem_classes="df-segmented",
        )
        chart = gr.Plot(
            show_label=False,
            container=False,
            visible=False,
            elem_id="corpus-chart",
            elem_classes="df-chart",
        )
        counts = html_block(elem_id="corpus-counts")
    with gr.Column(elem_classes="df-panel"):
        gr.Markdown("## Beside the paper", elem_classes="df-heading", container=False)
        table = html_block(elem_id="corpus-table")
    panel = OverviewPanel(headline, table, facet, chart, counts)

    @guarded
    def show_facet(name: str) -> Updates:
        return panel.draw_facet(studio, name)

    facet.input(show_facet, facet, [chart, counts], show_progress="hidden")
    return panel


def table_html(rows: Sequence[tuple[TableRow, str]]) -> str:
    """Table 1 of the paper for what is here, with every difference in words."""
    body = "".join(_row(row, words) for row, words in rows)
    here = [sum(getattr(row, name) for row, _ in rows) for name in ("benign", "malignant")]
    published = [
        sum(getattr(row.published, name) for row, _ in rows) for name in ("benign", "malignant")
    ]
    test = sum(row.test for row, _ in rows)
    apart = ", ".join(source.title for source in PAPER if source.test_apart)
    note = (
        f"The rows of the paper's Table 1 add up to {sum(published):,}; its text speaks of "
        f"{PAPER_TOTAL:,}. Table 1 leaves out the test splits of {apart}."
    )
    numbers = "".join(f'<td class="df-number">{_pair(pair)}</td>' for pair in (here, published))
    return one_line(f"""
    <div class="df-scroll" tabindex="0" role="region" aria-label="Table 1">
    <table class="df-table df-corpus-table"><caption>Table 1 of the paper: images, benign /
    malignant</caption><thead><tr><th scope="col">Dataset</th>
    <th scope="col" class="df-number">px</th><th scope="col" class="df-number">Here</th>
    <th scope="col" class="df-number">Paper</th><th scope="col" class="df-number">Test split</th>
    <th scope="col">Difference</th></tr></thead><tbody>{body}
    <tr class="df-total"><th scope="row">All</th><td></td>{numbers}
    <td class="df-number">{test:,}</td><td></td></tr></tbody></table></div>
    <p class="df-dim">{note}</p>
    """)


def counts_html(counts: FacetCounts) -> str:
    """The numbers behind a chart, for who does not see it."""
    rows = [*counts.values, *([(OTHERS, counts.others)] if any(counts.others.values()) else [])]
    body = "".join(
        f'<tr><th scope="row">{escape(name)}</th>'
        + "".join(f'<td class="df-number">{found.get(label, 0):,}</td>' for label in Label)
        + f'<td class="df-number">{sum(found.values()):,}</td></tr>'
        for name, found in rows
    )
    heads = "".join(
        f'<th scope="col" class="df-number">{label.capitalize()}</th>' for label in Label
    )
    facet = FACET_WORDS[counts.facet]
    return one_line(f"""
    <details><summary>The same as a table</summary><div class="df-scroll" tabindex="0" role="region"
    aria-label="Images by {facet.lower()}"><table class="df-table"><thead><tr>
    <th scope="col">{facet}</th>{heads}<th scope="col" class="df-number">All</th></tr></thead>
    <tbody>{body}</tbody></table></div></details>
    """)


def _row(row: TableRow, words: str) -> str:
    here, published = (row.benign, row.malignant), (row.published.benign, row.published.malignant)
    test = f"{row.test:,}" if row.test else ""
    return (
        f'<tr data-dataset="{row.dataset}"><th scope="row">{escape(row.title)}</th>'
        f'<td class="df-number">{row.side}</td><td class="df-number">{_pair(here)}</td>'
        f'<td class="df-number">{_pair(published)}</td><td class="df-number">{test}</td>'
        f"<td>{escape(words)}</td></tr>"
    )


def _pair(counts: Sequence[int]) -> str:
    return f"{counts[0]:,} / {counts[1]:,}"
