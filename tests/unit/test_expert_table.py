"""Expert labels are read from the tables people have, and what is wrong is said row by row."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.abc.attributes import Asymmetry, Colour
from backend.abc.expert.table import ExpertRow, find_table, read_table, stem_of
from backend.abc.measure import MeasureError

BROWNS = frozenset({Colour.LIGHT_BROWN, Colour.DARK_BROWN})
PH2_TEXT = """
|| Name || Histological Diagnosis || Clinical Diagnosis || Asymmetry || Pigment Network \
|| Dots/Globules || Streaks || Regression Areas || Blue-Whitish Veil || Colors ||
|| IMD003 ||  || 0 || 0 || T  || A || A || A || A ||  3  4 ||
|| IMD417 || 2 || 2 || 2 || AT || AT || P || P || P ||  1  2  4  5  6 ||

Legends:

   Colors:
      1 - White;  2 - Red;  3 - Light-Brown;  4 - Dark-Brown;  5 - Blue-Gray;  6 - Black
"""
PH2_SHEET = """PH2 dataset,,,,,,,,,,,
,,,,,,Colors,,,,,
Image Name,Histological Diagnosis,Common Nevus,Atypical Nevus,Melanoma,Asymmetry (0/1/2),,,,,,
,,,,,,White,Red,Light-Brown,Dark-Brown,Blue-Gray,Black
IMD003,,X,,,0,,,X,X,,
IMD417,Melanoma,,,X,2,X,X,,X,X,X
"""


def test_the_text_table_of_ph2_is_read_with_its_numbered_colours(tmp_path: Path):
    path = _write(tmp_path, "PH2_dataset.txt", PH2_TEXT)

    table = read_table(path)

    assert table.problems == ()
    assert [_said(row) for row in table.rows] == [
        ("IMD003", Asymmetry.SYMMETRIC, BROWNS),
        ("IMD417", Asymmetry.TWO_AXES, frozenset(Colour) - {Colour.LIGHT_BROWN}),
    ]


@pytest.mark.parametrize("deep", [True, False])
def test_the_sheet_of_ph2_saved_as_csv_is_read_with_its_marks(tmp_path: Path, deep: bool):
    lines = PH2_SHEET.splitlines()
    if not deep:
        above, below = (line.split(",") for line in lines[2:4])
        lines[2:4] = [",".join(first or second for first, second in zip(above, below, strict=True))]
    path = _write(tmp_path, "PH2_dataset.csv", "\n".join(lines))

    table = read_table(path)

    assert table.problems == ()
    assert [_said(row) for row in table.rows] == [
        ("IMD003", Asymmetry.SYMMETRIC, BROWNS),
        ("IMD417", Asymmetry.TWO_AXES, frozenset(Colour) - {Colour.LIGHT_BROWN}),
    ]


@pytest.mark.parametrize(
    ("header", "row"),
    [
        ("image,asymmetry,colours", "a.png,1,light brown; Dark-Brown"),
        ("image_id;Asymmetry;Colors", "a;1;light_brown,dark_brown"),
        ("file\tasymmetry\tcolors", "sub/a.JPG\t1.0\tlight-brown|dark brown"),
        ("name,asymmetry,colour", "a,one axis,Light Brown + DARK BROWN"),
        ("image,asymmetry,light_brown,dark_brown,black", "a.bmp,1,1,1,0"),
        ("Image Name,Asymmetry,Light-Brown,Dark-Brown,Blue-Gray", "a,1,X,x,"),
        ("filename,asymmetry,colour_light_brown,colour_dark_brown,colour_red", "a,1,true,yes,no"),
        ("\ufeffimage,asymmetry,colours", "a.png,1,light brown and dark brown"),
    ],
)
def test_every_layout_says_the_same(tmp_path: Path, header: str, row: str):
    table = read_table(_write(tmp_path, "labels.csv", f"{header}\n{row}\n"))

    assert table.problems == ()
    (read,) = table.rows
    assert stem_of(read.image) == "a"
    assert (read.asymmetry, read.colours) == (Asymmetry.ONE_AXIS, BROWNS)


@pytest.mark.parametrize(
    ("row", "sentence"),
    [
        ("b.png,7,red", "the asymmetry '7' is none of 0, 1 and 2."),
        ("b.png,1,mauve", "the colour 'mauve' is none of the six"),
        ("a.png,1,red", "line 2 names this image already; the first counts."),
        ("A.PNG,1,red", "line 2 names this image already; the first counts."),
        (",1,red", "no image is named."),
        ("b.png,,", "neither asymmetry nor any colour is given."),
        ("b.png", "neither asymmetry nor any colour is given."),
    ],
)
def test_a_row_that_cannot_be_read_gets_a_sentence_and_the_others_are_read(
    tmp_path: Path, row: str, sentence: str
):
    text = f"image,asymmetry,colours\na.png,0,black\n{row}\nc.png,2,white\n"

    table = read_table(_write(tmp_path, "labels.csv", text))

    assert [row.image for row in table.rows] == ["a.png", "c.png"]
    (problem,) = table.problems
    assert problem.startswith("Line 3 (")
    assert sentence in problem


def test_a_mark_that_is_none_is_named(tmp_path: Path):
    path = _write(tmp_path, "labels.csv", "image,asymmetry,white,black\na,0,perhaps,1\nb,0,0,1\n")

    table = read_table(path)

    assert len(table.rows) == 1
    assert "the mark 'perhaps' for white is neither 1 or X nor 0." in table.problems[0]


def test_what_experts_left_out_is_none(tmp_path: Path):
    path = _write(tmp_path, "labels.csv", "image,asymmetry,colours\na,,red\nb,2,\n")

    first, second = read_table(path).rows

    assert (first.asymmetry, first.colours) == (None, frozenset({Colour.RED}))
    assert (second.asymmetry, second.colours) == (Asymmetry.TWO_AXES, None)


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("", "is empty"),
        ("\n\n", "is empty"),
        ("image,asymmetry\n", "no rows"),
        ("image,age\na,40\n", "no header"),
        ("1,2,3\n", "no header"),
    ],
)
def test_what_is_no_table_of_labels_is_refused_in_a_sentence(tmp_path: Path, text: str, word: str):
    with pytest.raises(MeasureError, match=word) as refusal:
        read_table(_write(tmp_path, "labels.csv", text))

    assert str(refusal.value).endswith(".")


def test_the_table_of_a_folder_is_found_among_other_files(tmp_path: Path):
    _write(tmp_path, "readme.txt", "Images of lesions, asymmetry and colours by experts.")
    _write(tmp_path, "ages.csv", "image,age\na,40\n")
    (tmp_path / "labels").mkdir()
    path = _write(tmp_path / "labels", "expert.csv", "image,asymmetry\na,1\n")

    assert find_table(tmp_path) == path

    _write(tmp_path, "second.csv", "image,asymmetry\na,1\n")
    with pytest.raises(MeasureError, match=r"second\.csv.*--table"):
        find_table(tmp_path)


@pytest.mark.parametrize("name", ["empty", "missing"])
def test_a_folder_without_a_table_is_named(tmp_path: Path, name: str):
    (tmp_path / "empty").mkdir()

    with pytest.raises(MeasureError, match=name):
        find_table(tmp_path / name)


@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_refused_in_a_sentence(
    tmp_path_factory: pytest.TempPathFactory, data: bytes
):
    path = tmp_path_factory.getbasetemp() / "any.csv"
    path.write_bytes(data)

    try:
        read_table(path)
    except MeasureError as refusal:
        assert str(refusal).endswith(".")


def _said(row: ExpertRow) -> tuple[str, Asymmetry | None, frozenset[Colour] | None]:
    return row.image, row.asymmetry, row.colours


def _write(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path
