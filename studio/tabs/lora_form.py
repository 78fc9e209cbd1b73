"""The LoRAs of a request in the Generate form: one place each, with its weight."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr
from gradio.components import Component

from backend.generation.families import family_named
from backend.generation.lora.shelf import LoraView, list_loras
from backend.generation.request import MAX_LORA_WEIGHT, MIN_LORA_WEIGHT, LoraUse
from studio.context import StudioContext
from studio.guard import guarded, warn

PLACES = 4
NONE = ""
NO_CHOICE = [("None", NONE)]


@dataclass(frozen=True)
class LoraForm:
    """A name and a weight for each place; the next place shows once the one before it is taken.

    `recalled` holds the hashes that a recalled request came with, by name: they count until the
    LoRA is chosen by hand. `part` is what they are folded away in.
    """

    names: tuple[gr.Dropdown, ...]
    weights: tuple[gr.Slider, ...]
    recalled: gr.State
    part: gr.Accordion

    @property
    def components(self) -> set[Component]:
        """All of them, for the inputs or outputs of a handler."""
        return {*self.names, *self.weights, self.recalled}

    def read(self, values: Mapping[Component, Any]) -> list[dict[str, Any]]:
        """What is chosen, as the values of `LoraUse`."""
        recalled = values[self.recalled]
        return [
            {"name": values[name], "weight": values[weight], "hash": recalled.get(values[name])}
            for name, weight in zip(self.names, self.weights, strict=True)
            if values[name]
        ]

    def recall(self, studio: StudioContext, uses: Sequence[LoraUse]) -> dict[Component, Any]:
        """The LoRAs of a request, in its order and with its hashes, on the shelf or not."""
        if len(uses) > PLACES:
            warn(
                f"The request has {len(uses)} LoRAs and the form {PLACES} places: use the command "
                "line to make these images again."
            )
        names = [use.name for use in uses[:PLACES]]
        choices = self._choices(studio, names)
        updates: dict[Component, Any] = {
            self.recalled: {use.name: use.hash for use in uses[:PLACES] if use.hash}
        }
        for position, (name, weight) in enumerate(zip(self.names, self.weights, strict=True)):
            chosen = names[position] if position < len(names) else NONE
            shown = position <= len(names)
            updates[name] = gr.Dropdown(choices=choices, value=chosen, visible=shown)
            updates[weight] = gr.Slider(
                value=uses[position].weight if chosen else 1, visible=bool(chosen)
            )
        return updates

    def offer(self, studio: StudioContext, values: Mapping[Component, Any]) -> dict[Component, Any]:
        """What is on the shelf now; a name that is chosen stays offered, to be refused by name."""
        chosen = [str(values[place]) for place in self.names if values[place]]
        choices = self._choices(studio, chosen)
        return {place: gr.Dropdown(choices=choices) for place in self.names}

    def _choices(self, studio: StudioContext, chosen: Sequence[str]) -> list[tuple[str, str]]:
        return with_gone(lora_choices(usable_loras(studio)), {name: name for name in chosen})


def usable_loras(studio: StudioContext) -> list[LoraView]:
    """Those of the families that are loaded here; one for another model is refused by name."""
    views = list_loras(studio.database, studio.settings)
    return [view for view in views if family_named(view.family) is not None]


def build_lora_form(studio: StudioContext) -> LoraForm:
    """Lay the places out, folded away, and wire them."""
    choices = lora_choices(usable_loras(studio))
    names, weights = [], []
    with gr.Accordion("LoRAs", open=False, elem_id="loras") as part:
        for number in range(1, PLACES + 1):
            names.append(
                gr.Dropdown(
                    choices,
                    value=NONE,
                    label=f"LoRA {number}",
                    filterable=False,
                    visible=number == 1,
                    elem_id=f"lora-{number}",
                )
            )
            weights.append(
                gr.Slider(
                    MIN_LORA_WEIGHT,
                    MAX_LORA_WEIGHT,
                    value=1,
                    step=0.05,
                    label=f"Weight of LoRA {number}",
                    info="1 as it was trained, 0 the model alone.",
                    visible=False,
                    elem_id=f"lora-weight-{number}",
                )
            )
    form = LoraForm(tuple(names), tuple(weights), gr.State({}), part)
    _wire(form)
    return form


def lora_choices(views: Sequence[LoraView]) -> list[tuple[str, str]]:
    """No LoRA, then those of the shelf by name."""
    return NO_CHOICE + [(view.name, view.name) for view in views]


def with_gone(
    offered: Sequence[tuple[str, str]], chosen: Mapping[str, str]
) -> list[tuple[str, str]]:
    """What is offered, then what is chosen (titles by value) but left the shelf, marked as such.

    A chosen value that is no longer offered would be refused by Gradio in words of its own.
    """
    known = {value for _, value in offered}
    gone = [(title, value) for value, title in chosen.items() if value not in known]
    return [*offered, *((f"{title} (not on the shelf)", value) for title, value in gone)]


def _wire(form: LoraForm) -> None:
    @guarded
    def choose(values: Mapping[Component, Any]) -> dict[Component, Any]:
        taken = [bool(values[name]) for name in form.names]
        last = max((place for place, is_taken in enumerate(taken) if is_taken), default=-1)
        chosen = {values[name] for name in form.names}
        kept = {name: value for name, value in values[form.recalled].items() if name in chosen}
        updates: dict[Component, Any] = {form.recalled: kept}
        for place, (name, weight) in enumerate(zip(form.names, form.weights, strict=True)):
            updates[name] = gr.Dropdown(visible=place <= last + 1)
            updates[weight] = gr.Slider(visible=taken[place])
        return updates

    for name in form.names:
        name.input(
            choose,
            {*form.names, form.recalled},
            [*form.names, *form.weights, form.recalled],
            show_progress="hidden",
        )
