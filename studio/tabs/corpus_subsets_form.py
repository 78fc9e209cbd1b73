"""The form of a new subset as one typed value: where its images come from, and how many."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import gradio as gr
from gradio.components import Component

from backend.corpus.describing import filter_words
from backend.corpus.errors import CorpusError
from backend.corpus.queries import CorpusFilter
from backend.corpus.subsets import PRESETS
from studio.tabs.corpus_filter import CorpusFilters

Values = Mapping[Component, Any]
FILTER = "filter"
ORIGINS: Mapping[str, str] = {
    "paper-training": "The paper's training corpus",
    "paper-test": "The paper's test set",
    FILTER: "What the filters of Browse show",
}
LARGEST_SEED = 2**63 - 1


@dataclass(frozen=True)
class SubsetForm:
    """One control a choice."""

    name: gr.Textbox
    origin: gr.Radio
    per_label: gr.Number
    seed: gr.Number

    @property
    def components(self) -> set[Component]:
        """What the form is read from, beside the filters of Browse."""
        return {getattr(self, one.name) for one in fields(self)}

    def read(
        self, values: Values, filters: CorpusFilters
    ) -> tuple[tuple[CorpusFilter, ...], int | None, int]:
        """The filters that the form stands for, how many of each label, and the seed.

        Raises CorpusError for a number out of range, or where Browse shows no filter alone.
        """
        count, seed = values[self.per_label] or 0, values[self.seed] or 0
        if count < 0:
            raise CorpusError("Images of each label cannot be fewer than 0: write 0 for all.")
        if not 0 <= seed <= LARGEST_SEED:
            raise CorpusError(f"The seed is a whole number from 0 to {LARGEST_SEED}.")
        return self._filters(values, filters), count or None, seed

    def words(self, values: Values, filters: CorpusFilters) -> str:
        """Where the images come from, for people."""
        if values[self.origin] == FILTER:
            return filter_words(filters.read(values))
        return ORIGINS[values[self.origin]].lower()

    def _filters(self, values: Values, filters: CorpusFilters) -> tuple[CorpusFilter, ...]:
        if values[self.origin] != FILTER:
            return PRESETS[values[self.origin]]
        if (values[filters.name] or "").strip() or filters.subset(values) is not None:
            raise CorpusError(
                "Browse shows one subset or one search: clear both there, so that its filters "
                "alone say which images to keep."
            )
        return (filters.read(values),)


def build_subset_form() -> SubsetForm:
    """Lay the form out."""
    origin = gr.Radio(
        [(words, name) for name, words in ORIGINS.items()],
        value=FILTER,
        label="Images",
        elem_id="subset-origin",
        elem_classes="df-segmented",
    )
    with gr.Row():
        name = gr.Textbox(
            label="Name of the subset",
            max_lines=1,
            min_width=200,
            elem_id="subset-name",
        )
        per_label = gr.Number(
            value=0,
            label="Images of each label",
            info="0 takes all; else so many are drawn.",
            precision=0,
            min_width=160,
            elem_id="subset-per-label",
        )
        seed = gr.Number(
            value=0,
            label="Seed of the draw",
            info="The same seed draws the same images.",
            precision=0,
            min_width=160,
            elem_id="subset-seed",
        )
    return SubsetForm(name, origin, per_label, seed)
