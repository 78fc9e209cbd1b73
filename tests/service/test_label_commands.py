"""`corpus labels`: shown, previewed, applied, listed, restored; what cannot be is one sentence."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from backend.cli import build_app
from backend.corpus.catalogue import catalogue_lines
from backend.corpus.queries import CorpusFilter
from backend.corpus.subsets import make_subset
from backend.errors import DermaFluxError
from backend.settings import Settings
from backend.store.database import Database
from tests.service.test_label_rules import import_set, write_set

Run = Callable[..., Any]


@pytest.fixture
def labels(
    settings: Settings, database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Run:
    """Runs `corpus labels` on a workspace with one dataset; JSON is read, text returned."""
    import_set(settings, database, write_set(tmp_path / "set"))
    make_subset(database, "everything", (CorpusFilter(),))
    monkeypatch.setenv("DERMAFLUX_WORKSPACE", str(settings.workspace))

    def run(*words: str, as_json: bool = True) -> Any:
        options = ["--json"] if as_json else []
        call = ["corpus", "labels", *words, *options]
        done = CliRunner().invoke(build_app(), call, catch_exceptions=False)
        assert done.exit_code == 0, done.output
        return json.loads(done.stdout) if as_json else done.stdout

    return run


def test_the_commands_show_preview_apply_and_restore(
    labels: Run, database: Database, tmp_path: Path
) -> None:
    beginning = "".join(catalogue_lines(database))
    file = tmp_path / "rule.json"
    shown = labels("show", "own", "--out", str(file))
    assert shown["counts"] == {"benign": 4, "malignant": 3, "dropped": 3}
    rule = json.loads(file.read_text())
    rule["malignant"].append("ak")
    rule["dropped"].remove("actinic_keratosis")
    file.write_text(json.dumps(rule))
    words = ("own", "--rule", str(file), "--set", "nv=dropped")
    effect = labels("preview", *words)
    assert effect["after"] == {"benign": 0, "malignant": 5, "dropped": 5}
    assert [one["name"] for one in effect["subsets"]] == ["everything"]
    assert "".join(catalogue_lines(database)) == beginning
    applied = labels("apply", *words, "--note", "as the board decided")
    assert (applied["version"], applied["moved"]) == (1, 6)
    assert labels("show", "own")["counts"] == effect["after"]
    assert {one["diagnosis"] for one in labels("dropped", "--dataset", "own")} == {
        *("nevus", "something_odd")
    }
    assert len(labels("dropped", "--subset", "everything")) == 4
    labels("restore", "own", "0")
    assert "".join(catalogue_lines(database)) == beginning
    history = labels("history", "own")
    assert [(one["version"], one["note"]) for one in history[1:]] == [
        (1, "as the board decided"),
        (2, "version 0 again"),
    ]
    assert history[0]["hash"] == history[2]["hash"]


def test_people_read_the_same(labels: Run) -> None:
    said = labels("preview", "own", "--set", "nevus=malignant", as_json=False)
    assert "own then: 7 malignant, 3 dropped; 4 change." in said
    assert "Subset everything: 4 get another label." in said
    assert "Queued as" in labels("apply", "own", "--set", "nevus=dropped", "--queue", as_json=False)
    assert "nevus: benign to dropped" in labels("history", "own", as_json=False)
    assert "version 1 of its rule: 4 benign" in labels("show", "own", as_json=False)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("preview", "own"), "Say what is to change"),
        (("preview", "own", "--set", "nevus"), "--set nevus has no label"),
        (("preview", "own", "--set", "nevus=good"), "'good' is no label for nevus"),
        (("preview", "own", "--set", "melanomma=benign"), "did you mean melanoma"),
        (("preview", "own", "--rule", "none.json"), "none.json"),
        (("apply", "own", "--set", "nevus=benign"), "are those of this rule already"),
        (("apply", "own", "--set", "nevus=dropped", "--base", "3"), "since you began"),
        (("restore", "own", "9"), "has no version 9"),
        (("show", "hiba"), "No image of hiba is in the catalogue"),
        (("history", "nothing"), "There is no dataset 'nothing'"),
    ],
)
def test_what_cannot_be_is_one_sentence_and_changes_nothing(
    labels: Run, database: Database, words: tuple[str, ...], sentence: str
) -> None:
    before = "".join(catalogue_lines(database))
    with pytest.raises(DermaFluxError) as caught:
        labels(*words)
    assert sentence in str(caught.value)
    assert "".join(catalogue_lines(database)) == before
    assert len(labels("history", "own")) == 1
