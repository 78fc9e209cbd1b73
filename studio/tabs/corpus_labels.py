"""Labels of the Corpus tab: what each diagnosis counts as, its effect, applied as a job, undone."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import gradio as gr
from gradio.components import Component

from backend.corpus.dataset_jobs import jobs_on
from backend.corpus.label_effects import labelled_datasets, preview
from backend.corpus.label_rules import find_version, list_versions
from backend.corpus.relabelling import KIND, prepare_relabel, submit_relabel
from backend.corpus.rule_editing import Choice, with_choice
from backend.jobs.queue import JobView, queue_position
from backend.jobs.states import JobState
from studio.actions import PageAction, bridge, on_action, read_action
from studio.context import StudioContext
from studio.guard import guarded, guarded_tick
from studio.job_actions import act_on_job
from studio.markup import html_block
from studio.permissions import signed_in
from studio.tabs.corpus_labels_draft import LabelDraft, base_of, draft_of, with_draft
from studio.tabs.corpus_labels_view import (
    BRIDGE,
    NO_DATASETS,
    apply_html,
    edits_html,
    effect_html,
    history_html,
    job_html,
    mapping_html,
)

TICK_S = 1.0
Values = Mapping[Component, Any]
Updates = dict[Component, Any]


@dataclass(frozen=True)
class LabelsPanel:
    """The components of the panel.

    `drafts` holds what was chosen but not applied, by dataset. The tab around it calls `look` with
    `inputs` for `outputs` when it is opened; `timer` runs while a job changes labels.
    """

    dataset: gr.Dropdown
    mapping: gr.Markdown
    edits: gr.Markdown
    buttons: gr.Row
    show: gr.Button
    discard: gr.Button
    effect: gr.Markdown
    note: gr.Textbox
    apply: gr.Markdown
    job: gr.Markdown
    history: gr.Markdown
    past: gr.Column
    actions: gr.Textbox
    drafts: gr.State
    timer: gr.Timer

    @property
    def inputs(self) -> set[Component]:
        """What drawing the panel depends on."""
        return {self.dataset, self.drafts}

    @property
    def outputs(self) -> list[Component]:
        """What drawing the panel may change."""
        drawn = [self.dataset, self.mapping, self.edits, self.buttons, self.show, self.discard]
        asked = [self.effect, self.note, self.apply]
        return [*drawn, *asked, self.job, self.history, self.past, self.drafts, self.timer]

    def look(self, studio: StudioContext, values: Values) -> Updates:
        """The panel as the database has it now; what is chosen but not applied stays."""
        names = labelled_datasets(studio.database)
        chosen = values[self.dataset] if values[self.dataset] in names else None
        chosen = chosen or next(iter(names), None)
        dropdown = gr.Dropdown(choices=names, value=chosen, visible=bool(names))
        if chosen is None:
            return {self.dataset: dropdown, self.mapping: NO_DATASETS} | self._empty()
        drawn = self.draw(studio, {**values, self.dataset: chosen})
        return {self.dataset: dropdown} | drawn

    def draw(self, studio: StudioContext, values: Values, *, anew: bool = False) -> Updates:
        """The chosen dataset: its mapping, what was edited, its job and its history.

        Raises:
            CorpusError: its images are gone.
        """
        dataset, drafts = values[self.dataset], values[self.drafts]
        versions = list_versions(studio.database, dataset)
        draft = draft_of(drafts, dataset, versions)
        job = _unfinished(studio, dataset)
        editable = job is None or job.state.ended
        edited = draft.rule.version != base_of(versions, draft).hash
        position = queue_position(studio.database, job.id) if job else None
        return {
            self.mapping: mapping_html(
                preview(studio.database, dataset), draft.rule, editable=editable, anew=anew
            ),
            self.edits: edits_html(base_of(versions, draft), draft.rule, versions[-1]),
            self.buttons: gr.Row(visible=True),
            self.show: gr.Button(interactive=editable and edited),
            self.discard: gr.Button(interactive=edited),
            self.job: job_html(job, position),
            self.history: history_html(versions, editable=editable),
            self.past: gr.Column(visible=True),
            self.timer: gr.Timer(active=not editable),
        }

    def choose(self, studio: StudioContext, values: Values, action: PageAction) -> Updates:
        """Another word on one diagnosis; the mapping already shows it, and keeps its focus."""
        dataset, drafts = values[self.dataset], values[self.drafts]
        versions = list_versions(studio.database, dataset)
        draft = draft_of(drafts, dataset, versions)
        rule = with_choice(draft.rule, action.value, Choice(action.choice))
        drafts = with_draft(drafts, dataset, versions, LabelDraft(draft.base, rule))
        edited = dataset in drafts
        return {
            self.drafts: drafts,
            self.edits: edits_html(base_of(versions, draft), rule, versions[-1]),
            self.show: gr.Button(interactive=edited),
            self.discard: gr.Button(interactive=edited),
        } | self.forget_effect()

    def show_effect(self, studio: StudioContext, values: Values) -> Updates:
        """What the chosen labels would do, and the way to apply them.

        Raises:
            CorpusError: they would label nothing.
        """
        dataset = values[self.dataset]
        versions = list_versions(studio.database, dataset)
        effect = preview(
            studio.database, dataset, draft_of(values[self.drafts], dataset, versions).rule
        )
        return {
            self.effect: effect_html(effect),
            self.note: gr.Textbox(visible=True),
            self.apply: apply_html(effect),
        }

    def restore(self, studio: StudioContext, values: Values, version: int) -> Updates:
        """Choose the labels of an old version, and show what that would do.

        Raises:
            CorpusError: there is no such version.
        """
        dataset = values[self.dataset]
        wanted = find_version(studio.database, dataset, version)
        versions = list_versions(studio.database, dataset)
        draft = LabelDraft(versions[-1].version, wanted.rule)
        drafts = with_draft(values[self.drafts], dataset, versions, draft)
        values = {**values, self.drafts: drafts}
        drawn = self.draw(studio, values, anew=True) | {self.drafts: drafts}
        return drawn | self.show_effect(studio, values)

    def submit(self, studio: StudioContext, values: Values) -> Updates:
        """Apply what is chosen, as a job.

        Raises:
            AccountError: the role of the account does not allow it.
            CorpusError: somebody else was faster, or a job is at work.
        """
        dataset, account = values[self.dataset], signed_in()
        versions = list_versions(studio.database, dataset)
        draft = draft_of(values[self.drafts], dataset, versions)
        task = prepare_relabel(
            studio.database,
            dataset,
            draft.rule,
            base=draft.base,
            note=values[self.note] or "",
            account=account,
        )
        submit_relabel(studio.database, task, account)
        return self.discard_draft(studio, values)

    def discard_draft(self, studio: StudioContext, values: Values) -> Updates:
        """The labels as they are in force."""
        dataset, drafts = values[self.dataset], values[self.drafts]
        left = {name: draft for name, draft in drafts.items() if name != dataset}
        drawn = self.draw(studio, {**values, self.drafts: left}, anew=True)
        return drawn | {self.drafts: left} | self.forget_effect()

    def forget_effect(self) -> Updates:
        """No effect is shown, and nothing can be applied."""
        return {self.effect: "", self.note: gr.Textbox(value="", visible=False), self.apply: ""}

    def _empty(self) -> Updates:
        return {
            self.edits: "",
            self.buttons: gr.Row(visible=False),
            self.job: "",
            self.history: "",
            self.past: gr.Column(visible=False),
            self.timer: gr.Timer(active=False),
        } | self.forget_effect()


def build_labels(studio: StudioContext) -> LabelsPanel:
    """Lay the panel out and wire it."""
    gr.Markdown("## Labels", elem_classes="df-heading", container=False)
    gr.Markdown(
        "What each diagnosis of a dataset counts as. Diagnoses themselves are never changed, and "
        "images that are dropped are kept: any version can be restored.",
        elem_classes="df-note",
        container=False,
    )
    dataset = gr.Dropdown(
        [], label="Dataset", filterable=False, visible=False, elem_id="labels-dataset"
    )
    mapping = html_block(NO_DATASETS, elem_id="labels-mapping")
    edits = html_block(elem_id="labels-edits")
    with gr.Row(elem_classes="df-actions", visible=False) as buttons:
        show = gr.Button("Show effect", variant="primary", interactive=False, elem_id="show-effect")
        discard = gr.Button("Discard changes", interactive=False, elem_id="discard-labels")
    effect = html_block(elem_id="labels-effect")
    note = gr.Textbox(
        label="Note (optional)",
        info="Why, for whoever reads the history.",
        max_lines=3,
        visible=False,
        elem_id="labels-note",
    )
    apply = html_block(elem_id="labels-apply")
    job = html_block(elem_id="labels-job")
    with gr.Column(visible=False) as past:
        gr.Markdown("### History", elem_classes="df-heading", container=False)
        history = html_block(elem_id="labels-history")
    panel = LabelsPanel(
        dataset=dataset,
        mapping=mapping,
        edits=edits,
        buttons=buttons,
        show=show,
        discard=discard,
        effect=effect,
        note=note,
        apply=apply,
        job=job,
        history=history,
        past=past,
        actions=bridge(BRIDGE),
        drafts=gr.State({}),
        timer=gr.Timer(TICK_S, active=False),
    )
    _wire(panel, studio)
    return panel


def _wire(panel: LabelsPanel, studio: StudioContext) -> None:
    @guarded
    def choose_dataset(values: Values) -> Updates:
        return panel.draw(studio, values, anew=True) | panel.forget_effect()

    @guarded
    def show_effect(values: Values) -> Updates:
        return panel.show_effect(studio, values)

    @guarded
    def discard(values: Values) -> Updates:
        return panel.discard_draft(studio, values)

    @guarded
    def act(values: Values) -> Updates:
        action = read_action(values[panel.actions])
        if action.action == "choose":
            return panel.choose(studio, values, action)
        if action.action == "apply":
            return panel.submit(studio, values)
        if action.action == "restore":
            return panel.restore(studio, values, int(action.value))
        act_on_job(studio, action.action, action.value)
        return panel.look(studio, values)

    @guarded_tick
    def look(values: Values) -> Updates:
        return panel.look(studio, values)

    quiet: dict[str, Any] = {"show_progress": "hidden"}
    panel.dataset.input(choose_dataset, panel.inputs, panel.outputs, **quiet)
    panel.show.click(show_effect, panel.inputs, panel.outputs, **quiet)
    panel.discard.click(discard, panel.inputs, panel.outputs, **quiet)
    on_action(panel.actions, act, {*panel.inputs, panel.actions, panel.note}, panel.outputs)
    panel.timer.tick(look, panel.inputs, panel.outputs, concurrency_limit=None, **quiet)


def _unfinished(studio: StudioContext, dataset: str) -> JobView | None:
    """The newest job on the dataset's labels, unless it is done."""
    newest = next(iter(jobs_on(studio.database, dataset, KIND, limit=100)), None)
    return None if newest is None or newest.state is JobState.DONE else newest
