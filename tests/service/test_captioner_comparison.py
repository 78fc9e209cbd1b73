"""Two captioners beside each other: what both say, who says more, and where they differ."""

import csv
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from backend.captioning.comparison import compare_captions
from backend.captioning.comparison_tables import write_comparison
from backend.captioning.errors import CaptioningError
from backend.captioning.findings import Check
from backend.captioning.versions import find_version
from backend.cli import build_app
from backend.settings import Settings
from backend.store.database import Database
from tests.service.corpus_pictures import caption, fill_corpus

SAID = {
    "000.png": (
        "The mole is symmetric, with a regular border. Its colour is dark brown.",
        "The mole is symmetric, with a regular border. Its colour is dark brown and black.",
    ),
    "001.png": (
        "The mole is asymmetric in two axes, with an irregular border. It is dark brown.",
        "The mole is symmetric, with an irregular border. It is dark brown.",
    ),
    "002.png": (
        "The mole is symmetric. It looks malignant.",
        "=1+1 The mole is symmetric in shape, and its border is regular.",
    ),
}


@pytest.fixture
def described(settings: Settings, database: Database, tmp_path: Path) -> tuple[str, str]:
    """The names of two captioners that described three images, and one of them a fourth."""
    fill_corpus(settings, database, tmp_path / "set", 6)
    for place, name in enumerate(("first", "second")):
        captions = {image: texts[place] for image, texts in SAID.items()}
        if name == "first":
            captions["003.png"] = "The mole is symmetric."
        file = tmp_path / f"{name}.json"
        file.write_text(json.dumps(captions))
        assert caption(settings, database, captioner="archive", archive=file).error is None
    return "first", "second"


def test_agreement_lengths_findings_and_disagreements(
    settings: Settings, database: Database, described: tuple[str, str], tmp_path: Path
) -> None:
    first, second = (find_version(database, name) for name in described)
    assert first.model == "first.json"
    found = compare_captions(database, settings, first, second)
    assert (found.images, found.both) == (6, 3)
    assert (found.first.captions, found.second.captions) == (4, 3)
    by_name = {one.attribute: one for one in found.attributes}
    assert by_name["asymmetry"].agreement.images == 3
    assert by_name["asymmetry"].agreement.raw == pytest.approx(2 / 3)
    border = by_name["border"]
    assert (border.agreement.images, border.only_first, border.only_second) == (2, 0, 1)
    assert border.agreement.kappa == 1.0
    assert by_name["black"].agreement.images == 2
    assert by_name["black"].agreement.raw == 0.5
    assert by_name["white"].agreement.kappa is None
    assert found.first.length is not None
    assert found.first.length.mean == pytest.approx((13 + 15 + 7) / 3)
    assert found.first.findings[Check.LEAKAGE] == 1
    assert Check.LEAKAGE not in found.second.findings
    told = {(one.source_id[-3:], one.attribute): one for one in found.disagreements}
    assert set(told) == {("000", "black"), ("001", "asymmetry")}
    assert told["001", "asymmetry"].first == "two_axes"
    write_comparison(found, tmp_path / "tables")
    with (tmp_path / "tables" / "agreement.csv").open(newline="") as stream:
        rows = {row["attribute"]: row for row in csv.DictReader(stream)}
    assert float(rows["asymmetry"]["raw"]) == pytest.approx(2 / 3)
    with (tmp_path / "tables" / "disagreements.csv").open(newline="") as stream:
        assert len(list(csv.DictReader(stream))) == 2
    with pytest.raises(CaptioningError, match="not empty: name a new folder with --csv"):
        write_comparison(found, tmp_path / "tables")


def test_the_command_compares_and_says_what_cannot_be_compared(
    settings: Settings,
    described: tuple[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DERMAFLUX_WORKSPACE", str(settings.workspace))
    run = CliRunner()
    compare = ["captions", "compare", *described]
    shown = run.invoke(build_app(), [*compare, "--csv", str(tmp_path / "tables")])
    assert shown.exit_code == 0, shown.output
    assert "6 images, 3 described by both" in shown.stdout
    assert "asymmetry: A two axes, B symmetric" in shown.stdout
    as_json = json.loads(run.invoke(build_app(), [*compare, "--json"]).stdout)
    assert as_json["both"] == 3
    for arguments, sentence in (
        (["first", "first"], "cannot be compared with itself"),
        (["first", "oracle"], "There is no captioner oracle: there is archive:first-"),
        (["archive", "first"], "archive has several versions: say which of archive:first-"),
        (["first", "second", "--subset", "gone"], "no subset 'gone'"),
        (["first", "second", "--dataset", "gone"], "described no image in common"),
    ):
        failed = run.invoke(build_app(), ["captions", "compare", *arguments])
        assert sentence in str(failed.exception) + failed.output
