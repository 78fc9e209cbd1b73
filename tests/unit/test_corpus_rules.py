"""Label rules give the published counts, and know every header that a dataset came with."""

from pathlib import Path

import pytest

from backend.corpus.checking import Outcome, check_rules
from backend.corpus.errors import CorpusError
from backend.corpus.labels import LabelRule, rule_on
from backend.corpus.planning import plan_import
from backend.corpus.sources import SOURCES, find_source
from backend.corpus.sources.paper import PAPER
from tests.unit.corpus_tables import COMPLETE, FOLDERS, TABLES, write_picture, write_tables

METADATA = Path(__file__).parents[3] / "shared" / "data" / "metadata"


@pytest.mark.parametrize("name", TABLES)
def test_the_rule_of_each_dataset_labels_and_drops_as_in_table_1(name: str, tmp_path: Path) -> None:
    source, files, expected = TABLES[name]
    write_tables(tmp_path, files())
    (check,) = check_rules(tmp_path)
    assert check.source == source
    assert (check.benign, check.malignant, sum(check.dropped.values())) == expected
    assert check.outcome in (Outcome.PARTIAL, Outcome.UNPUBLISHED)


@pytest.mark.parametrize("key", COMPLETE)
def test_complete_tables_give_the_published_counts_whatever_lies_beside_them(
    key: str, tmp_path: Path
) -> None:
    write_tables(tmp_path, COMPLETE[key]())
    (check,) = check_rules(tmp_path)
    published = SOURCES[key].published
    assert published is not None
    assert check.source == key
    assert (check.benign, check.malignant) == (published.benign, published.malignant)
    assert check.outcome is Outcome.EXACT


def test_many_datasets_in_one_tree_are_told_apart_by_their_headers(tmp_path: Path) -> None:
    for place, (_, files, _) in enumerate(TABLES.values()):
        write_tables(tmp_path / f"folder{place}", files())
    found = sorted(check.source for check in check_rules(tmp_path))
    assert found == sorted(source for source, _, _ in TABLES.values())


@pytest.mark.parametrize("key", FOLDERS)
def test_folders_are_the_labels_of_datasets_without_tables(key: str, tmp_path: Path) -> None:
    for seed, name in enumerate(FOLDERS[key]):
        write_picture(tmp_path / name, seed)
    plan = plan_import(find_source(key), tmp_path)
    assert len(plan.images) == len(FOLDERS[key])
    for planned in plan.images:
        is_malignant = "m" in (planned.facts.target or planned.facts.diagnosis).casefold()[:1]
        assert planned.label == ("malignant" if is_malignant else "benign")
        assert planned.facts.split == (
            "test" if "test/" in planned.item.path else planned.facts.split
        )


def test_actinic_keratosis_is_ruled_on_by_each_dataset_alone() -> None:
    labels = {
        key: rule_on(SOURCES[key].rule, "actinic_keratosis", "").label
        for key in ("isic2019", "milk10k", "pad_ufes_20", "hiba", "derm12345")
    }
    assert labels == {
        "isic2019": "malignant",
        "milk10k": "malignant",
        "pad_ufes_20": "benign",
        "hiba": None,
        "derm12345": None,
    }


def test_the_records_of_the_paper_add_up_to_its_table() -> None:
    totals: dict[int, int] = {}
    for source in PAPER:
        assert source.published is not None
        totals[source.side] = totals.get(source.side, 0) + source.published.total
    assert totals == {128: 401_059, 256: 22_140, 512: 85_245}
    assert sum(totals.values()) == 508_444


def test_the_version_of_a_rule_changes_with_the_rule() -> None:
    rule = LabelRule(malignant=("melanoma",))
    assert rule.version == LabelRule(malignant=("melanoma",)).version
    assert rule.version != LabelRule(malignant=("melanoma",), dropped=("nevus",)).version


def test_a_folder_without_known_tables_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "notes.csv").write_text("a,b\n1,2\n")
    with pytest.raises(CorpusError, match="No table of a known dataset"):
        check_rules(tmp_path)
    with pytest.raises(CorpusError, match=r"no dataset 'isic1999': use one of med_node, "):
        find_source("isic1999")


@pytest.mark.skipif(not METADATA.is_dir(), reason="the real metadata is not on this machine")
def test_the_real_metadata_gives_table_1_exactly() -> None:
    checks = {(one.source, one.outcome): one for one in check_rules(METADATA)}
    isic, pad = checks["isic2019", Outcome.EXACT], checks["pad_ufes_20", Outcome.EXACT]
    assert (isic.benign, isic.malignant) == (15_991, 9_340)
    assert (pad.benign, pad.malignant) == (1_209, 1_089)
    assert not [one for one in checks.values() if one.outcome is Outcome.DIFFERENT]


def test_a_complete_table_with_other_counts_is_different(tmp_path: Path) -> None:
    rows = "".join(f"ISIC_{n},HAM_{n},nv\n" for n in range(10_015))
    (tmp_path / "HAM10000_metadata.csv").write_text("image_id,lesion_id,dx\n" + rows)
    (check,) = check_rules(tmp_path)
    assert check.outcome is Outcome.DIFFERENT
    assert check.tables == ("HAM10000_metadata.csv",)
