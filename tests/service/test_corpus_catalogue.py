"""The catalogue: pages, filters and counts agree with a plain list; subsets; the commands."""

import json
import random
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from backend.abc.attributes import Label
from backend.cli import build_app
from backend.corpus.catalogue import cell_id, image_id, remove_rows, write_rows
from backend.corpus.errors import CorpusError
from backend.corpus.queries import (
    CorpusFilter,
    count_by,
    count_corpus,
    find_corpus,
    get_corpus_image,
    iterate_corpus,
    query_corpus,
)
from backend.corpus.statistics import table_1
from backend.corpus.subsets import PRESETS, list_subsets, make_subset, remove_subset
from backend.settings import Settings
from backend.store.database import Database
from tests.unit.corpus_tables import write_picture


def row(number: int, **changes: Any) -> dict[str, Any]:
    draw = random.Random(number)
    values = {
        "id": "",
        "dataset": draw.choice(("isic2019", "kaggle1", "ddi")),
        "source_id": f"ISIC_{number:05d}",
        "source_path": f"{number}.jpg",
        "patient": f"P{number // 3}",
        "lesion": f"L{number // 2}",
        "diagnosis": draw.choice(("melanoma", "nevus", "")),
        "diagnosis_given": "",
        "target": "",
        "label": draw.choice(list(Label)),
        "rule": "r",
        "modality": draw.choice(("dermoscopic", "clinical")),
        "skin_tone": draw.choice(("", "II", "V-VI")),
        "site": draw.choice(("", "torso")),
        "age": draw.choice((None, 5, 49, 50)),
        "sex": draw.choice(("", "female")),
        "split": draw.choice(("train", "test", "")),
        "synthetic": False,
        "width": 60,
        "height": 40,
        "bytes": 999,
        "byte_hash": f"{number:064x}",
        "pixel_hash": f"{number:064x}",
        "recipe": "64-crop-jpeg",
        "file": f"corpus/{number}.jpg",
        "thumbnail": f"corpus/{number}.jpg",
    } | changes
    values["id"] = image_id(values["dataset"], values["source_id"])
    return values | {"cell": cell_id(values)}


def fill(database: Database, count: int = 200) -> list[dict[str, Any]]:
    rows = [row(number) for number in range(count)]
    write_rows(database, rows)
    return rows


FILTERS = [
    CorpusFilter(),
    CorpusFilter(dataset="ddi"),
    CorpusFilter(label=Label.MALIGNANT, modality="clinical"),
    CorpusFilter(skin_tone="V-VI", sex="female"),
    CorpusFilter(decade=40),
    CorpusFilter(decade=-1, split="test"),
    CorpusFilter(diagnosis="", site="torso"),
    CorpusFilter(dataset="none"),
]


def matches(values: dict[str, Any], criteria: CorpusFilter) -> bool:
    decade = -1 if values["age"] is None else values["age"] // 10 * 10
    found = values | {"decade": decade}
    return all(
        found[name] == wanted for name, wanted in asdict(criteria).items() if wanted is not None
    )


@pytest.mark.parametrize("criteria", FILTERS)
def test_pages_and_counts_are_those_of_a_plain_list(
    any_database: Database, settings: Settings, criteria: CorpusFilter
) -> None:
    rows = fill(any_database)
    expected = {one["id"] for one in rows if matches(one, criteria)}
    assert count_corpus(any_database, criteria) == len(expected)
    paged: list[str] = []
    while page := query_corpus(any_database, settings, criteria, limit=7, offset=len(paged)):
        paged += [one.id for one in page]
    assert len(paged) == len(expected)
    assert set(paged) == expected
    assert [one.id for one in iterate_corpus(any_database, settings, criteria)] == paged


def test_counts_follow_every_change(any_database: Database) -> None:
    rows = fill(any_database)
    flipped = [row(number, label=Label.BENIGN, age=70) for number in range(50)]
    assert write_rows(any_database, flipped) > 0
    assert write_rows(any_database, flipped) == 0
    ours = [one["source_id"] for one in rows if one["dataset"] == "ddi"]
    assert remove_rows(any_database, "ddi", ours) == len(ours)
    left = [one for one in [*flipped, *rows[50:]] if one["dataset"] != "ddi"]
    counted = count_by(any_database, "label", "decade")
    expected: dict[tuple[object, ...], int] = {}
    for one in left:
        decade = -1 if one["age"] is None else one["age"] // 10 * 10
        expected[one["label"], decade] = expected.get((one["label"], decade), 0) + 1
    assert counted == expected


def test_an_image_is_found_by_its_name_patient_or_lesion(
    database: Database, settings: Settings
) -> None:
    rows = fill(database, 12)
    assert [one.source_id for one in find_corpus(database, settings, "ISIC_00004")] == [
        "ISIC_00004"
    ]
    assert {one.source_id for one in find_corpus(database, settings, "P1")} == {
        f"ISIC_0000{number}" for number in (3, 4, 5)
    }
    assert len(find_corpus(database, settings, "L2")) == 2
    view = get_corpus_image(database, settings, rows[0]["id"])
    assert view.file == settings.workspace / rows[0]["file"]
    with pytest.raises(CorpusError, match="There is no image none"):
        get_corpus_image(database, settings, "none")


def test_a_balanced_subset_follows_from_its_seed_and_stays(
    any_database: Database, settings: Settings
) -> None:
    fill(any_database)
    everything = (CorpusFilter(),)
    made = make_subset(any_database, "first", everything, per_label=20, seed=3)
    make_subset(any_database, "same", everything, per_label=20, seed=3)
    make_subset(any_database, "other", everything, per_label=20, seed=4)
    members = {
        name: [one.id for one in iterate_corpus(any_database, settings, subset=name)]
        for name in ("first", "same", "other")
    }
    assert members["first"] == members["same"] != members["other"]
    labels = [one.label for one in iterate_corpus(any_database, settings, subset="first")]
    assert (labels.count(Label.BENIGN), labels.count(Label.MALIGNANT)) == (20, 20)
    write_rows(any_database, [row(number) for number in range(200, 260)])
    again = [one.id for one in iterate_corpus(any_database, settings, subset="first")]
    assert again == members["first"]
    assert (made.images, [one.name for one in list_subsets(any_database)]) == (
        40,
        ["first", "other", "same"],
    )
    remove_subset(any_database, "other")
    assert len(list_subsets(any_database)) == 2


def test_a_subset_that_cannot_be_made_is_one_sentence(database: Database) -> None:
    fill(database, 10)
    make_subset(database, "taken", (CorpusFilter(),))
    for name, criteria, count, sentence in (
        ("taken", CorpusFilter(), None, "already"),
        ("many", CorpusFilter(), 500, r"Only \d+ benign images match, not 500"),
        ("none", CorpusFilter(dataset="none"), None, "No image of the corpus matches"),
        (" ", CorpusFilter(), None, "1 to 200 signs"),
    ):
        with pytest.raises(CorpusError, match=sentence):
            make_subset(database, name, (criteria,), per_label=count)
    with pytest.raises(CorpusError, match="no subset 'gone'"):
        remove_subset(database, "gone")


def test_the_test_set_of_the_paper_and_its_training_corpus_share_no_image(
    database: Database, settings: Settings
) -> None:
    fill(database)
    sets = []
    for name, filters in PRESETS.items():
        make_subset(database, name, filters)
        sets.append({one.id for one in iterate_corpus(database, settings, subset=name)})
    training, test = sets
    assert not training & test
    assert {one.dataset for one in iterate_corpus(database, settings, subset="paper-test")} == {
        *("isic2019", "kaggle1")
    }
    counted = {one.dataset: one for one in table_1(database)}
    assert sum(one.benign + one.malignant for one in counted.values()) == len(training)
    assert counted["isic2019"].test + counted["kaggle1"].test == len(test)
    assert counted["isic2024"].missing == 401_059


def run(settings: Settings, monkeypatch: pytest.MonkeyPatch, *words: str) -> Any:
    monkeypatch.setenv("DERMAFLUX_WORKSPACE", str(settings.workspace))
    done = CliRunner().invoke(build_app(), ["corpus", *words, "--json"], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def test_the_commands_import_list_show_and_keep(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for number in range(6):
        write_picture(
            tmp_path / "set" / ("nevus", "melanoma")[number % 2] / f"{number}.png", number
        )
    (tmp_path / "set" / "nevus" / "broken.png").write_bytes(b"x")
    words = ("import", "folder", str(tmp_path / "set"), "--name", "own", "--side", "64")
    done = run(settings, monkeypatch, *words, "--processes", "1")
    assert (done["images"], done["excluded"]) == (6, {"broken": 1})
    listed = run(settings, monkeypatch, "list", "--dataset", "own", "--label", "malignant")
    assert (listed["total"], len(listed["images"])) == (3, 3)
    (shown,) = run(settings, monkeypatch, "show", listed["images"][0]["source_id"])
    assert shown["id"] == listed["images"][0]["id"]
    (left,) = run(settings, monkeypatch, "excluded", "--reason", "broken")
    assert left["excluded"]["place"] == "nevus/broken.png"
    run(settings, monkeypatch, "excluded", "--out", str(tmp_path / "left.csv"))
    assert "nevus/broken.png,broken," in (tmp_path / "left.csv").read_text()
    digest = run(settings, monkeypatch, "catalogue", "--out", str(tmp_path / "all.csv"))["sha256"]
    assert run(settings, monkeypatch, "catalogue")["sha256"] == digest
    made = run(settings, monkeypatch, "subset", "make", "two", "--per-label", "1")
    assert made["images"] == len(run(settings, monkeypatch, "subset", "show", "two")) == 2
    assert len(run(settings, monkeypatch, "table")) == 11
    assert "ham10000" in run(settings, monkeypatch, "rules")
