"""Models of one's own: added from a folder, listed from the user's file, removed after asking."""

import shutil
from pathlib import Path

import pytest

from backend.generation.errors import ModelError
from backend.generation.lora.layouts import Family
from backend.generation.model_folders import add_model, check_model, remove_model
from backend.generation.models import Origin, find_model, list_models
from backend.generation.registry import read_registry
from backend.settings import Settings


@pytest.fixture
def elsewhere(tiny_sd: Path, tmp_path: Path) -> Path:
    """A model on another disk."""
    return Path(shutil.copytree(tiny_sd, tmp_path / "disk" / "my lesions v2"))


def test_a_folder_elsewhere_is_added_by_path_and_its_files_survive_removal(
    settings: Settings, elsewhere: Path
) -> None:
    settings.own_models_toml.write_text("# my models\n")
    entry = add_model(settings, elsewhere)
    assert (entry.name, entry.family, entry.origin) == (
        "my-lesions-v2",
        Family.SD1,
        Origin.REGISTERED,
    )
    assert settings.own_models_toml.read_text().startswith("# my models")
    assert check_model(settings, "my-lesions-v2").compared == 0
    with pytest.raises(ModelError, match="a model called my-lesions-v2 already"):
        add_model(settings, elsewhere)
    assert "its files stay" in remove_model(settings, "my-lesions-v2")
    assert (elsewhere / "model_index.json").is_file()
    assert "my-lesions-v2" not in [entry.name for entry in list_models(settings)]


def test_a_folder_of_the_workspace_is_deleted(settings: Settings, tiny_sd: Path) -> None:
    shutil.copytree(tiny_sd, settings.models_dir / "sd")
    remove_model(settings, "sd")
    assert list(settings.models_dir.iterdir()) == []


def test_the_starter_and_folders_of_the_settings_are_not_removed(
    settings: Settings, elsewhere: Path
) -> None:
    here = settings.model_copy(update={"model_folders": (elsewhere.parent,)})
    with pytest.raises(ModelError, match="comes with the studio"):
        remove_model(here, "starter")
    with pytest.raises(ModelError, match="named in the settings"):
        remove_model(here, elsewhere.name)


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("missing", "There is no folder"),
        ("empty", "incomplete, model_index.json is missing"),
    ],
)
def test_what_is_no_pipeline_is_refused_in_one_sentence(
    settings: Settings, tmp_path: Path, name: str, sentence: str
) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(ModelError, match=sentence):
        add_model(settings, tmp_path / name)
    assert not settings.own_models_toml.exists()


def test_a_folder_whose_family_is_not_that_of_its_entry_is_a_problem(
    settings: Settings, tiny_sd: Path
) -> None:
    shutil.copytree(tiny_sd, settings.models_dir / "FLUX.1-dev")
    problem = str(find_model(settings, "FLUX.1-dev").problem)
    assert "is a Stable Diffusion 1.x, and the list of models says FLUX" in problem


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[[model", "cannot be read"),
        ('[[model]]\nname = "../x"\nfamily = "sd1"', r"in the entry \.\./x, name"),
        ('[[model]]\nname = "x"\nfamily = "sd9"', "in the entry x, family"),
        ('[[modell]]\nname = "x"', "a part called modell"),
        (
            (
                '[[model]]\nname = "x"\nfamily = "sd1"\n[model.source]\nrepo = "a/b"\nbytes = 1\n'
                'files = ["../x"]'
            ),
            "lies outside the repository",
        ),
    ],
)
def test_a_bad_entry_of_the_users_file_is_named(
    settings: Settings, text: str, sentence: str
) -> None:
    settings.own_models_toml.write_text(text)
    with pytest.raises(ModelError, match=sentence):
        read_registry(settings)


def test_every_model_that_comes_with_the_studio_says_licence_size_and_source(
    settings: Settings,
) -> None:
    registry = read_registry(settings)
    assert {"starter", "FLUX.1-dev", "FLUX.1-schnell", "stable-diffusion-v1-4"} == set(
        registry.models
    )
    for record in [*registry.models.values(), *registry.loras.values()]:
        assert record.licence != "not stated"
        assert record.description
        assert record.source is not None or record.name == "starter"
    assert all(record.model in registry.models for record in registry.loras.values())
