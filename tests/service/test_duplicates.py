"""What is decided about a pair stays; commands find, judge and compare folders."""

import csv
import json
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from backend.abc.sampling import sample_attributes
from backend.accounts import AccountError, create_account
from backend.cli import build_app
from backend.corpus.decisions import (
    count_pairs,
    counted_pairs,
    decide,
    dismissed_pairs,
    keep_pairs,
    kept_groups,
    list_pairs,
)
from backend.corpus.duplicates import DuplicatePair, Likeness
from backend.corpus.errors import CorpusError
from backend.corpus.states import PairState
from backend.errors import DermaFluxError
from backend.phantom import render
from backend.settings import Settings
from backend.store.database import Database
from backend.store.tables import Role
from tests.service.comparable_sets import comparable

PAIRS = [
    DuplicatePair("a", "b", Likeness.BYTES, 1.0, "as it is"),
    DuplicatePair("b", "c", Likeness.NEAR, 0.8, "mirrored"),
]


def test_a_decision_stays_when_the_pair_is_found_again(any_database: Database) -> None:
    assert keep_pairs(any_database, PAIRS) == 2
    decide(any_database, "c", "b", PairState.DISMISSED)
    assert keep_pairs(any_database, PAIRS) == 0
    assert dismissed_pairs(any_database) == {("b", "c")}
    assert counted_pairs(any_database) == [("a", "b")]
    assert kept_groups(any_database) == [["a", "b"]]
    assert count_pairs(any_database)[PairState.DISMISSED] == 1


def test_the_least_certain_pair_comes_first_and_a_decision_can_be_undone(
    database: Database,
) -> None:
    keep_pairs(database, PAIRS)
    assert [view.score for view in list_pairs(database)] == [0.8, 1.0]
    assert decide(database, "b", "c", PairState.CONFIRMED).decided_at is not None
    assert [view.first_id for view in list_pairs(database, PairState.SUGGESTED)] == ["a"]
    undone = decide(database, "b", "c", PairState.SUGGESTED)
    assert (undone.state, undone.decided_at) == (PairState.SUGGESTED, None)
    assert kept_groups(database) == [["a", "b", "c"]]


def test_a_researcher_decides_by_name_and_a_reviewer_may_not(database: Database) -> None:
    keep_pairs(database, PAIRS)
    create_account(database, "rita", "a long enough password", Role.RESEARCHER)
    create_account(database, "viktor", "a long enough password", Role.REVIEWER)
    with pytest.raises(AccountError, match="may not confirm or dismiss"):
        decide(database, "a", "b", PairState.DISMISSED, account="viktor")
    view = decide(database, "a", "b", PairState.DISMISSED, account="rita")
    assert view.decided_by == "rita"


def test_a_pair_that_is_not_there_is_named(database: Database) -> None:
    with pytest.raises(CorpusError, match="no pair of x and y"):
        decide(database, "x", "y", PairState.CONFIRMED)


@pytest.fixture
def folders(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[Path, Path]:
    """Three lesions to train with; two to test with, one of which is a mirrored training one."""
    for name, value in settings.environment().items():
        monkeypatch.setenv(name, value)
    rng = np.random.default_rng(5)
    lesions = [
        np.asarray(render(sample_attributes(rng), size=128, seed=seed).image, dtype=np.uint8)
        for seed in range(4)
    ]
    train, test = tmp_path / "train", tmp_path / "test"
    train.mkdir()
    test.mkdir()
    for number, pixels in enumerate(lesions[:3]):
        Image.fromarray(pixels).save(train / f"{number}.png")
    Image.fromarray(np.ascontiguousarray(lesions[0][:, ::-1])).save(test / "mirrored.png")
    Image.fromarray(lesions[3]).save(test / "new.png")
    return train, test


def run(*arguments: str) -> Result:
    return CliRunner().invoke(build_app(), list(arguments))


def printed(*arguments: str) -> object:
    result = run(*arguments, "--json")
    assert result.exit_code == 0, result.stderr or result.exception
    return json.loads(result.stdout)


def test_commands_find_dismiss_and_group(folders: tuple[Path, Path]) -> None:
    train, test = folders
    report = printed("corpus-duplicates", "find", str(train.parent))
    assert report["read_now"] == report["images"] == 5  # type: ignore[index]
    (pair,) = report["pairs"]  # type: ignore[index]
    ids = [str(test / "mirrored.png"), str(train / "0.png")]
    assert [pair["first"], pair["second"]] == ids
    assert printed("corpus-duplicates", "groups") == [ids]
    assert "mirrored" in run("corpus-duplicates", "list").stdout
    assert "dismissed" in run("corpus-duplicates", "dismiss", *ids).stdout
    assert printed("corpus-duplicates", "groups") == []
    again = printed("corpus-duplicates", "find", str(train.parent))
    assert (again["read_now"], again["new_pairs"]) == (0, 0)  # type: ignore[index]
    printed("corpus-duplicates", "undo", *ids)
    printed("corpus-duplicates", "confirm", *ids)
    assert len(printed("corpus-duplicates", "list", "--state", "confirmed")) == 1  # type: ignore[arg-type]


def test_leakage_is_reported_then_refused_by_the_setting(
    folders: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    train, test = map(str, folders)
    report = printed("leakage", train, test)
    assert not report["clean"]  # type: ignore[index]
    assert len(report["near"]) == 1  # type: ignore[index]
    monkeypatch.setenv("DERMAFLUX_LEAKAGE", "refuse")
    refused = run("leakage", train, test)
    assert isinstance(refused.exception, DermaFluxError)
    assert "1 pair of near-duplicates" in str(refused.exception)
    near = report["near"][0]  # type: ignore[index]
    printed("corpus-duplicates", "dismiss", near["first"], near["second"])
    assert printed("leakage", train, test)["clean"]  # type: ignore[index]


def test_a_folder_without_images_is_refused(folders: tuple[Path, Path]) -> None:
    empty = folders[0] / "empty"
    empty.mkdir()
    refused = run("corpus-duplicates", "find", str(empty))
    assert "holds no image" in str(refused.exception)


def test_commands_take_sets_by_name_and_write_tables(
    folders: tuple[Path, Path], settings: Settings, database: Database, tmp_path: Path
) -> None:
    assert printed("corpus-duplicates", "sets") == []
    sets = comparable(settings, database, tmp_path / "folder")
    listed = printed("corpus-duplicates", "sets")
    assert "dataset:isic2019/train" in [one["name"] for one in listed]  # type: ignore[attr-defined]
    report = printed("corpus-duplicates", "find", "catalogue", str(folders[0]))
    assert report["images"] == 8  # type: ignore[index]
    table = tmp_path / "shared.csv"
    printed("leakage", "dataset:kaggle1", "dataset:isic2019", "--csv", str(table))
    (line,) = csv.DictReader(StringIO(table.read_text()))
    assert line["first_id"] == sets.ids["melanoma_7"]
    printed("corpus-duplicates", "groups", "--csv", str(table))
    assert {line["image"] for line in csv.DictReader(StringIO(table.read_text()))} >= {
        "melanoma_7",
        "ISIC_1",
    }
    refused = run("leakage", "dataset:kaggle1", "dataset:none")
    assert "'none' is gone or empty" in str(refused.exception)
    refused = run("corpus-duplicates", "groups", "--csv", str(tmp_path))
    assert "is a folder" in str(refused.exception)
