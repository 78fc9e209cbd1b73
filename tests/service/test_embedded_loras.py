"""A LoRA that comes with the studio is on the shelf by itself, works, and stays there."""

import shutil
from pathlib import Path

import pytest

from backend.generation.errors import LoraError
from backend.generation.lora.choice import choose_loras
from backend.generation.lora.shelf import (
    add_lora,
    get_lora,
    list_loras,
    remove_lora,
    rename_lora,
    shelf_name,
)
from backend.generation.models import usable_model
from backend.generation.request import LoraUse
from backend.settings import Settings
from backend.store.database import Database
from tests.lora_files import kohya_lora, save_lora
from tests.service.studio import tiny_request

TINY = 32


@pytest.fixture
def embedded(settings: Settings) -> Path:
    """The file of a LoRA for the tiny FLUX among those that come with the studio."""
    folder = settings.embedded_loras_dir / "dermoscopy"
    notes = {"modelspec.title": "Dermoscopy", "base_model": "starter", "t5_length": "96"}
    return save_lora(folder / "lora.safetensors", kohya_lora(hidden=TINY), notes)


def test_it_is_listed_first_where_it_lies_and_without_a_copy(
    database: Database, settings: Settings, embedded: Path, tmp_path: Path
) -> None:
    own = save_lora(tmp_path / "a.safetensors", kohya_lora(hidden=TINY, seed=1))
    add_lora(database, settings, own)
    first, second = list_loras(database, settings)
    assert (first.name, first.title, first.path) == ("dermoscopy", "Dermoscopy", embedded)
    assert (first.embedded, second.embedded) == (True, False)
    assert (first.base, first.t5_length) == ("starter", 96)
    assert get_lora(database, settings, "dermoscopy") == first
    assert shelf_name(database, settings, first.hash) == "dermoscopy"
    assert len(list(settings.loras_dir.iterdir())) == 1


def test_it_is_chosen_for_an_image_by_its_name(
    database: Database, settings: Settings, embedded: Path, tiny_flux: Path
) -> None:
    shutil.copytree(tiny_flux, settings.models_dir / "tiny")
    request = tiny_request(loras=(LoraUse(name="dermoscopy", weight=0.5),))
    (chosen,) = choose_loras(database, settings, request, usable_model(settings, "tiny"))
    assert (chosen.view.path, chosen.weight) == (embedded, 0.5)


def test_it_is_neither_removed_nor_renamed_nor_added_again(
    database: Database, settings: Settings, embedded: Path, tmp_path: Path
) -> None:
    with pytest.raises(LoraError, match="dermoscopy comes with the studio, and stays"):
        remove_lora(database, settings, "dermoscopy")
    with pytest.raises(LoraError, match="dermoscopy comes with the studio"):
        rename_lora(database, settings, "dermoscopy", "mine")
    with pytest.raises(LoraError, match="on the shelf already, as dermoscopy"):
        add_lora(database, settings, embedded)
    own = save_lora(tmp_path / "own.safetensors", kohya_lora(hidden=TINY, seed=1))
    with pytest.raises(LoraError, match="a LoRA called dermoscopy on the shelf already"):
        add_lora(database, settings, own, name="dermoscopy")
    add_lora(database, settings, own)
    with pytest.raises(LoraError, match="a LoRA called dermoscopy on the shelf already"):
        rename_lora(database, settings, "own", "dermoscopy")
    assert embedded.is_file()


def test_a_damaged_one_is_left_out(database: Database, settings: Settings, embedded: Path) -> None:
    embedded.write_bytes(embedded.read_bytes()[:100])
    assert list_loras(database, settings) == []
