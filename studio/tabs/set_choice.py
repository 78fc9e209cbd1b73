"""A control that names sets of pictures: those the studio knows, or a folder by its path."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import gradio as gr
from gradio.components import Component

from backend.corpus.errors import CorpusError
from backend.corpus.picture_sets import SetKind, list_picture_sets, read_set_name, set_title
from studio.context import StudioContext

FOLDER = f"{SetKind.FOLDER}:"
Values = Mapping[Component, Any]
Updates = dict[Component, Any]


@dataclass(frozen=True)
class SetChoice:
    """A drop-down of sets, and a box for a path that is shown while a folder is chosen."""

    sets: gr.Dropdown
    folder: gr.Textbox

    @property
    def components(self) -> list[Component]:
        """What a choice is read from, and what offering it changes."""
        return [self.sets, self.folder]

    def read(self, values: Values) -> list[str]:
        """The names of the chosen sets.

        Raises:
            CorpusError: a folder is chosen and not named.
        """
        chosen = _listed(values[self.sets])
        path = (values[self.folder] or "").strip()
        if FOLDER in chosen and not path:
            raise CorpusError("Write the path of the folder, or choose another set.")
        return [f"{FOLDER}{path}" if name == FOLDER else name for name in chosen]

    def offer(self, studio: StudioContext, values: Values) -> Updates:
        """The sets that there are now; one that is gone stays offered while it is chosen."""
        chosen = values[self.sets]
        offered = _first(isinstance(chosen, list)) + set_choices(studio, _listed(chosen))
        return {self.sets: gr.Dropdown(choices=offered)}


def build_set_choice(
    studio: StudioContext, name: str, label: str, value: str | list[str], info: str = ""
) -> SetChoice:
    """Lay the control out and wire it; a list as `value` lets several sets be chosen."""
    multiple = isinstance(value, list)
    with gr.Column(min_width=260):
        sets = gr.Dropdown(
            _first(multiple) + set_choices(studio, _listed(value)),
            value=value,
            multiselect=multiple,
            label=label,
            info=info or None,
            elem_id=name,
        )
        folder = gr.Textbox(
            label=f"Folder: {label[:1].lower()}{label[1:]}",
            info="A path on the computer that the studio runs on; folders in it count too.",
            max_lines=1,
            visible=False,
            elem_id=f"{name}-folder",
        )
    choice = SetChoice(sets, folder)

    def show_folder(chosen: str | list[str] | None) -> Any:
        return gr.Textbox(visible=FOLDER in _listed(chosen))

    sets.change(show_folder, sets, folder, show_progress="hidden")
    return choice


def set_choices(studio: StudioContext, chosen: list[str]) -> list[tuple[str, str]]:
    """Every set with its size, and a folder last; what is chosen stays offered."""
    known = {one.name: one for one in list_picture_sets(studio.database)}
    offered = [(f"{one.title} ({one.images:,})", one.name) for one in known.values()]
    gone = [name for name in chosen if name not in known and name != FOLDER]
    offered += [(f"{set_title(studio.database, read_set_name(one))} (0)", one) for one in gone]
    return [*offered, ("A folder…", FOLDER)]


def _first(multiple: bool) -> list[tuple[str, str]]:
    """What a single choice shows before one is made."""
    return [] if multiple else [("Choose a set", "")]


def _listed(chosen: str | list[str] | None) -> list[str]:
    if isinstance(chosen, list):
        return chosen
    return [chosen] if chosen else []
