"""The LoRAs of the Generate form and the shelf on the page, without a browser."""

from collections.abc import Iterator
from pathlib import Path

import gradio as gr
import pytest

from backend.generation.errors import LoraError
from backend.generation.lora.shelf import add_lora, list_loras, rename_lora
from backend.generation.request import LoraUse
from backend.settings import Settings, prepare_workspace
from backend.store.database import open_database
from studio.context import StudioContext
from studio.tabs.lora_form import PLACES, LoraForm, build_lora_form
from studio.tabs.lora_shelf import LoraShelf, build_lora_shelf
from tests.lora_files import kohya_lora, save_lora

REMOVE = '{"action": "remove_lora", "value": "mole", "nonce": 1}'


@pytest.fixture
def studio(tmp_path: Path) -> Iterator[StudioContext]:
    """A workspace with a LoRA called mole on its shelf."""
    settings = Settings(workspace=tmp_path / "workspace")
    prepare_workspace(settings)
    database = open_database(settings)
    file = save_lora(tmp_path / "mole.safetensors", kohya_lora(hidden=16), {"t5_length": "128"})
    add_lora(database, settings, file)
    yield StudioContext(settings, database)
    database.close()


@pytest.fixture
def form(studio: StudioContext) -> LoraForm:
    """The places of the form."""
    with gr.Blocks():
        return build_lora_form(studio)


@pytest.fixture
def shelf() -> LoraShelf:
    """The shelf of the page."""
    with gr.Blocks():
        return build_lora_shelf()


def test_the_form_states_what_is_chosen_and_nothing_for_empty_places(form: LoraForm) -> None:
    values = dict.fromkeys(form.names, "") | dict.fromkeys(form.weights, 1)
    assert form.read(values | {form.recalled: {}}) == []
    values |= {form.names[1]: "mole", form.weights[1]: -0.5, form.recalled: {}}
    assert form.read(values) == [{"name": "mole", "weight": -0.5, "hash": None}]


def test_a_recalled_request_comes_back_with_its_hashes(
    studio: StudioContext, form: LoraForm
) -> None:
    uses = (LoraUse(name="gone", weight=0.5, hash="a" * 64), LoraUse(name="mole", weight=2))
    updates = form.recall(studio, uses)
    values = {component: _value(update) for component, update in updates.items()}
    assert form.read(values) == [use.model_dump() for use in uses]
    first, third, last = (
        _plain(updates[form.names[place]]) for place in (0, len(uses), PLACES - 1)
    )
    assert ("gone (not on the shelf)", "gone") in first["choices"]
    assert (third["visible"], last["visible"]) == (True, False)
    assert form.read({**values, **dict.fromkeys(form.names, "")}) == []


def test_the_places_offer_what_is_on_the_shelf_now(studio: StudioContext, form: LoraForm) -> None:
    rename_lora(studio.database, studio.settings, "mole", "nevus")
    values = dict.fromkeys(form.names, "") | {form.names[0]: "mole"}
    offered = _plain(form.offer(studio, values)[form.names[1]])["choices"]
    assert offered == [("None", ""), ("nevus", "nevus"), ("mole (not on the shelf)", "mole")]


def test_the_shelf_shows_facts_and_asks_before_it_removes(
    studio: StudioContext, shelf: LoraShelf, tmp_path: Path
) -> None:
    shown = shelf.draw(studio)[shelf.entries]
    for fact in ("kohya", "all linear layers of the blocks", "128 tokens", "not stated", "FLUX"):
        assert fact in shown
    assert 'data-confirm="Remove the LoRA mole from the shelf?' in shown
    file = save_lora(
        tmp_path / "<b>.safetensors", kohya_lora(hidden=16, seed=1), {"ss_output_name": "<i>"}
    )
    drawn = shelf.add(studio, str(file))
    assert "b is on the shelf." in drawn[shelf.said]
    assert shelf.said not in shelf.draw(studio)
    added = drawn[shelf.entries]
    assert "<i>" not in added
    assert "&lt;i&gt;" in added
    removed = shelf.act(studio, REMOVE)[shelf.said]
    assert "mole is removed; images made with it stay." in removed
    views = list_loras(studio.database, studio.settings)
    assert [view.name for view in views if not view.embedded] == ["b"]
    with pytest.raises(LoraError, match="no LoRA called mole"):
        shelf.act(studio, REMOVE)


def _plain(update: object) -> dict[str, object]:
    """What a component that is returned as an update changes."""
    assert isinstance(update, gr.blocks.Block)
    return update.constructor_args


def _value(update: object) -> object:
    return _plain(update)["value"] if isinstance(update, gr.blocks.Block) else update
