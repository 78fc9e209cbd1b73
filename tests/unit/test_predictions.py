"""The prediction table: tables of any origin are read, and what cannot be gets one sentence."""

import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backend.evaluation.errors import EvaluationError
from backend.evaluation.prediction_files import (
    guess_mapping,
    read_facts,
    read_header,
    read_predictions,
    write_predictions,
)
from backend.evaluation.predictions import (
    COLUMNS,
    Split,
    clusters_of,
    join,
    make_predictions,
    series_of,
    splits_of,
    with_facts,
)
from backend.files import FileError

HEADER = "image_id,y_true,score\n"


def written(folder: Path, text: str | bytes, name: str = "vit.csv") -> Path:
    """A file with this text."""
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_a_foreign_table_is_read_with_its_own_words_signs_and_columns(tmp_path: Path) -> None:
    text = (
        "\ufeffImage Name;label;prob\r\n007;benign;87 %\r\n008; Malignant ;5,5%\r\n009;1;0,25\r\n"
    )
    path = written(tmp_path, text)
    assert read_header(path) == ("Image Name", "label", "prob")
    frame = read_predictions(path).frame
    assert list(frame["image_id"]) == ["007", "008", "009"]
    assert list(frame["y_true"]) == [0, 1, 1]
    assert list(frame["score"]) == pytest.approx([0.87, 0.055, 0.25])
    assert set(frame["model"]) == {"vit"}
    assert set(frame["split"]) == {"test"}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_encodings_are_found_out(tmp_path: Path, encoding: str) -> None:
    text = "bild;y_true;score\nläsion1;0;0.5\nläsion2;1;1e-3\n"
    found = read_predictions(written(tmp_path, text.encode(encoding)), {"image_id": "bild"})
    assert list(found.frame["image_id"]) == ["läsion1", "läsion2"]


def test_words_for_the_truth_are_said_by_the_person(tmp_path: Path) -> None:
    path = written(tmp_path, HEADER + "a,nevus,0.5\nb,MEL,0.2\n")
    with pytest.raises(EvaluationError, match=r'says "nevus", "MEL" \(first in row 2\)'):
        read_predictions(path)
    found = read_predictions(path, labels={"Nevus": 0, "mel": 1})
    assert list(found.frame["y_true"]) == [0, 1]


def test_columns_are_guessed_and_each_is_used_once() -> None:
    header = ("isic_id", "target", "prob", "fitspatrick", "patient_id", "fold", "unknown")
    assert guess_mapping(header) == {
        "image_id": "isic_id",
        "y_true": "target",
        "score": "prob",
        "run": "fold",
        "patient": "patient_id",
        "skin_tone": "fitspatrick",
    }
    assert guess_mapping(("score", "score2")) == {"score": "score"}


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "vit.csv is empty"),
        (HEADER, "a header only"),
        (b"\x00\x01\x02", "no table of text"),
        ("image_id,y_true\na,1\n", "no column score"),
        ("a;b\n1;2\n", "no column image_id or y_true or score"),
        (HEADER + "a,1\n", "Row 2 of vit.csv has 2 cells where the header has 3"),
        (HEADER + "a,0,0.1\nb,1,0.2,9\n", "Row 3 of vit.csv has 4 cells"),
        (HEADER + "a,0,\nb,1,x\n", r"Row 2 of vit.csv has no number as its score \(as do 1 of"),
        (HEADER + "a,0,NA\n", "no number as its score"),
        (HEADER + "a,0,nan\n", "no number as its score"),
        (HEADER + "a,0,inf\n", "no number as its score"),
        (HEADER + "a,0,0.5\nb,1,87\n", r"Row 3 of vit.csv has a score outside 0 to 1 .* 87"),
        (HEADER + "a,0,-0.1\n", "outside 0 to 1"),
        (HEADER + "a,0,130 %\n", "outside 0 to 1"),
        (HEADER + ",0,0.3\nb,1,0.3\n", "Row 2 of vit.csv has no image"),
        (HEADER + "a,,0.5\nb,1,0.2\n", r"says nothing \(first in row 2\)"),
        (HEADER + "a,2,0.5\n", 'says "2"'),
        (HEADER + "a,0,0.5\na,0,0.2\n", r"The image a is twice in vit.csv for vit, run 1 \(row 3"),
        (HEADER + "a,0,0.5\na,1,0.2\n", "The image a is twice"),
        (
            "image_id,y_true,score,model\na,0,0.5,m\na,1,0.2,n\n",
            "The image a is benign in one row of vit.csv and malignant in another",
        ),
        (
            "image_id,y_true,score,split\na,0,0.5,test\na,0,0.2,val\n",
            "The image a is in test and in validation",
        ),
        ("image_id,y_true,score,split\na,0,0.5,holdout\n", 'The split "holdout"'),
        ("image_id,y_true,score,seed\na,0,0.5,x\n", "no whole number as its seed"),
        ("image_id,y_true,score,seed\na,0,0.5,1.5\n", "no whole number as its seed"),
        (
            "image_id,y_true,score,run,patient\na,0,0.5,1,p\na,0,0.5,2,q\n",
            "The image a has two values of patient",
        ),
    ],
)  # fmt: skip
def test_bad_input_gets_one_sentence(tmp_path: Path, text: str | bytes, sentence: str) -> None:
    with pytest.raises(EvaluationError, match=sentence) as refused:
        read_predictions(written(tmp_path, text))
    assert str(refused.value).endswith(".")


def test_files_and_columns_that_are_not_there_are_named(tmp_path: Path) -> None:
    with pytest.raises(EvaluationError, match="There is no file"):
        read_predictions(tmp_path / "none.csv")
    path = written(tmp_path, HEADER + "a,0,0.5\n")
    with pytest.raises(EvaluationError, match="no column prob in vit"):
        read_predictions(path, {"score": "prob"})
    with pytest.raises(EvaluationError, match="points is no column of predictions"):
        read_predictions(path, {"points": "score"})
    with pytest.raises(EvaluationError, match="no table that can be read"):
        read_predictions(written(tmp_path, b"PAR1xxxxPAR1", "vit.parquet"))


@settings(deadline=None, max_examples=100)
@given(st.binary(max_size=200))
def test_any_bytes_are_a_table_or_a_sentence(tmp_path_factory: pytest.TempPathFactory, data: bytes):
    path = written(tmp_path_factory.getbasetemp(), data, "any.csv")
    with pytest.raises(EvaluationError):
        read_predictions(path)


words = st.text(st.characters(categories=("L", "N", "P", "S")), min_size=1, max_size=8).filter(
    lambda word: word.strip() == word
)


@settings(deadline=None, max_examples=25)
@given(
    st.lists(st.tuples(words, st.booleans(), st.floats(0, 1)), min_size=1, max_size=20,
             unique_by=lambda row: row[0]),
    st.sampled_from([".csv", ".parquet"]),
)  # fmt: skip
def test_what_is_written_is_read_again(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, bool, float]], suffix: str
) -> None:
    frame = pd.DataFrame(rows, columns=list(COLUMNS[:3])).assign(
        model="vit", run="3", seed=7, split="validation", patient="p1"
    )
    made = make_predictions(frame)
    path = tmp_path_factory.getbasetemp() / f"again{suffix}"
    write_predictions(made, path)
    again = read_predictions(path)
    assert list(again.frame["image_id"]) == [row[0] for row in rows]
    assert list(again.frame["score"]) == [row[2] for row in rows]
    assert (again.frame["y_true"] == made.frame["y_true"]).all()
    assert again.frame.iloc[0][["model", "run", "seed", "split"]].tolist() == [
        "vit", "3", 7, "validation"
    ]  # fmt: skip
    assert set(again.facts["patient"]) == {"p1"}


def test_a_folder_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    blocked = written(tmp_path, "", "file")
    table = make_predictions(pd.DataFrame({"image_id": ["a"], "y_true": [1], "score": [0.5]}))
    with pytest.raises(FileError):
        write_predictions(table, blocked / "predictions.csv")


def test_series_are_ordered_by_image_whatever_the_order_of_rows(tmp_path: Path) -> None:
    text = "image_id,y_true,score,model,seed,split\n" + "".join(
        f"{image},{int(image == 'b')},{score},{model},{seed},test\n"
        for model, seed, order, score in (
            ("m", 0, "abc", 0.1), ("m", 1, "cab", 0.2), ("n", 0, "bca", 0.3)
        )
        for image in order
    )  # fmt: skip
    table = read_predictions(written(tmp_path, text))
    found = series_of(table)
    assert [(one.model, one.run, one.seed) for one in found] == [
        ("m", "0", 0), ("m", "1", 1), ("n", "0", 0)
    ]  # fmt: skip
    assert all((one.images == found[0].images).all() for one in found)
    assert all(one.y_true.tolist() == [False, True, False] for one in found)
    assert splits_of(table) == (Split.TEST,)
    assert series_of(table, Split.VALIDATION) == ()


def test_facts_join_by_image_and_patients_are_drawn_together(tmp_path: Path) -> None:
    table = read_predictions(written(tmp_path, HEADER + "a,0,0.5\nb,1,0.2\nc,1,0.4\nd,0,0.4\n"))
    lines = ("isic_id,patient_id,lesion_id,gender", "c,p1,l3,female", "a,p1,l1,unknown",
             "b,NA,l2,male", "z,p9,,male")  # fmt: skip
    text = "\n".join(lines)
    joined = with_facts(table, read_facts(written(tmp_path, text, "facts.csv")))
    assert joined.facts["patient"].tolist() == ["p1", "", "p1", ""]
    assert joined.facts["sex"].tolist() == ["", "male", "female", ""]
    clusters, kind = clusters_of(joined, np.arange(4))
    assert kind == "patient"
    assert clusters[0] == clusters[2]
    assert len(set(clusters)) == 3
    assert clusters_of(table, np.arange(4))[1] == "image"
    with pytest.raises(EvaluationError, match="none of the images"):
        with_facts(table, pd.DataFrame({"image_id": ["q"], "sex": ["male"]}))
    with pytest.raises(EvaluationError, match="no column image_id"):
        with_facts(table, pd.DataFrame({"sex": ["male"]}))
    with pytest.raises(EvaluationError, match="none of the columns"):
        with_facts(table, pd.DataFrame({"image_id": ["a"], "shoe": [44]}))


def test_patients_of_two_datasets_are_not_one_person() -> None:
    frame = pd.DataFrame({"image_id": ["a", "b"], "y_true": [0, 1], "score": [0.1, 0.2]})
    table = make_predictions(frame.assign(patient="1", dataset=["ddi", "hiba"]))
    assert len(set(clusters_of(table, np.arange(2))[0])) == 2


def test_files_of_several_models_are_one_table(tmp_path: Path) -> None:
    files = [written(tmp_path, HEADER + "a,0,0.5\nb,1,0.7\n", f"{name}.csv") for name in "xy"]
    table = join([read_predictions(path) for path in files])
    assert [one.model for one in series_of(table)] == ["x", "y"]
    with pytest.raises(EvaluationError, match="twice in the tables together"):
        join([read_predictions(files[0])] * 2)


def test_many_rows_are_read_in_seconds_and_little_memory(tmp_path: Path) -> None:
    chance = np.random.default_rng(0)
    count = 200_000
    frame = pd.DataFrame(
        {
            "image_id": [f"ISIC_{number:07d}" for number in range(count)],
            "y_true": chance.integers(0, 2, count),
            "score": chance.random(count).round(6),
        }
    )
    path = tmp_path / "many.csv"
    frame.to_csv(path, index=False)
    started = time.process_time()
    table = read_predictions(path)
    assert time.process_time() - started < 6
    assert table.frame.memory_usage(deep=True).sum() / count < 100  # bytes a row
    assert (table.frame["score"] == frame["score"]).all()


def test_an_id_of_the_archive_is_one_lesion_in_two_datasets_and_other_names_are_not() -> None:
    rows = pd.DataFrame(
        {
            "image_id": ["a", "b", "c", "d"],
            "y_true": [1, 1, 0, 0],
            "score": [0.9, 0.8, 0.2, 0.1],
            "dataset": ["ham10000", "isic2019", "ham10000", "isic2019"],
            "lesion": ["HAM_0000118", "HAM_0000118", "7", "7"],
        }
    )
    (series,) = series_of(made := make_predictions(rows))
    owners, kind = clusters_of(made, series.images)
    assert kind == "lesion"
    assert len(set(owners)) == 3
    assert owners[0] == owners[1]
