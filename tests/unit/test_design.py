"""A design covers what it says, balanced by label, the same each time, and survives as a file."""

import csv
import io
from collections import Counter
from itertools import product
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backend.abc.attributes import (
    Border,
    Colour,
    Diagnosis,
    Label,
    LesionAttributes,
    Modality,
    Site,
    SkinTone,
)
from backend.abc.grammar import CaptionStyle
from backend.abc.parser import parse
from backend.generation.design.design import MAX_ROWS, DesignError, make_design
from backend.generation.design.files import read_table, save_table, table_csv, table_hash
from backend.generation.design.plans import combine, count_rows
from backend.generation.design.table import CaptionTable, DesignRow, write_table
from tests.unit.test_grammar import lesions, seeds

quick = settings(deadline=None, max_examples=25)


def chosen(kind: type, least: int = 1) -> st.SearchStrategy[tuple[object, ...]]:
    return st.lists(st.sampled_from(list(kind)), min_size=least, unique=True).map(tuple)


@quick
@given(chosen(Border), chosen(SkinTone), chosen(Label), st.integers(1, 3))
def test_a_factorial_plan_has_every_combination_equally_often(
    borders: tuple[Border, ...],
    tones: tuple[SkinTone, ...],
    labels: tuple[Label, ...],
    repeats: int,
) -> None:
    design = make_design(
        {"vary": {"border": borders, "skin_tone": tones, "label": labels}, "repeats": repeats}
    )
    rows = combine(design)
    counted = Counter((row["border"], row["skin_tone"], row["label"]) for row in rows)
    assert counted == dict.fromkeys(product(borders, tones, labels), repeats)
    assert len(rows) == count_rows(design)


@quick
@given(chosen(Diagnosis), st.booleans(), chosen(Border))
def test_lesion_types_that_contradict_the_label_never_occur(
    types: tuple[Diagnosis, ...], balanced: bool, borders: tuple[Border, ...]
) -> None:
    design = make_design(
        {
            "vary": {"diagnosis": types, "border": borders, "label": tuple(Label)},
            "balanced": balanced,
        }
    )
    table = write_table(design)
    assert all(row.attributes.diagnosis.label is row.attributes.label for row in table.rows)
    seen = {(row.attributes.diagnosis, row.attributes.border) for row in table.rows}
    assert seen == set(product(types, borders))
    counts = set(table.counts().values())
    assert len(counts) == 1 if balanced else len(table.rows) == len(types) * len(borders)


@quick
@given(
    st.integers(1, 60), seeds, chosen(Border), chosen(Diagnosis), st.sampled_from([(), ("site",)])
)
def test_a_hypercube_uses_levels_and_labels_as_evenly_as_can_be(
    count: int,
    seed: int,
    borders: tuple[Border, ...],
    types: tuple[Diagnosis, ...],
    drawn: tuple[str, ...],
) -> None:
    design = make_design(
        {
            "vary": {"border": borders, "diagnosis": types, "modality": tuple(Modality)},
            "plan": "hypercube",
            "count": count,
            "seed": seed,
            "drawn": drawn,
        }
    )
    table = write_table(design)
    assert len(table.rows) == count == count_rows(design)
    labels = {kind.label for kind in types}
    assert spread(table.counts().get(label, 0) for label in labels) <= 1
    for label in labels:
        rows = [row.attributes for row in table.rows if row.label is label]
        possible = [kind for kind in types if kind.label is label]
        for name, levels in (("border", borders), ("diagnosis", possible), ("modality", Modality)):
            used = Counter(getattr(row, name) for row in rows)
            assert spread(used[level] for level in levels) <= 1
    assert all((row.attributes.site is not None) is bool(drawn) for row in table.rows)


def spread(counts: object) -> int:
    values = list(counts)  # type: ignore[call-overload]
    return max(values) - min(values)


@quick
@given(seeds, st.integers(1, 40))
def test_the_same_design_gives_the_same_rows_and_no_seed_twice(seed: int, count: int) -> None:
    values = {
        "vary": {"border": tuple(Border)},
        "drawn": ("label", "diagnosis", "colours", "skin_tone"),
        "plan": "hypercube",
        "count": count,
        "seed": seed,
    }
    table = write_table(make_design(values))
    assert write_table(make_design(values)) == table
    assert len({row.seed for row in table.rows}) == count
    other = write_table(make_design(values | {"seed": (seed + 1) % 2**32}))
    assert {row.seed for row in other.rows}.isdisjoint(row.seed for row in table.rows) or count > 9
    assert spread(table.counts().get(label, 0) for label in Label) <= 1


def test_what_is_drawn_suits_what_is_stated() -> None:
    design = make_design(
        {
            "vary": {"diagnosis": ("melanoma", "nevus")},
            "fixed": {"pattern": "two_tone", "modality": "clinical"},
            "drawn": ("colours", "asymmetry"),
            "repeats": 10,
        }
    )
    for row in write_table(design).rows:
        said = row.attributes
        assert len(said.colours) == 2
        assert said.modality is Modality.CLINICAL
        assert said.label is said.diagnosis.label
        assert said.asymmetry is not None
        assert (said.border, said.site, said.diameter_mm) == (None, None, None)


def test_a_drawn_label_is_balanced_and_no_echo_of_a_factor() -> None:
    design = make_design({"vary": {"border": ("regular", "irregular")}, "drawn": ("label",)})
    rows = combine(design.model_copy(update={"repeats": 50}))
    assert Counter(row["label"] for row in rows) == {Label.BENIGN: 50, Label.MALIGNANT: 50}
    together = Counter((row["border"], row["label"]) for row in rows)
    assert min(together.values()) > 10


def test_template_and_resolved_caption_are_both_kept() -> None:
    template = "A {modality} of a lesion with a {border} border, {pale|tanned} skin."
    design = make_design(
        {"vary": {"border": tuple(Border)}, "fixed": {"modality": "clinical"}, "template": template}
    )
    for row in write_table(design).rows:
        assert row.template == template
        assert "{" not in row.caption
        assert parse(row.caption).attributes.border is row.attributes.border
        assert row.style is None
    written = write_table(design.model_copy(update={"template": None}))
    assert all(row.template == f"grammar, seed {row.seed}" for row in written.rows)
    assert {row.style for row in written.rows} == {CaptionStyle.PLAIN}


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"plan": "hypercube"}, "give the count"),
        ({"count": 5}, "leave the count out"),
        ({"plan": "hypercube", "count": 5, "repeats": 2}, "not repeated"),
        ({"fixed": {"border": "regular"}}, "The border is both varied, fixed or drawn"),
        ({"vary": {"border": ["regular", "regular"]}}, "A value of border is given twice"),
        ({"vary": {"border": ["round"]}}, "should be 'regular', 'slightly_irregular'"),
        ({"vary": {"shape": ["round"]}}, "unknown field, vary shape"),
        ({"vary": {"colours": [["red"]], "pattern": ["uniform"]}}, "The pattern follows"),
        ({"vary": {"colours": [[]]}}, "names no colour"),
        ({"template": "A {site}"}, "names {site}, which the design leaves out"),
        ({"template": "A {border"}, "character 3 is not closed"),
        ({"style": "authors"}, "names the label"),
        ({"seed": -1}, "seed of the design should be"),
    ],
)
def test_a_bad_design_gets_a_sentence(change: dict[str, object], sentence: str) -> None:
    with pytest.raises(DesignError) as caught:
        make_design({"vary": {"border": ["regular"]}} | change)
    assert sentence in str(caught.value)


def test_an_impossible_or_too_large_design_is_refused_with_its_count() -> None:
    none = make_design({"vary": {"label": ["benign"]}, "fixed": {"diagnosis": "melanoma"}})
    with pytest.raises(DesignError, match="No combination"):
        count_rows(none)
    sizes = tuple(float(size) for size in range(1, 101))
    vary = {"diameter_mm": sizes, "site": tuple(Site), "skin_tone": tuple(SkinTone)}
    assert count_rows(make_design({"vary": vary})) == 100 * 7 * 6
    many = make_design({"vary": vary | {"diagnosis": tuple(Diagnosis)}, "repeats": 2})
    with pytest.raises(DesignError, match=r"84,000 rows") as caught:
        count_rows(many)
    assert f"{MAX_ROWS:,}" in str(caught.value)


rows = st.builds(
    DesignRow,
    attributes=lesions,
    template=st.none() | st.text(min_size=1, max_size=20).filter(lambda text: "\r" not in text),
    style=st.none() | st.sampled_from(CaptionStyle),
    caption=st.sampled_from(["", "=", "+", "-", "@", "'", "'=", '"']).flatmap(
        lambda start: st.just(f'{start}1+1, "quoted"; é 黒')
    ),
    seed=seeds,
)


@quick
@given(st.lists(rows, min_size=1, max_size=5), st.sampled_from([".csv", ".jsonl"]))
def test_a_table_comes_back_from_its_file(
    tmp_path_factory: pytest.TempPathFactory, made: list[DesignRow], kind: str
) -> None:
    table = CaptionTable(tuple(made))
    file = tmp_path_factory.mktemp("tables") / f"captions{kind}"
    save_table(file, table)
    assert read_table(file) == table
    assert table_hash(read_table(file)) == table_hash(table)


@quick
@given(st.lists(rows, min_size=1, max_size=5))
def test_no_cell_of_a_csv_is_a_formula(made: list[DesignRow]) -> None:
    for cells in csv.reader(io.StringIO(table_csv(CaptionTable(tuple(made))))):
        assert not any(cell.startswith(("=", "+", "-", "@", "\t", "\r")) for cell in cells)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "no column seed"),
        ("seed,caption\n", "has no rows"),
        ("seed,caption,shape\n1,A,b\n", "the column 'shape' is unknown"),
        ("seed,caption,caption\n1,A,b\n", "the column caption is there twice"),
        ("seed,caption\n1\n", "line 2 has another number of cells"),
        ("seed,caption\n1,A mole.\n2,A mole.,more\n", "line 3 has another number of cells"),
        ("seed,caption\nseven,A mole.\n", "line 2: 'seven' is no number for the seed"),
        ("seed,caption\n-1,A mole.\n", "line 2: The seed of the row should be"),
        ("seed,caption\n1, \n", "line 2: The caption is empty"),
        ("seed,caption,border\n1,A mole.,round\n", "line 2: The attributes border of the row"),
        ("seed,caption,colours\n1,A mole.,red+\n", "line 2: The attributes colours of the row"),
        ("seed,caption,label,diagnosis\n1,A.,benign,melanoma\n", "A melanoma is malignant"),
        ('seed,caption\n1,"A mole.\n', "no valid CSV"),
    ],
)
def test_a_bad_csv_is_refused_by_line_and_field(tmp_path: Path, text: str, sentence: str) -> None:
    file = tmp_path / "captions.csv"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(DesignError) as caught:
        read_table(file)
    assert sentence in str(caught.value)
    assert str(caught.value).startswith("captions.csv")


def test_other_bad_files_get_a_sentence(tmp_path: Path) -> None:
    for name, data, sentence in (
        ("a.jsonl", b"{broken\n", "line 1 is no valid JSON"),
        ("a.jsonl", b"[1]\n", "line 1 is no JSON object"),
        ("a.jsonl", b'{"caption": "A.", "seed": 1}\n', "has no attributes"),
        ("a.csv", b"seed,caption\n1,\xff\xfe\n", "not text in UTF-8"),
        ("a.xlsx", b"", "a .csv or a .jsonl file"),
    ):
        (tmp_path / name).write_bytes(data)
        with pytest.raises(DesignError) as caught:
            read_table(tmp_path / name)
        assert sentence in str(caught.value)
    with pytest.raises(DesignError, match="cannot be opened: no such file"):
        read_table(tmp_path / "gone.csv")


def test_a_table_with_a_mark_of_byte_order_and_few_columns_is_read(tmp_path: Path) -> None:
    file = tmp_path / "captions.csv"
    file.write_text("\ufeffcaption,seed,colours\nA mole.,7,red+black\n", encoding="utf-8")
    (row,) = read_table(file).rows
    assert row.attributes == LesionAttributes(colours=(Colour.RED, Colour.BLACK))
