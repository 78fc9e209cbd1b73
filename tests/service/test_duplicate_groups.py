"""Groups are formed, judged as they were seen, undone, and written out."""

import csv
from io import StringIO
from pathlib import Path

import pytest

from backend.accounts import create_account
from backend.corpus.decisions import (
    decide,
    decide_pairs,
    kept_groups,
    list_pairs,
    restore_pairs,
)
from backend.corpus.duplicate_groups import (
    DuplicateGroup,
    groups_csv,
    open_groups,
    outline_groups,
)
from backend.corpus.errors import CorpusError
from backend.corpus.states import PairState
from backend.settings import Settings
from backend.store.database import Database
from backend.store.tables import Role
from tests.service.comparable_sets import comparable, keep_chain


def opened(database: Database, state: PairState = PairState.SUGGESTED) -> list[DuplicateGroup]:
    return open_groups(database, outline_groups(database)[state])


def test_the_least_certain_group_comes_first_with_all_its_pairs(any_database: Database) -> None:
    keep_chain(any_database, "a", "b", "c", score=0.9)
    keep_chain(any_database, "x", "y", score=0.65)
    first, second = opened(any_database)
    assert (first.outline.images, first.outline.score) == (("x", "y"), 0.65)
    assert second.outline.images == ("a", "b", "c")
    assert [pair.ids for pair in second.pairs] == [("a", "b"), ("b", "c")]
    assert second.outline.pairs == 2


def test_a_group_is_to_be_decided_until_all_its_pairs_are(any_database: Database) -> None:
    keep_chain(any_database, "a", "b", "c")
    decide(any_database, "a", "b", PairState.CONFIRMED)
    (group,) = opened(any_database)
    decide_pairs(any_database, group.pairs, PairState.CONFIRMED)
    assert opened(any_database) == []
    (group,) = opened(any_database, PairState.CONFIRMED)
    assert {pair.state for pair in group.pairs} == {PairState.CONFIRMED}


def test_a_dismissed_pair_parts_its_group_as_splits_do(any_database: Database) -> None:
    keep_chain(any_database, "a", "b", "c", "d")
    decide(any_database, "b", "c", PairState.DISMISSED)
    assert [list(group.outline.images) for group in opened(any_database)] == kept_groups(
        any_database
    )
    (dismissed,) = opened(any_database, PairState.DISMISSED)
    assert dismissed.outline.images == ("b", "c")


def test_whole_groups_are_decided_and_put_back_with_who_decided(database: Database) -> None:
    keep_chain(database, "a", "b", "c")
    create_account(database, "rita", "a long enough password", Role.RESEARCHER)
    create_account(database, "otto", "a long enough password", Role.RESEARCHER)
    decide(database, "a", "b", PairState.CONFIRMED, account="otto")
    (group,) = opened(database)
    decided = decide_pairs(database, group.pairs, PairState.DISMISSED, account="rita")
    assert {view.decided_by for view in list_pairs(database)} == {"rita"}
    restore_pairs(database, decided, group.pairs, account="rita")
    assert opened(database) == [group]
    assert {view.decided_by for view in list_pairs(database)} == {"otto", None}


def test_the_second_of_two_people_who_decide_one_pair_is_told_and_nothing_changes(
    any_database: Database,
) -> None:
    keep_chain(any_database, "a", "b", "c")
    for name in ("rita", "otto"):
        create_account(any_database, name, "a long enough password", Role.RESEARCHER)
    (seen,) = opened(any_database)
    decide_pairs(any_database, [seen.pairs[1]], PairState.DISMISSED, account="rita")
    with pytest.raises(CorpusError, match="rita has dismissed this pair meanwhile"):
        decide_pairs(any_database, seen.pairs, PairState.CONFIRMED, account="otto")
    states = {view.ids: view.state for view in list_pairs(any_database)}
    assert states == {("a", "b"): PairState.SUGGESTED, ("b", "c"): PairState.DISMISSED}


def test_an_undo_does_not_undo_what_somebody_else_decided_since(database: Database) -> None:
    keep_chain(database, "a", "b")
    (seen,) = opened(database)
    decided = decide_pairs(database, seen.pairs, PairState.CONFIRMED)
    decide(database, "a", "b", PairState.DISMISSED)
    with pytest.raises(CorpusError, match="Somebody has dismissed this pair meanwhile"):
        restore_pairs(database, decided, seen.pairs)
    assert list_pairs(database)[0].state is PairState.DISMISSED


def test_the_table_of_groups_has_a_line_for_each_image(
    settings: Settings, database: Database, tmp_path: Path
) -> None:
    sets = comparable(settings, database, tmp_path / "folder")
    keep_chain(database, sets.ids["ISIC_1"], sets.ids["melanoma_7"])
    keep_chain(database, sets.ids["ISIC_2"], str(sets.folder / "upside_down.png"))
    keep_chain(database, "gone1", "gone2")
    decide(database, "gone1", "gone2", PairState.DISMISSED)
    text = "".join(groups_csv(database, settings, outline_groups(database)))
    lines = list(csv.DictReader(StringIO(text)))
    assert [line["group"] for line in lines] == ["1", "1", "2", "2", "3", "3"]
    named = {line["image"]: line for line in lines}
    assert (named["ISIC_1"]["place"], named["ISIC_1"]["split"]) == ("ISIC 2019", "train")
    assert named["upside_down.png"]["place"] == str(sets.folder)
    assert (named["gone1"]["state"], named["gone1"]["place"]) == ("dismissed", "No longer there")
