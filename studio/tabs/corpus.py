"""The Corpus tab: datasets imported, counted, browsed, and kept as subsets."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import gradio as gr
from gradio.components import Component

from backend.captioning.comparing import KIND as COMPARE_CAPTIONS
from backend.captioning.running import KIND as CAPTION
from backend.corpus.duplicate_search import DUPLICATES
from backend.corpus.exporting import KIND as EXPORT
from backend.corpus.importing import KIND as IMPORT
from backend.corpus.leakage_search import LEAKAGE
from backend.corpus.relabelling import KIND as RELABEL
from backend.jobs.queue import count_jobs
from backend.jobs.states import OPEN
from studio.actions import ActionError, bridge, on_action, read_action
from studio.context import StudioContext
from studio.guard import guarded, guarded_tick
from studio.job_actions import act_on_job
from studio.tabs.corpus_browse import BrowsePanel, build_browse
from studio.tabs.corpus_captions import build_captions
from studio.tabs.corpus_duplicates import build_duplicates
from studio.tabs.corpus_import import BRIDGE as IMPORT_BRIDGE
from studio.tabs.corpus_import import ImportPanel, build_import_panel
from studio.tabs.corpus_labels import build_labels
from studio.tabs.corpus_leakage import build_leakage
from studio.tabs.corpus_overview import OverviewPanel, build_overview
from studio.tabs.corpus_report import ReportPanel, build_report_panel
from studio.tabs.corpus_subsets import SubsetsPanel, build_subsets
from studio.tabs.corpus_subsets_view import BRIDGE as SUBSETS_BRIDGE

TICK_S = 1.0
WATCHED = (IMPORT, EXPORT)
GUESTS_WATCH = (RELABEL, DUPLICATES, LEAKAGE, CAPTION, COMPARE_CAPTIONS)
PART_IMPORT, PART_OVERVIEW, PART_BROWSE, PART_SUBSETS = (
    *("corpus-import", "corpus-overview", "corpus-browse", "corpus-subsets"),
)
Values = Mapping[Component, Any]
Updates = dict[Component, Any]


class Panel(Protocol):
    """A part of the tab that follows jobs of its own: it looks when it is opened."""

    @property
    def timer(self) -> gr.Timer:
        """Runs while one of its jobs is open."""

    @property
    def inputs(self) -> set[Component]:
        """What drawing it depends on."""

    @property
    def outputs(self) -> list[Component]:
        """What drawing it may change."""

    def look(self, studio: StudioContext, values: Values) -> Updates:
        """The panel as the database has it now."""


GUESTS: Sequence[tuple[str, Callable[[StudioContext], Panel]]] = (
    ("Labels", build_labels),
    ("Duplicates", build_duplicates),
    ("Leakage", build_leakage),
    ("Captions", build_captions),
)


@dataclass(frozen=True)
class Guest:
    """A panel and the tab that opens it."""

    part: gr.Tab
    panel: Panel


@dataclass(frozen=True)
class CorpusTab:
    """The panels of the tab; `timer` runs while an import or an export is open."""

    parts: gr.Tabs
    imports: ImportPanel
    report: ReportPanel
    overview: OverviewPanel
    browse: BrowsePanel
    subsets: SubsetsPanel
    guests: Sequence[Guest]
    import_actions: gr.Textbox
    subset_actions: gr.Textbox
    timer: gr.Timer

    @property
    def inputs(self) -> set[Component]:
        """What drawing the tab depends on."""
        panels = (self.report, self.overview, self.browse, self.subsets)
        return {part for panel in panels for part in panel.inputs}

    @property
    def outputs(self) -> list[Component]:
        """What drawing the tab may change."""
        panels = (self.report, self.overview, self.browse, self.subsets)
        return [
            *(part for panel in panels for part in panel.outputs),
            self.imports.imports,
            self.timer,
        ]

    def draw(self, studio: StudioContext, values: Values) -> Updates:
        """Everything as the database has it now."""
        busy = count_jobs(studio.database, states=OPEN, kinds=WATCHED) > 0
        return {
            **self.imports.look(studio),
            **self.report.draw(studio, values),
            **self.overview.draw(studio, values),
            **self.browse.draw(studio, values),
            **self.subsets.draw(studio, values),
            self.timer: gr.Timer(active=busy),
        }

    def look(self, studio: StudioContext, values: Values) -> Updates:
        """Progress while work is open; everything once it has ended."""
        if not count_jobs(studio.database, states=OPEN, kinds=WATCHED):
            return self.draw(studio, values)
        return self.imports.look(studio) | self.subsets.look(studio)


def build_corpus(studio: StudioContext) -> CorpusTab:
    """Lay the tab out and wire it."""
    timer = gr.Timer(TICK_S, active=False)
    with gr.Tabs(
        selected=PART_IMPORT,
        overflow_behavior="wrap",
        elem_id="corpus-parts",
        elem_classes="df-parts",
    ) as parts:
        with gr.Tab("Import", id=PART_IMPORT, elem_id="part-corpus-import"):
            imports = build_import_panel(studio, timer)
            with gr.Column(elem_classes="df-panel"):
                report = build_report_panel(studio)
        with gr.Tab("Overview", id=PART_OVERVIEW, elem_id="part-corpus-overview") as overview_part:
            overview = build_overview(studio)
        with gr.Tab("Browse", id=PART_BROWSE, elem_id="part-corpus-browse"):
            browse = build_browse(studio)
        with gr.Tab("Subsets", id=PART_SUBSETS, elem_id="part-corpus-subsets") as subsets_part:
            subsets = build_subsets(studio, browse, timer)
        guests = [_build_guest(studio, name, build) for name, build in GUESTS]
    tab = CorpusTab(
        parts=parts,
        imports=imports,
        report=report,
        overview=overview,
        browse=browse,
        subsets=subsets,
        guests=guests,
        import_actions=bridge(IMPORT_BRIDGE),
        subset_actions=bridge(SUBSETS_BRIDGE),
        timer=timer,
    )
    _wire_looks(tab, studio, overview_part, subsets_part)
    _wire_actions(tab, studio)
    for guest in guests:
        _wire_guest(guest, studio)
    return tab


def _build_guest(
    studio: StudioContext, name: str, build: Callable[[StudioContext], Panel]
) -> Guest:
    part_id = f"corpus-{name.lower()}"
    with (
        gr.Tab(name, id=part_id, elem_id=f"part-{part_id}") as part,
        gr.Column(elem_classes="df-panel"),
    ):
        return Guest(part, build(studio))


def _wire_guest(guest: Guest, studio: StudioContext) -> None:
    panel = guest.panel

    @guarded
    def look(values: Values) -> Updates:
        return panel.look(studio, values)

    guest.part.select(
        look, panel.inputs, panel.outputs, show_progress="hidden", concurrency_limit=None
    )


def _wire_looks(
    tab: CorpusTab, studio: StudioContext, overview_part: gr.Tab, subsets_part: gr.Tab
) -> None:
    @guarded_tick
    def look(values: Values) -> Updates:
        return tab.look(studio, values)

    @guarded
    def open_overview(values: Values) -> Updates:
        return tab.overview.draw(studio, values)

    @guarded
    def open_subsets(values: Values) -> Updates:
        return tab.subsets.draw(studio, values)

    quiet: dict[str, Any] = {"show_progress": "hidden", "concurrency_limit": None}
    tab.timer.tick(look, tab.inputs, tab.outputs, **quiet)
    overview, subsets = tab.overview, tab.subsets
    overview_part.select(open_overview, overview.inputs, overview.outputs, **quiet)
    subsets_part.select(open_subsets, subsets.inputs, subsets.outputs, **quiet)


def _wire_actions(tab: CorpusTab, studio: StudioContext) -> None:
    @guarded
    def act_on_import(values: Values) -> Updates:
        action = read_action(values[tab.import_actions])
        if act_on_job(studio, action.action, action.value):
            return tab.imports.look(studio) | {tab.timer: gr.Timer(active=True)}
        if action.action == "report":
            return tab.report.show_dataset(studio, values, action.value)
        if action.action == "browse":
            shown = {tab.parts: gr.Tabs(selected=PART_BROWSE)}
            return shown | tab.browse.look_at(studio, values, action.value)
        raise ActionError(f"Import does not know {action.action!r}: reload the page.")

    @guarded
    def act_on_subset(values: Values) -> Updates:
        action = read_action(values[tab.subset_actions])
        if act_on_job(studio, action.action, action.value):
            return tab.subsets.look(studio) | {tab.timer: gr.Timer(active=True)}
        if action.action == "browse":
            shown = {tab.parts: gr.Tabs(selected=PART_BROWSE)}
            return shown | tab.browse.look_into(studio, values, action.value)
        if action.action == "export":
            drawn = tab.subsets.export(studio, values, action.value)
            return drawn | {tab.timer: gr.Timer(active=True)}
        if action.action == "remove_subset":
            return tab.subsets.remove(studio, values, action.value)
        raise ActionError(f"Subsets does not know {action.action!r}: reload the page.")

    outputs = [*tab.outputs, tab.parts]
    inputs = {*tab.inputs, tab.import_actions}
    on_action(tab.import_actions, act_on_import, inputs, outputs)
    subset_inputs = {*tab.inputs, tab.subsets.format, tab.subset_actions}
    on_action(tab.subset_actions, act_on_subset, subset_inputs, [*outputs, tab.subsets.notice])
