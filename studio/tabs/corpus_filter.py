"""The filters of the corpus as one typed value, each offering what is there with its count."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import gradio as gr
from gradio.components import Component

from backend.abc.attributes import Label
from backend.corpus.describing import FACET_WORDS, value_words
from backend.corpus.queries import CorpusFilter, count_by
from backend.corpus.subsets import list_subsets
from backend.store.database import Database
from studio.wording import ANY

CHOSEN = "="
"""What the value of a choice begins with: an empty text is a value as well."""
WHOLE = ("The whole corpus", "")
MAIN = ("dataset", "label", "diagnosis")
Values = Mapping[Component, Any]
Updates = dict[Component, Any]


@dataclass(frozen=True)
class CorpusFilters:
    """A name to look for, a subset, and one control a field of CorpusFilter."""

    name: gr.Textbox
    within: gr.Dropdown
    facets: dict[str, gr.Dropdown]
    clear: gr.Button

    @property
    def components(self) -> set[Component]:
        """All of them, for the inputs of a handler."""
        return {self.name, self.within, *self.facets.values()}

    def read(self, values: Values) -> CorpusFilter:
        """The filter that the controls show."""
        chosen = {name: _value(name, values[part]) for name, part in self.facets.items()}
        return CorpusFilter(**chosen)

    def subset(self, values: Values) -> str | None:
        """The subset that is looked into; None for the whole corpus."""
        within = values[self.within]
        return within.removeprefix(CHOSEN) if within else None

    def cleared(self) -> Updates:
        """Every control without a filter."""
        return dict.fromkeys(self.components, "")

    def offer(self, db: Database, values: Values) -> Updates:
        """What can be chosen now: each facet's values among the images that match the others.

        Only choices change: what a person chooses meanwhile stays chosen.
        """
        offered = self._choices(db, values)
        return {part: gr.Dropdown(choices=choices) for part, choices in offered.items()}

    def set_all(self, db: Database, values: Values) -> Updates:
        """Every control as `values` has it, with what can be chosen beside."""
        offered = self._choices(db, values)
        drawn: Updates = {self.name: values[self.name]}
        for part, choices in offered.items():
            drawn[part] = gr.Dropdown(choices=choices, value=values[part])
        return drawn

    def _choices(self, db: Database, values: Values) -> dict[Component, list[tuple[str, str]]]:
        criteria, chosen = self.read(values), self.subset(values)
        names = {one.name: f"{one.name} ({one.images:,})" for one in list_subsets(db)}
        if chosen is not None:
            names.setdefault(chosen, chosen)
        subsets = [(words, f"{CHOSEN}{name}") for name, words in names.items()]
        facets = {part: _choices(db, name, criteria) for name, part in self.facets.items()}
        return {self.within: [WHOLE, *subsets], **facets}


def build_corpus_filters() -> CorpusFilters:
    """The main filters are always there, the rest folded away."""
    with gr.Row():
        name = gr.Textbox(
            label="Find one",
            placeholder="Its name, id, patient or lesion",
            max_lines=1,
            elem_id="corpus-find",
        )
        within = gr.Dropdown(
            [WHOLE], value="", label="In", filterable=False, elem_id="corpus-within"
        )
    with gr.Row():
        facets = {facet: _dropdown(facet) for facet in MAIN}
    with gr.Accordion("More filters", open=False, elem_id="corpus-more-filters"):
        with gr.Row():
            facets |= {facet: _dropdown(facet) for facet in FACET_WORDS if facet not in MAIN}
        clear = gr.Button("Clear filters", size="sm", elem_id="corpus-clear")
    return CorpusFilters(name, within, facets, clear)


def _dropdown(facet: str) -> gr.Dropdown:
    return gr.Dropdown(
        [(ANY, "")],
        value="",
        label=FACET_WORDS[facet],
        filterable=False,
        min_width=150,
        elem_id=f"corpus-{facet.replace('_', '-')}",
    )


def _choices(db: Database, facet: str, criteria: CorpusFilter) -> list[tuple[str, str]]:
    chosen = getattr(criteria, facet)
    counts = count_by(db, facet, criteria=replace(criteria, **{facet: None}))
    found = {value: count for (value,), count in counts.items()}
    if chosen is not None:
        found.setdefault(chosen, 0)
    order = sorted(found) if facet == "decade" else sorted(found, key=lambda one: -found[one])
    named = [
        (f"{_first_upper(value_words(facet, value))} ({found[value]:,})", f"{CHOSEN}{value}")
        for value in order
    ]
    return [(ANY, ""), *named]


def _first_upper(words: str) -> str:
    return words[:1].upper() + words[1:]


def _value(facet: str, text: str | None) -> Any:
    """What a choice stands for; None where any value will do."""
    if not text:
        return None
    value = text.removeprefix(CHOSEN)
    if facet == "label":
        return Label(value)
    if facet == "decade":
        return int(value)
    return value == "True" if facet == "synthetic" else value
