"""A dataset is added by the one record that docs/sources.md shows, and then imported."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from backend.cli import build_app
from backend.corpus import checking, sources
from backend.corpus.record import Source
from backend.settings import REPOSITORY, Settings
from tests.unit.corpus_tables import write_picture

ROWS = (
    "a.jpg,P1,L1,Melanoma in situ,61,2",
    "b.jpg,P1,L2,bcc,61,2",
    "c.jpg,P2,L3,Naevus,30,4",
    "d.jpg,P2,L4,seborrheic keratosis,30,4",
    "e.jpg,P3,L5,nv,45,5",
    "f.jpg,P3,L6,actinic keratosis,45,5",
)
"""What the record of the documents must label 3 benign, 2 malignant, 1 dropped."""


@pytest.fixture
def record(monkeypatch: pytest.MonkeyPatch) -> Source:
    """The record of the documents, put where those of the studio are."""
    text = (REPOSITORY / "docs" / "sources.md").read_text("utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    names: dict[str, object] = {}
    exec(code, names)  # noqa: S102 - the example that a reader will copy
    record = names["CLINIC"]
    assert isinstance(record, Source)
    monkeypatch.setattr(sources, "SOURCES", {**sources.SOURCES, record.key: record})
    monkeypatch.setattr(checking, "NAMED", (*checking.NAMED, record))
    return record


@pytest.fixture
def download(tmp_path: Path) -> Path:
    """A folder as the record describes it, with a mask and a note beside it."""
    folder = tmp_path / "clinic"
    for seed, row in enumerate(ROWS):
        write_picture(folder / "photos" / row.split(",", 1)[0], seed)
    write_picture(folder / "photos" / "a_mask.jpg")
    header = "photo,case,spot,finding,age,fitzpatrick"
    (folder / "cases.csv").write_text("\n".join((header, *ROWS)) + "\n")
    return folder


def test_a_dataset_of_one_record_is_listed_checked_and_imported(
    record: Source, download: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in settings.environment().items():
        monkeypatch.setenv(name, value)

    def said(*command: str) -> Any:
        done = CliRunner().invoke(build_app(), ["corpus", *command, "--json"])
        assert done.exit_code == 0, done.output
        return json.loads(done.stdout)

    assert record.key in [one["key"] for one in said("sources")]
    (check,) = said("rules", "--check", str(download))
    assert (check["source"], check["outcome"], check["bad_rows"]) == ("clinic", "exact", 0)
    imported = said("import", "clinic", str(download), "--processes", "1")
    assert (imported["images"], imported["excluded"]) == (5, {"dropped_by_rule": 1})
    listed = said("list", "--dataset", "clinic", "--label", "malignant")
    assert {(one["source_id"], one["patient"], one["skin_tone"]) for one in listed["images"]} == {
        ("a", "P1", "II"),
        ("b", "P1", "II"),
    }
