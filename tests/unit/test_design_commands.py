"""`design` on the command line: a table is written, looked at and checked, or a sentence said."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from backend.abc.attributes import Colour, SkinTone
from backend.cli import build_app
from backend.errors import DermaFluxError
from backend.generation.design.files import read_table

PLAN = ["--vary", "border", "--vary", "colours=red,black+red", "--fix", "skin-tone=4"]


def run(*arguments: str) -> Result:
    return CliRunner().invoke(build_app(), ["design", *arguments])


def test_a_table_is_written_counted_and_read_back(tmp_path: Path) -> None:
    file = tmp_path / "captions.csv"
    made = run("write", *PLAN, "--draw", "label", "--repeats", "2", "--out", str(file), "--json")
    assert made.exit_code == 0, made.exception
    told = json.loads(made.stdout)
    assert (told["rows"], told["labels"]) == (12, {"benign": 6, "malignant": 6})
    assert "12 rows" in made.stderr
    rows = read_table(file).rows
    assert {row.attributes.colours for row in rows} == {(Colour.RED,), (Colour.BLACK, Colour.RED)}
    assert {row.attributes.skin_tone for row in rows} == {SkinTone.IV}
    checked = json.loads(run("check", str(file), "--show", "1", "--json").stdout)
    assert checked["rows"] == 12
    assert checked["preview"] == told["preview"][:1]


def test_without_a_file_it_is_a_look(tmp_path: Path) -> None:
    told = run("write", *PLAN, "--plan", "hypercube", "--count", "7", "--show", "3")
    assert told.exit_code == 0
    assert "7 rows: 7 unlabelled." in told.stdout
    assert len(told.stdout.splitlines()) == 5
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--vary", "shape=round"], "unknown field, vary shape"),
        (["--vary", "shape"], "--vary shape names no value"),
        (["--vary", "diameter_mm"], "names no value"),
        (["--vary", "border", "--vary", "border"], "is given twice"),
        (["--fix", "border"], "--fix border names no value"),
        (["--fix", "border=regular,irregular"], "use --vary border"),
        (["--draw", "shape"], "drawn of the design should be"),
        (["--vary", "border", "--template", "{border"], "character 1 is not closed"),
        (["--vary", "border", "--repeats", "40000"], "120,000 rows"),
        (["--vary", "border", "--out", "captions.xlsx"], "a .csv or a .jsonl file"),
    ],
)
def test_a_mistake_gets_a_sentence(arguments: list[str], sentence: str) -> None:
    result = run("write", *arguments)
    assert isinstance(result.exception, DermaFluxError), result.output
    assert sentence in str(result.exception)
