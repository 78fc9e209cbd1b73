"""The panel of subsets: made from presets or filters, listed, exported, removed."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import gradio as gr
from gradio.components import Component

from backend.corpus.errors import CorpusError
from backend.corpus.export_format import CorpusFormat
from backend.corpus.exporting import submit_corpus_export
from backend.corpus.subsets import list_subsets, make_subset, preview_subset, remove_subset
from backend.permissions import Deed
from studio.context import StudioContext
from studio.guard import guarded
from studio.markup import escape, html_block, notice_html
from studio.permissions import permit, signed_in
from studio.tabs.corpus_browse import BrowsePanel
from studio.tabs.corpus_exports import corpus_exports_html, corpus_format_choices
from studio.tabs.corpus_subsets_form import SubsetForm, build_subset_form
from studio.tabs.corpus_subsets_view import NO_SUBSETS, preview_html, subsets_html

Values = Mapping[Component, Any]
Updates = dict[Component, Any]


@dataclass(frozen=True)
class SubsetsPanel:
    """The form with its preview, the subsets, and the exports."""

    form: SubsetForm
    browse: BrowsePanel
    preview: gr.Markdown
    make: gr.Button
    notice: gr.Markdown
    subsets: gr.Markdown
    format: gr.Dropdown
    export_filter: gr.Button
    exports: gr.Markdown

    @property
    def inputs(self) -> set[Component]:
        """What drawing the panel depends on."""
        return {*self.form.components, *self.browse.filters.components}

    @property
    def outputs(self) -> list[Component]:
        """What drawing the panel may change."""
        return [self.preview, self.subsets, self.exports]

    def draw(self, studio: StudioContext, values: Values) -> Updates:
        """The subsets and exports as the database has them, and what a new subset would hold."""
        return {
            self.subsets: subsets_html(list_subsets(studio.database)),
            self.preview: self.preview_of(studio, values),
        } | self.look(studio)

    def look(self, studio: StudioContext) -> Updates:
        """The exports alone."""
        return {self.exports: corpus_exports_html(studio)}

    def preview_of(self, studio: StudioContext, values: Values) -> str:
        """What the form would keep, or why it cannot."""
        filters = self.browse.filters
        try:
            chosen, per_label, _ = self.form.read(values, filters)
            counts = preview_subset(studio.database, chosen, per_label)
        except CorpusError as error:
            return f'<p class="df-note" role="status">{escape(str(error))}</p>'
        return preview_html(counts, self.form.words(values, filters))

    def export(self, studio: StudioContext, values: Values, subset: str | None) -> Updates:
        """Queue an export of a subset, or of what the filters of Browse show.

        Raises AccountError or CorpusError.
        """
        permit(studio, Deed.EXPORT)
        filters, choice = self.browse.filters, subset
        if choice is None and (values[filters.name] or "").strip():
            raise CorpusError("Browse shows one search: clear it there, then export its filters.")
        criteria = filters.read(values)
        if choice is None and filters.subset(values) is not None:
            if vars(criteria) != vars(type(criteria)()):
                raise CorpusError(
                    "An export takes a subset or filters, not both: clear one of them in Browse."
                )
            choice = filters.subset(values)
        form = CorpusFormat(values[self.format])
        submit_corpus_export(
            studio.database, studio.settings, choice or criteria, form, owner=signed_in()
        )
        return self.look(studio)

    def remove(self, studio: StudioContext, values: Values, name: str) -> Updates:
        """Forget a subset.

        Raises AccountError or CorpusError.
        """
        permit(studio, Deed.COLLECT)
        remove_subset(studio.database, name)
        said = notice_html(f"The subset {name} is removed. Its images stay in the corpus.")
        return {self.notice: said} | self.draw(studio, values)


def build_subsets(studio: StudioContext, browse: BrowsePanel, timer: gr.Timer) -> SubsetsPanel:
    """Lay the panel out and wire it; its filters are those of `browse`."""
    with gr.Column(elem_classes="df-panel"):
        gr.Markdown("## Make a subset", elem_classes="df-heading", container=False)
        form = build_subset_form()
        preview = html_block(elem_id="subset-preview")
        make = gr.Button("Make subset", variant="primary", elem_id="subset-make")
    with gr.Column(elem_classes="df-panel"):
        gr.Markdown("## Subsets", elem_classes="df-heading", container=False)
        notice = html_block(elem_id="subset-notice")
        with gr.Row(elem_classes="df-toolbar df-takeaway"):
            choices = corpus_format_choices()
            form_choice = gr.Dropdown(
                choices,
                value=choices[0][1],
                label="Export as",
                filterable=False,
                elem_id="corpus-export-format",
            )
            export_filter = gr.Button(
                "Export what Browse shows", size="sm", elem_id="corpus-export-filter"
            )
        exports = html_block(elem_id="corpus-exports")
        subsets = html_block(NO_SUBSETS, elem_id="subsets")
    panel = SubsetsPanel(
        form=form,
        browse=browse,
        preview=preview,
        make=make,
        notice=notice,
        subsets=subsets,
        format=form_choice,
        export_filter=export_filter,
        exports=exports,
    )
    _wire(panel, studio, timer)
    return panel


def _wire(panel: SubsetsPanel, studio: StudioContext, timer: gr.Timer) -> None:
    form, filters = panel.form, panel.browse.filters

    @guarded
    def preview(values: Values) -> Updates:
        return {panel.preview: panel.preview_of(studio, values)}

    @guarded
    def make(values: Values) -> Updates:
        permit(studio, Deed.COLLECT)
        chosen, per_label, seed = form.read(values, filters)
        made = make_subset(
            studio.database, values[form.name] or "", chosen, per_label=per_label, seed=seed
        )
        said = notice_html(f"The subset {made.name} has {made.images:,} images.")
        return {panel.notice: said, form.name: ""} | panel.draw(studio, values)

    @guarded
    def export(values: Values) -> Updates:
        return panel.export(studio, values, None) | {timer: gr.Timer(active=True)}

    quiet: dict[str, Any] = {"show_progress": "hidden"}
    changed = [form.origin.input, form.per_label.change, form.seed.change]
    gr.on(changed, preview, panel.inputs, [panel.preview], **quiet)
    made = [*panel.outputs, panel.notice, form.name]
    panel.make.click(make, panel.inputs, made, show_progress="minimal")
    exported = [panel.exports, timer]
    panel.export_filter.click(export, {*panel.inputs, panel.format}, exported, **quiet)
