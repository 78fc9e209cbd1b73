"""A control that names images of the corpus: all, those of a subset, or those of a dataset."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import gradio as gr
from gradio.components import Component

from backend.corpus.describing import dataset_title
from backend.corpus.queries import CorpusFilter, count_by, count_corpus, count_subset
from backend.corpus.subsets import list_subsets
from studio.context import StudioContext

SUBSET, DATASET = "subset:", "dataset:"
Values = Mapping[Component, Any]
Updates = dict[Component, Any]


@dataclass(frozen=True)
class ImageChoice:
    """A drop-down whose empty value is the whole corpus."""

    choice: gr.Dropdown

    def read(self, values: Values) -> dict[str, str]:
        """What of a task says which images: a subset, a dataset, or nothing for all."""
        chosen = values[self.choice] or ""
        if chosen.startswith(SUBSET):
            return {"subset": chosen.removeprefix(SUBSET)}
        return {"dataset": chosen.removeprefix(DATASET)} if chosen else {}

    def offer(self, studio: StudioContext, values: Values) -> Updates:
        """What there is now; what is chosen stays offered."""
        return {self.choice: gr.Dropdown(choices=image_choices(studio, values[self.choice] or ""))}


def build_image_choice(studio: StudioContext, name: str, label: str) -> ImageChoice:
    """Lay the control out, with the whole corpus chosen."""
    return ImageChoice(
        gr.Dropdown(image_choices(studio, ""), value="", label=label, min_width=220, elem_id=name)
    )


def image_choices(studio: StudioContext, chosen: str) -> list[tuple[str, str]]:
    """The whole corpus, then datasets and subsets, each with its size."""
    database = studio.database
    offered = [(f"The whole corpus ({count_corpus(database):,})", "")]
    offered += [
        (f"{dataset_title(name)} ({images:,})", f"{DATASET}{name}")
        for (name,), images in count_by(database, "dataset").items()
    ]
    offered += [
        (f"Subset {one.name} ({one.images:,})", f"{SUBSET}{one.name}")
        for one in list_subsets(database)
    ]
    if chosen and chosen not in dict(offered).values():
        kind, _, name = chosen.partition(":")
        offered.append((f"{kind.capitalize()} {name} (0)", chosen))
    return offered


def count_chosen(studio: StudioContext, *, subset: str | None, dataset: str | None) -> int:
    """How many images a choice has.

    Raises:
        CorpusError: there is no such subset.
    """
    if subset is not None:
        return count_subset(studio.database, subset)
    return count_corpus(studio.database, CorpusFilter(dataset=dataset) if dataset else None)
