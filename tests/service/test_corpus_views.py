"""What the Corpus tab shows is what the catalogue holds: differences, counts, words, outlines."""

import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from backend.abc.attributes import Label
from backend.corpus.catalogue import count_left_out, left_out_lines, write_left_out, write_rows
from backend.corpus.columns import list_columns
from backend.corpus.describing import filter_words, filters_words, recipe_words
from backend.corpus.differences import difference_words, explained_table
from backend.corpus.errors import CorpusError
from backend.corpus.exclusions import LeftOut, Reason
from backend.corpus.licences import UNKNOWN, terms_of
from backend.corpus.outlines import outlined
from backend.corpus.places import require_root
from backend.corpus.queries import CorpusFilter, count_subset, query_corpus, query_subset
from backend.corpus.sources.paper import PAPER
from backend.corpus.statistics import TableRow, facet_counts
from backend.corpus.subsets import PRESETS, get_subset, make_subset, preview_subset
from backend.generation.provenance import TRAINED_ALGORITHMIC_MEDIA
from backend.images import read_image
from backend.settings import Settings
from backend.store.database import Database
from tests.phantom_download import LEFT_OUT, write_download
from tests.service.test_corpus_catalogue import FILTERS, fill, matches, row
from tests.service.test_corpus_export import import_from

FEWER = "9 images fewer than in the paper. The last import "


def table_row(**changes: int) -> TableRow:
    (pad,) = [one for one in table_1_of_nothing() if one.dataset == "pad_ufes_20"]
    return replace(pad, **changes)


def table_1_of_nothing() -> list[TableRow]:
    return [
        TableRow(one.key, one.title, one.side, 0, 0, 0, one.published)
        for one in PAPER
        if one.published
    ]


@pytest.mark.parametrize(
    ("changes", "left_out", "words"),
    [
        ({}, {}, "Not imported."),
        ({"benign": 1209, "malignant": 1089}, {}, "As in the paper."),
        ({"benign": 1210, "malignant": 1089}, {}, "1 image more than in the paper."),
        (
            {"benign": 1211, "malignant": 1087},
            {},
            "As many images as in the paper, 2 of them benign instead of malignant.",
        ),
        (
            {"benign": 1209, "malignant": 1080},
            {},
            FEWER + "left nothing out: the download is a part of the dataset.",
        ),
        (
            {"benign": 1200, "malignant": 1089},
            {Reason.BROKEN: 8, Reason.NO_IMAGE: 1},
            FEWER + "left out 8 broken files, 1 row without image.",
        ),
        ({"test": 3}, {}, "Only its test split is here: 3 images."),
    ],
)
def test_a_difference_from_the_paper_is_said_in_words(
    changes: dict[str, int], left_out: dict[Reason, int], words: str
) -> None:
    assert difference_words(table_row(**changes), left_out) == words


def test_the_table_knows_what_the_last_import_of_each_dataset_left_out(database: Database) -> None:
    fill(database)
    write_left_out(database, "ddi", [LeftOut("a.png", Reason.BROKEN, "broken")])
    words = {one.dataset: said for one, said in explained_table(database)}
    assert "left out 1 broken file." in words["ddi"]
    assert "part of the dataset" in words["kaggle1"]
    assert words["hiba"] == "Not imported."


@pytest.mark.parametrize("facet", ["dataset", "label", "decade", "skin_tone"])
def test_counts_of_a_facet_are_those_of_a_plain_list(database: Database, facet: str) -> None:
    rows = fill(database)
    counts = facet_counts(database, facet)
    assert counts.total == len(rows)
    benign = sum(found.get(Label.BENIGN, 0) for _, found in counts.values)
    assert benign == sum(one["label"] is Label.BENIGN for one in rows)


def test_ages_stand_in_their_order_and_beyond_the_most_is_summed(database: Database) -> None:
    write_rows(database, [row(number, age=number % 90) for number in range(180)])
    names = [name for name, _ in facet_counts(database, "decade").values]
    assert names == [f"{decade} to {decade + 9}" for decade in range(0, 90, 10)]
    few = facet_counts(database, "decade", most=4)
    assert (len(few.values), sum(few.others.values())) == (4, 100)


@pytest.mark.parametrize("criteria", FILTERS)
def test_a_subset_is_paged_and_filtered_like_a_plain_list(
    database: Database, settings: Settings, criteria: CorpusFilter
) -> None:
    rows = fill(database)
    make_subset(database, "some", (CorpusFilter(label=Label.BENIGN),))
    benign = CorpusFilter(label=Label.BENIGN)
    expected = {one["id"] for one in rows if matches(one, criteria) and matches(one, benign)}
    paged: list[str] = []
    while page := query_subset(database, settings, "some", criteria, limit=7, offset=len(paged)):
        paged += [one.id for one in page]
    assert (len(paged), set(paged)) == (len(expected), expected)
    assert count_subset(database, "some", criteria) == len(expected)


def test_a_preview_says_what_will_be_made(database: Database) -> None:
    fill(database)
    for count in (None, 20):
        counts = preview_subset(database, (CorpusFilter(dataset="ddi"),), count)
        made = make_subset(database, f"of {count}", (CorpusFilter(dataset="ddi"),), per_label=count)
        assert made.recipe["images"] == {label.value: found for label, found in counts.items()}
        assert sum(counts.values()) == made.images == get_subset(database, made.name).images
    for filters, count, words in (
        ((CorpusFilter(dataset="none"),), None, "No image of the corpus matches"),
        ((CorpusFilter(),), 5000, r"Only \d+ benign images match, not 5,000"),
    ):
        with pytest.raises(CorpusError, match=words):
            preview_subset(database, filters, count)


def test_recipes_and_filters_are_said_in_words(database: Database) -> None:
    fill(database)
    made = make_subset(database, "a", (CorpusFilter(dataset="ddi", decade=40),))
    assert recipe_words(made.recipe) == "All images of DDI: age 40 to 49"
    drawn = make_subset(database, "b", (CorpusFilter(),), per_label=3, seed=7)
    assert recipe_words(drawn.recipe) == "3 of each label, drawn with seed 7, from all images"
    assert filter_words(CorpusFilter(label=Label.BENIGN, site="")) == "benign, site not said"
    assert filters_words(PRESETS["paper-test"]) == "ISIC 2019, Kaggle 1, Kaggle 2: test split"


def test_terms_are_those_of_the_dataset_that_was_imported_under_a_name(
    settings: Settings, database: Database, tmp_path: Path
) -> None:
    download = write_download(tmp_path / "ham", 2)
    import_from(settings, database, "ham10000", download, name="clinic-a")
    terms = terms_of(database, ["clinic-a", "pad_ufes_20", "unheard"])
    assert (terms["clinic-a"].title, terms["clinic-a"].licence) == (
        *("clinic-a (HAM10000)", "CC-BY-NC-4.0"),
    )
    assert terms["pad_ufes_20"].licence == "CC-BY-4.0"
    assert terms["unheard"].licence == UNKNOWN


def test_outline_and_mask_are_made_once_and_real_images_stay_unmarked(
    settings: Settings, database: Database, tmp_path: Path
) -> None:
    import_from(settings, database, "ham10000", write_download(tmp_path / "ham", 1), side=128)
    (image,) = query_corpus(database, settings)
    first = outlined(settings, image)
    assert first.found
    assert first.overlay is not None
    assert first.mask is not None
    mask = read_image(first.mask)
    assert set(np.unique(mask)) == {0, 255}
    assert mask.shape == (128, 128, 3)
    assert max(read_image(first.overlay).shape) == 768
    assert TRAINED_ALGORITHMIC_MEDIA.encode() not in first.overlay.read_bytes()
    moment = first.overlay.stat().st_mtime_ns
    assert outlined(settings, image) == first
    assert first.overlay.stat().st_mtime_ns == moment
    marked = outlined(settings, replace(image, synthetic=True, byte_hash="0" * 64))
    assert marked.overlay is not None
    assert TRAINED_ALGORITHMIC_MEDIA.encode() in marked.overlay.read_bytes()


def test_what_was_left_out_is_saved_without_formulas(database: Database) -> None:
    bad = LeftOut("=HYPERLINK(1).png", Reason.BROKEN, "+1")
    write_left_out(database, "ddi", [bad])
    assert list(left_out_lines(database))[1] == "ddi,'=HYPERLINK(1).png,broken,'+1\n"


def test_a_download_leaves_out_what_it_says(
    settings: Settings, database: Database, tmp_path: Path
) -> None:
    import_from(settings, database, "ham10000", write_download(tmp_path / "ham", 1))
    assert count_left_out(database, "ham10000") == LEFT_OUT


def test_columns_are_read_from_folders_and_zips(tmp_path: Path) -> None:
    folder = write_download(tmp_path / "ham", 1)
    (folder / "deep" / "er").mkdir(parents=True)
    (folder / "deep" / "er" / "more.csv").write_text("photo;what\na.jpg;nevus\n")
    columns = list_columns(folder)
    assert columns["labels.csv"][:4] == ("file", "image_id", "lesion_id", "dx")
    assert columns["deep/er/more.csv"] == ("photo", "what")
    with zipfile.ZipFile(tmp_path / "one.zip", "w") as archive:
        archive.write(folder / "labels.csv", "x/labels.csv")
    assert next(iter(list_columns(tmp_path / "one.zip").values()))[0] == "file"
    (tmp_path / "empty").mkdir()
    with pytest.raises(CorpusError, match="No table lies near the top"):
        list_columns(tmp_path / "empty")


def test_what_cannot_be_imported_is_refused_before_a_job_is_queued(tmp_path: Path) -> None:
    (tmp_path / "note.txt").write_text("no folder")
    (tmp_path / "bad.zip").write_bytes(b"PK\3\4 and no more")
    require_root(tmp_path)
    for name, words in (
        ("gone", "There is no folder"),
        ("note.txt", "neither a folder nor a zip"),
        ("bad.zip", "is damaged: get a fresh copy"),
        ("x" * 5000, "cannot be looked at: File name too long"),
    ):
        with pytest.raises(CorpusError, match=words):
            require_root(tmp_path / name)
