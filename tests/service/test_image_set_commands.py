"""Sets and whole filters from the command line."""

import json

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from backend.abc.sampling import sample_attributes
from backend.cli import build_app
from backend.errors import DermaFluxError
from backend.settings import Settings
from backend.store.database import Database
from tests.service.pictures import fill_gallery

LESIONS = [sample_attributes(np.random.default_rng(seed)) for seed in range(4)]


@pytest.fixture(autouse=True)
def ids(settings: Settings, database: Database, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Four images in the workspace that the commands use."""
    for name, value in settings.environment().items():
        monkeypatch.setenv(name, value)
    return fill_gallery(settings, database, LESIONS)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(build_app(), ["gallery", *arguments])


def printed(*arguments: str) -> object:
    result = run(*arguments, "--json")
    assert result.exit_code == 0, result.stderr or result.exception
    return json.loads(result.stdout)


def refusal(*arguments: str) -> str:
    result = run(*arguments)
    assert isinstance(result.exception, DermaFluxError), result.output
    return str(result.exception)


def test_a_set_is_made_filled_listed_and_removed(ids: list[str]) -> None:
    printed("set", "make", "mine", "--note", "first try")
    assert printed("set", "add", "mine", *ids[:3]) == {
        "set": "mine",
        "added": 3,
        "drafts_left_out": 0,
    }
    assert printed("set", "take", "mine", "--where", "set=mine") == {"set": "mine", "taken": 3}
    assert printed("set", "add", "mine", "--all") == {
        "set": "mine",
        "added": 4,
        "drafts_left_out": 0,
    }
    assert printed("list", "--set", "mine")["total"] == 4  # type: ignore[index]
    printed("set", "edit", "mine", "--name", "ours")
    (shown,) = printed("set", "list")  # type: ignore[misc]
    assert (shown["name"], shown["images"], shown["note"]) == ("ours", 4, "")
    assert "ours" in run("set", "list").stdout
    printed("set", "remove", "ours")
    assert printed("set", "list") == []
    assert "There is no set ours" in refusal("set", "add", "ours", *ids)


def test_a_filter_is_starred_deleted_and_restored_by_its_moment(ids: list[str]) -> None:
    assert printed("star", "--all") == {"changed": 4, "starred": True}
    assert printed("star", ids[0], "--off") == {"changed": 1, "starred": False}
    done = printed("delete", "--where", "starred=true")
    assert done["deleted"] == 3  # type: ignore[index]
    assert printed("list")["total"] == 1  # type: ignore[index]
    assert printed("restore", "--moment", done["moment"]) == {"restored": 3}  # type: ignore[index]
    assert printed("list")["total"] == 4  # type: ignore[index]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["restore"], "one of the two"),
        (["restore", "--moment", "yesterday"], "yesterday is no moment"),
        (["restore", "--moment", "2026-01-01"], "lacks a time zone"),
        (["delete"], "Say which images"),
        (["star", "--all", "--where", "starred=true"], "one of the three"),
    ],
)
def test_a_mistake_gets_a_sentence(arguments: list[str], sentence: str) -> None:
    assert sentence in refusal(*arguments)
