"""Tables of any origin are read; what cannot be is one sentence."""

import io
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.corpus.diagnoses import diagnosis_of
from backend.corpus.errors import CorpusError
from backend.corpus.exclusions import Reason
from backend.corpus.facts import age_of, modality_of, sex_of, site_of, skin_tone_of
from backend.corpus.planning import plan_import, with_columns
from backend.corpus.record import Field
from backend.corpus.sources import find_source
from backend.corpus.tables import open_table
from tests.unit.corpus_tables import write_picture

ROWS = (("image", "dx"), ("ISIC_1", "nv"), ("ISIC_2", "mel, é"))


def cells(data: bytes, name: str = "table.csv") -> list[list[str]]:
    table = open_table(io.BytesIO(data), name)
    return [list(table.header), *(row for _, row in table.rows)]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252", "utf-16"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_delimiter_encoding_and_line_ends_are_found_out(
    delimiter: str, encoding: str, end: str
) -> None:
    text = end.join(delimiter.join(f'"{cell}"' for cell in row) for row in ROWS)
    assert cells(text.encode(encoding)) == [list(row) for row in ROWS]


def test_short_rows_are_filled_and_long_ones_cut() -> None:
    assert cells(b"\n\na,b,c\n1\n1,2,3,4\n,,\n") == [
        ["a", "b", "c"],
        ["1", "", ""],
        ["1", "2", "3"],
    ]


def test_parquet_is_a_table() -> None:
    buffer = io.BytesIO()
    pd.DataFrame({"image": ["a", None], "age": [1.0, 2.0]}).to_parquet(buffer)
    assert cells(buffer.getvalue(), "t.parquet") == [["image", "age"], ["a", "1.0"], ["", "2.0"]]


@pytest.mark.parametrize(
    ("data", "name", "sentence"),
    [
        (b"", "empty.csv", "empty.csv is empty"),
        (b"\n \n", "blank.csv", "blank.csv is empty"),
        (b"PK\3\4" + bytes(range(256)), "book.csv", "no table of text"),
        (b"a,b\n1,2\n", "t.parquet", "no Parquet file"),
        (b'a,b\n"' + b"x" * (1 << 21), "open.csv", "open.csv is damaged at line"),
    ],
)
def test_what_is_no_table_is_one_sentence(data: bytes, name: str, sentence: str) -> None:
    with pytest.raises(CorpusError, match=sentence):
        cells(data, name)


@given(st.binary(max_size=400))
def test_no_bytes_break_the_reader(data: bytes) -> None:
    try:
        rows = cells(data)
    except CorpusError:
        return
    assert {len(row) for row in rows} == {len(rows[0])}


def test_facts_are_brought_to_one_vocabulary() -> None:
    assert [site_of(word) for word in ("FOREARM", "upper back", "lower extremity", "")] == [
        "upper_extremity",
        "posterior_torso",
        "lower_extremity",
        "",
    ]
    assert [skin_tone_of(text) for text in ("3.0", "12", "56", "", "7", "iv")] == [
        *("III", "I-II", "V-VI", "", "", "IV")
    ]
    assert skin_tone_of("0", fitzpatrick=False) == "class 0"
    assert [age_of(text) for text in ("55.0", "85+", "", "nan", "-3", "inf")] == [
        55,
        85,
        *[None] * 4,
    ]
    assert (sex_of("FEMALE"), sex_of("?")) == ("female", "")
    assert [modality_of(text) for text in ("TBP tile: close-up", "clinical: close-up", "")] == [
        *("tbp", "clinical", "")
    ]
    assert diagnosis_of(["", "unknown", "Nevus, Spitz"]) == ("nevus", "Nevus, Spitz")
    assert diagnosis_of(["Something Rare"]) == ("something_rare", "Something Rare")


def test_rows_and_images_without_each_other_and_doubles_are_named(tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_text(
        "image_id;dx\nISIC_1;nv\nISIC_1;mel\nISIC_2;mel\n;nv\nISIC_4;strange\nISIC_5;nv\n"
    )
    for seed, name in enumerate(
        ("a/ISIC_1.JPG", "b/isic_1.png", "ISIC_4.jpg", "ISIC_9.jpg", "ISIC_5.jpg")
    ):
        write_picture(tmp_path / name, seed)
    plan = plan_import(find_source("ham10000"), tmp_path)
    assert [planned.facts.source_id for planned in plan.images] == ["ISIC_1", "ISIC_5"]
    assert {(one.place, one.reason) for one in plan.left_out} == {
        ("labels.csv:3", Reason.DUPLICATE_ROW),
        ("labels.csv:5", Reason.BAD_ROW),
        ("b/isic_1.png", Reason.DUPLICATE_FILE),
        ("ISIC_2", Reason.NO_IMAGE),
        ("ISIC_4.jpg", Reason.DROPPED),
        ("ISIC_9.jpg", Reason.NO_ROW),
    }


def test_columns_of_a_table_of_ones_own_are_named_by_the_person(tmp_path: Path) -> None:
    (tmp_path / "own.csv").write_text("photo,wer,befund\nx.jpg,anna,melanoma\ny.jpg,otto,naevus\n")
    for name in ("x.jpg", "y.jpg"):
        write_picture(tmp_path / name)
    columns = {Field.IMAGE: "photo", Field.PATIENT: "wer", Field.DIAGNOSIS: "befund"}
    plan = plan_import(with_columns(find_source("table"), columns), tmp_path)
    assert [(one.facts.patient, one.label) for one in plan.images] == [
        ("anna", "malignant"),
        ("otto", "benign"),
    ]


def test_a_folder_without_its_table_says_what_the_layout_is(tmp_path: Path) -> None:
    write_picture(tmp_path / "ISIC_1.jpg")
    with pytest.raises(CorpusError, match=r"table of HAM10000 is not there. Its layout is: HAM"):
        plan_import(find_source("ham10000"), tmp_path)
    (tmp_path / "labels.csv").write_text("\ufeffimage_id;diagnose\nISIC_1;nv\n", "utf-8")
    with pytest.raises(CorpusError, match=r": labels\.csv has no column dx\. Its"):
        plan_import(find_source("ham10000"), tmp_path)
    with pytest.raises(CorpusError, match="There is no folder"):
        plan_import(find_source("ham10000"), tmp_path / "none")


def test_a_table_without_the_images_column_names_every_row(tmp_path: Path) -> None:
    (tmp_path / "own.csv").write_text("who,diagnosis\nanna,nv\notto,mel\n")
    write_picture(tmp_path / "a.jpg")
    plan = plan_import(find_source("table"), tmp_path)
    assert [(one.place, one.reason) for one in plan.left_out] == [
        ("own.csv:2", Reason.BAD_ROW),
        ("own.csv:3", Reason.BAD_ROW),
        ("a.jpg", Reason.NO_ROW),
    ]


@given(st.data())
def test_a_parquet_file_of_which_bytes_were_turned_is_read_or_refused(data: st.DataObject) -> None:
    buffer = io.BytesIO()
    frame = pd.DataFrame({"image": [f"ISIC_{n}" for n in range(50)], "dx": ["nv", "mel"] * 25})
    frame.to_parquet(buffer)
    turned = bytearray(buffer.getvalue())
    for _ in range(data.draw(st.integers(1, 6))):
        turned[data.draw(st.integers(0, len(turned) - 1))] = data.draw(st.integers(0, 255))
    try:
        rows = cells(bytes(turned), "t.parquet")
    except CorpusError:
        return
    assert {len(row) for row in rows} == {len(rows[0])}
