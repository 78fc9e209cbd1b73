"""The shelf: each LoRA once, under one name, its file named by what is in it."""

import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from backend.generation.errors import LoraError
from backend.generation.lora.choice import choose_loras
from backend.generation.lora.export import export_lora
from backend.generation.lora.fit import check_fit
from backend.generation.lora.layouts import Family, Layout
from backend.generation.lora.reading import read_lora
from backend.generation.lora.shelf import (
    add_lora,
    get_lora,
    list_loras,
    remove_lora,
    rename_lora,
)
from backend.generation.models import usable_model
from backend.generation.request import LoraUse
from backend.settings import Settings
from backend.store.database import Database
from tests.lora_files import as_diffusers, kohya_lora, only, save_lora
from tests.service.studio import partial_files, tiny_request

TINY = 32
KOHYA_PARTS = ("lora_down.weight", "lora_up.weight", "alpha")
SD1 = "unet.down_blocks.0.attentions.0.transformer_blocks.0.attn2.to_k"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A LoRA for the tiny FLUX in the authors' layout."""
    return save_lora(tmp_path / "in" / "My melanoma (v2).safetensors", kohya_lora(hidden=TINY))


@pytest.fixture
def tiny(settings: Settings, tiny_flux: Path) -> Path:
    """The tiny FLUX among the models of the workspace."""
    return Path(shutil.copytree(tiny_flux, settings.models_dir / "tiny"))


def test_a_file_is_copied_named_by_its_tensors_and_described(
    any_database: Database, any_settings: Settings, file: Path
) -> None:
    added = add_lora(any_database, any_settings, file)
    assert added.name == "My-melanoma-v2"
    assert added.path == any_settings.loras_dir / f"{added.hash}.safetensors"
    assert added.path.read_bytes() == file.read_bytes()
    assert (added.layout, added.family, added.ranks) == (Layout.KOHYA, Family.FLUX, (4,))
    assert get_lora(any_database, any_settings, added.name) == added
    assert list_loras(any_database, any_settings) == [added]
    assert list_loras(any_database, any_settings, Family.SD1) == []


def test_a_lora_is_renamed_and_removed_with_its_file(
    any_database: Database, any_settings: Settings, file: Path
) -> None:
    added = add_lora(any_database, any_settings, file, name="first")
    renamed = rename_lora(any_database, any_settings, "first", "second")
    assert (renamed.name, renamed.path, renamed.hash) == ("second", added.path, added.hash)
    remove_lora(any_database, any_settings, "second")
    assert list_loras(any_database, any_settings) == []
    assert list(any_settings.loras_dir.iterdir()) == []
    with pytest.raises(LoraError, match=r"no LoRA called second .*: none yet"):
        remove_lora(any_database, any_settings, "second")
    assert add_lora(any_database, any_settings, file, name="first").hash == added.hash


def test_a_name_and_tensors_are_on_the_shelf_once(
    any_database: Database, any_settings: Settings, file: Path, tmp_path: Path
) -> None:
    add_lora(any_database, any_settings, file, name="first")
    other = save_lora(tmp_path / "other.safetensors", kohya_lora(hidden=TINY, seed=1))
    with pytest.raises(LoraError, match="a LoRA called first on the shelf already"):
        add_lora(any_database, any_settings, other, name="first")
    again = save_lora(tmp_path / "again.safetensors", kohya_lora(hidden=TINY), {"note": "new"})
    with pytest.raises(LoraError, match="on the shelf already, as first"):
        add_lora(any_database, any_settings, again, name="second")
    add_lora(any_database, any_settings, other, name="other")
    with pytest.raises(LoraError, match="a LoRA called first on the shelf already"):
        rename_lora(any_database, any_settings, "other", "first")
    assert [view.name for view in list_loras(any_database, any_settings)] == ["first", "other"]
    assert len(list(any_settings.loras_dir.iterdir())) == 2


@pytest.mark.parametrize("name", ["", "a:b", "a,b", "a b", "../a", "-a", "<a>", "x" * 81])
def test_a_name_that_would_not_survive_a_command_line_is_refused(
    database: Database, settings: Settings, file: Path, name: str
) -> None:
    with pytest.raises(LoraError, match="A LoRA cannot be called"):
        add_lora(database, settings, file, name=name)


def test_what_is_refused_leaves_nothing_behind(
    database: Database, settings: Settings, tmp_path: Path
) -> None:
    tensors = kohya_lora(hidden=TINY)
    tensors["lora_unet_double_blocks_0_img_mlp_0.lora_up.weight"][0, 0] = float("nan")
    broken = save_lora(tmp_path / "broken.safetensors", tensors)
    with pytest.raises(LoraError, match=r"broken\.safetensors holds NaN or infinity"):
        add_lora(database, settings, broken)
    with pytest.raises(LoraError, match="There is no file"):
        add_lora(database, settings, tmp_path / "gone.safetensors")
    assert list_loras(database, settings) == []
    assert list(settings.loras_dir.iterdir()) == []
    assert partial_files(settings) == []


def test_a_lora_for_another_kind_of_model_is_refused_by_name(
    database: Database, settings: Settings, tmp_path: Path
) -> None:
    tensors = {
        f"{SD1}.lora_A.weight": torch.ones(4, 768),
        f"{SD1}.lora_B.weight": torch.ones(320, 4),
    }
    add_lora(database, settings, save_lora(tmp_path / "old.safetensors", tensors))
    request = tiny_request(model="starter", loras=({"name": "old"},))
    with pytest.raises(
        LoraError, match=r"The LoRA old is for Stable Diffusion 1\.x, not for starter, a FLUX"
    ):
        choose_loras(database, settings, request, usable_model(settings, "starter"))


@pytest.mark.usefixtures("tiny")
def test_a_lora_for_a_wider_or_deeper_flux_is_refused_with_what_does_not_fit(
    settings: Settings, tmp_path: Path
) -> None:
    entry = usable_model(settings, "tiny")
    wide = read_lora(save_lora(tmp_path / "wide.safetensors", kohya_lora(hidden=256)))
    with pytest.raises(LoraError, match=r"wide does not fit tiny: .* 256 .* the LoRA, 32 .* model"):
        check_fit(wide, "wide", entry)
    deep = kohya_lora(hidden=TINY, single=3)
    deep = read_lora(save_lora(tmp_path / "deep.safetensors", deep))
    with pytest.raises(LoraError, match=r"deep does not fit tiny: it changes single_transformer"):
        check_fit(deep, "deep", entry)
    whole = as_diffusers(kohya_lora(hidden=TINY), TINY)
    check_fit(read_lora(save_lora(tmp_path / "fits.safetensors", whole)), "fits", entry)


@pytest.mark.usefixtures("tiny")
def test_a_replay_never_uses_other_tensors_of_the_same_name(
    database: Database, settings: Settings, file: Path, tmp_path: Path
) -> None:
    entry = usable_model(settings, "tiny")
    first = add_lora(database, settings, file, name="mole")
    use = LoraUse(name="mole", weight=0.5, hash=first.hash)
    request = tiny_request(loras=(use,))
    (chosen,) = choose_loras(database, settings, request, entry)
    assert chosen.use == use
    rename_lora(database, settings, "mole", "older")
    with pytest.raises(LoraError, match="its tensors are there as older"):
        choose_loras(database, settings, request, entry)
    other = save_lora(tmp_path / "other.safetensors", kohya_lora(hidden=TINY, seed=1))
    add_lora(database, settings, other, name="mole")
    with pytest.raises(LoraError, match=r"not the one that this request.*there as older"):
        choose_loras(database, settings, request, entry)
    remove_lora(database, settings, "older")
    with pytest.raises(LoraError, match=r"not the one that this request.*not there"):
        choose_loras(database, settings, request, entry)
    get_lora(database, settings, "mole").path.unlink()
    with pytest.raises(LoraError, match="file of the LoRA mole is gone"):
        choose_loras(database, settings, tiny_request(loras=({"name": "mole"},)), entry)


def test_an_export_reads_back_the_same_in_either_layout(
    database: Database, settings: Settings, file: Path, tmp_path: Path
) -> None:
    kohya = add_lora(database, settings, file, name="mole")
    same = export_lora(kohya, tmp_path, Layout.KOHYA)
    assert same == tmp_path / "mole.safetensors"
    assert same.read_bytes() == file.read_bytes()
    other = export_lora(kohya, tmp_path / "diffusers.safetensors", Layout.DIFFUSERS)
    expected = as_diffusers(load_file(file), TINY)
    written = load_file(other)
    assert set(written) == set(expected)
    assert all(torch.equal(written[name], expected[name]) for name in expected)
    diffusers = add_lora(database, settings, other, name="other")
    back = load_file(export_lora(diffusers, tmp_path / "back.safetensors", Layout.KOHYA))
    assert all(torch.equal(back[name], tensor) for name, tensor in load_file(file).items())


def test_an_export_that_cannot_be_written_says_why(
    database: Database, settings: Settings, file: Path, tmp_path: Path
) -> None:
    view = add_lora(database, settings, file, name="mole")
    with pytest.raises(LoraError, match=r"is written as \.safetensors"):
        export_lora(view, tmp_path / "mole.pt", Layout.KOHYA)
    with pytest.raises(LoraError, match="cannot be written in xlabs layout"):
        export_lora(view, tmp_path, Layout.XLABS)
    export_lora(view, tmp_path, Layout.KOHYA)
    with pytest.raises(LoraError, match="There is a file"):
        export_lora(view, tmp_path, Layout.DIFFUSERS)
    old = only(
        {f"{SD1}.lora_A.weight": torch.ones(4, 768), f"{SD1}.lora_B.weight": torch.ones(320, 4)},
        "lora",
    )
    old = add_lora(database, settings, save_lora(tmp_path / "old.safetensors", old))
    kohya = export_lora(old, tmp_path / "new.safetensors", Layout.KOHYA)
    written = load_file(kohya)
    module = f"lora_unet_{SD1.removeprefix('unet.').replace('.', '_')}"
    assert set(written) == {f"{module}.{part}" for part in KOHYA_PARTS}
    remove_lora(database, settings, "old")
    old = add_lora(database, settings, kohya, name="old")
    with pytest.raises(LoraError, match=r"Stable Diffusion 1\.x in kohya layout, cannot be"):
        export_lora(old, tmp_path / "again.safetensors", Layout.DIFFUSERS)
