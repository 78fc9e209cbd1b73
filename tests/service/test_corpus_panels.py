"""The panels of duplicates and leakage as they read, draw and judge, without a browser."""

import json
from pathlib import Path
from typing import Any

import gradio as gr
import pytest
from gradio.context import LocalContext

from backend.accounts import AccountError, create_account
from backend.corpus.decisions import list_pairs
from backend.corpus.duplicate_search import submit_duplicates
from backend.corpus.errors import CorpusError
from backend.corpus.leakage_search import REPORT, submit_leakage
from backend.corpus.states import PairState
from backend.jobs.processes import this_process
from backend.jobs.queue import JobView, claim_next, get_job, remove
from backend.jobs.worker import Worker
from backend.settings import Settings
from backend.store.database import Database
from backend.store.tables import Role
from studio.actions import ActionError, PageAction
from studio.context import StudioContext
from studio.tabs import corpus_duplicates, corpus_leakage
from studio.tabs.corpus_duplicates import act_on_groups, build_duplicates
from studio.tabs.corpus_leakage import act_on_pairs, build_leakage, compare_sets
from studio.tabs.duplicates_panel import PAGE_SIZE, DuplicatesPanel
from studio.tabs.duplicates_view import SHOWN_IMAGES, SHOWN_PAIRS, pairs_digest
from studio.tabs.leakage_panel import LeakagePanel
from studio.tabs.table_download import offer_table
from tests.service.comparable_sets import Comparable, comparable, keep_chain

Values = dict[Any, Any]


@pytest.fixture
def studio(settings: Settings, database: Database) -> StudioContext:
    """What the panels are given."""
    return StudioContext(settings, database)


@pytest.fixture
def sets(settings: Settings, database: Database, tmp_path: Path) -> Comparable:
    """Two datasets and a folder that share pictures."""
    return comparable(settings, database, tmp_path / "folder")


@pytest.fixture
def duplicates(studio: StudioContext) -> DuplicatesPanel:
    """The panel of duplicates."""
    with gr.Blocks():
        return build_duplicates(studio)


@pytest.fixture
def leakage(studio: StudioContext) -> LeakagePanel:
    """The panel of leakage."""
    with gr.Blocks():
        return build_leakage(studio)


def shown(panel: DuplicatesPanel | LeakagePanel, *more: Any) -> Values:
    """What the page holds when it is opened."""
    components = {*panel.inputs, *more, panel.history}
    return {component: component.value for component in components}


def groups_of(panel: DuplicatesPanel, studio: StudioContext, **chosen: Any) -> Values:
    """The page with its groups drawn."""
    values = shown(panel, panel.groups) | {
        getattr(panel, name): value for name, value in chosen.items()
    }
    return after(values, panel.draw(studio, values))


def after(values: Values, drawn: Values) -> Values:
    """The page after something was drawn; what changes of a control is not its value."""
    kept = {
        one: what for one, what in drawn.items() if not isinstance(what, gr.components.Component)
    }
    return values | kept


def work(studio: StudioContext) -> JobView:
    job = claim_next(studio.database, this_process())
    assert job is not None
    Worker(studio.settings, studio.database).run_job(job)
    return get_job(studio.database, job.id)


def pressed(action: str, value: str = "") -> PageAction:
    return PageAction(action=action, value=value, nonce=1)


def test_a_search_is_shown_with_progress_and_its_finding(
    studio: StudioContext, sets: Comparable, duplicates: DuplicatesPanel
) -> None:
    submit_duplicates(studio.database, ["catalogue", f"folder:{sets.folder}"])
    drawn = duplicates.look(studio, shown(duplicates))
    assert 'data-state="queued"' in drawn[duplicates.searches]
    assert drawn[duplicates.timer].active
    assert "No duplicates have been found yet" in drawn[duplicates.cards]
    work(studio)
    drawn = duplicates.look(studio, shown(duplicates) | {duplicates.seen: drawn[duplicates.seen]})
    assert "2 pairs in 2 groups" in drawn[duplicates.searches]
    assert "1 could not be read" in drawn[duplicates.searches]
    assert not drawn[duplicates.timer].active
    assert drawn[duplicates.cards].count("<article") == 2
    assert "upside_down.png" in drawn[duplicates.cards]
    assert "/thumbnails/pairs/" in drawn[duplicates.cards]
    again = duplicates.look(studio, shown(duplicates) | {duplicates.seen: drawn[duplicates.seen]})
    assert duplicates.cards not in again


def test_groups_are_paged_and_the_pager_stays_inside(
    studio: StudioContext, duplicates: DuplicatesPanel
) -> None:
    for number in range(PAGE_SIZE + 2):
        keep_chain(studio.database, f"a{number}", f"b{number}", score=0.6 + number / 100)
    first = groups_of(duplicates, studio)
    assert first[duplicates.place] == f"1 to {PAGE_SIZE} of {PAGE_SIZE + 2} groups"
    assert "0.600" in first[duplicates.cards]
    last = duplicates.draw(studio, first, page=99)
    assert last[duplicates.page] == 1
    assert last[duplicates.cards].count("<article") == 2
    assert not last[duplicates.later].interactive


def test_a_large_group_shows_its_first_images_and_says_how_many_there_are(
    studio: StudioContext, duplicates: DuplicatesPanel
) -> None:
    keep_chain(studio.database, *(f"image{number:03d}" for number in range(100)))
    drawn = groups_of(duplicates, studio)[duplicates.cards]
    assert drawn.count("data-picture=") == SHOWN_IMAGES
    assert f"and {100 - SHOWN_IMAGES} more images" in drawn
    assert f"and {99 - SHOWN_PAIRS} more pairs" in drawn
    assert "The picture is no longer there" in drawn


def test_one_pair_or_the_whole_group_is_judged_and_undone(
    studio: StudioContext, duplicates: DuplicatesPanel
) -> None:
    keep_chain(studio.database, "a", "b", "c")
    values = groups_of(duplicates, studio)
    (group,) = values[duplicates.groups]
    mark = pairs_digest(group.pairs)
    values = after(
        values, act_on_groups(duplicates, studio, values, pressed("dismiss", f"{mark}:1"))
    )
    assert [view.state for view in list_pairs(studio.database)] == ["suggested", "dismissed"]
    assert "1 pair dismissed." in values[duplicates.notice]
    (group,) = values[duplicates.groups]
    mark = pairs_digest(group.pairs)
    values = after(values, act_on_groups(duplicates, studio, values, pressed("confirm", mark)))
    assert "Everything that was found is decided" in values[duplicates.cards]
    for left in (1, 0):
        values = after(values, corpus_duplicates.undo_last(duplicates, studio, values))
        assert len(values[duplicates.history]) == left
    assert {view.state for view in list_pairs(studio.database)} == {PairState.SUGGESTED}
    said = corpus_duplicates.undo_last(duplicates, studio, values)[duplicates.notice]
    assert "nothing to undo" in said


@pytest.mark.parametrize("value", ["none", "{mark}:7", "{mark}:x"])
def test_a_group_that_is_not_on_the_page_is_not_judged(
    studio: StudioContext, duplicates: DuplicatesPanel, value: str
) -> None:
    keep_chain(studio.database, "a", "b")
    values = groups_of(duplicates, studio)
    mark = pairs_digest(values[duplicates.groups][0].pairs)
    with pytest.raises(CorpusError, match="has changed since it was shown"):
        act_on_groups(duplicates, studio, values, pressed("confirm", value.format(mark=mark)))
    with pytest.raises(ActionError, match="do not know"):
        act_on_groups(duplicates, studio, values, pressed("explode", mark))
    assert list_pairs(studio.database)[0].state is PairState.SUGGESTED


def test_a_step_that_somebody_went_past_is_forgotten_by_undo(
    studio: StudioContext, duplicates: DuplicatesPanel
) -> None:
    keep_chain(studio.database, "a", "b")
    mine = groups_of(duplicates, studio)
    mark = pairs_digest(mine[duplicates.groups][0].pairs)
    mine = after(mine, act_on_groups(duplicates, studio, mine, pressed("confirm", mark)))
    others = groups_of(duplicates, studio, state="confirmed")
    mark = pairs_digest(others[duplicates.groups][0].pairs)
    act_on_groups(duplicates, studio, others, pressed("dismiss", mark))
    undone = corpus_duplicates.undo_last(duplicates, studio, mine)
    assert "has dismissed this pair meanwhile" in undone[duplicates.notice]
    assert undone[duplicates.history] == []
    assert list_pairs(studio.database)[0].state is PairState.DISMISSED


def test_a_reviewer_judges_searches_and_exports_nothing(
    studio: StudioContext, duplicates: DuplicatesPanel, leakage: LeakagePanel
) -> None:
    create_account(studio.database, "viktor", "a long enough password", Role.REVIEWER)
    keep_chain(studio.database, "a", "b")
    values = groups_of(duplicates, studio)
    mark = pairs_digest(values[duplicates.groups][0].pairs)
    token = LocalContext.request.set(gr.Request(username="viktor"))
    try:
        with pytest.raises(AccountError, match="may not confirm or dismiss"):
            act_on_groups(duplicates, studio, values, pressed("confirm", mark))
        with pytest.raises(AccountError, match="may not confirm or dismiss"):
            compare_sets(leakage, studio, shown(leakage), "viktor")
        with pytest.raises(AccountError, match="may not export"):
            offer_table(studio, "groups", ["a\n"])
    finally:
        LocalContext.request.reset(token)


def test_names_from_outside_are_text_and_never_markup(
    studio: StudioContext, duplicates: DuplicatesPanel
) -> None:
    keep_chain(studio.database, "/x/<img src=x onerror=alert(1)>.png", '/y/"quoted".png')
    drawn = groups_of(duplicates, studio)[duplicates.cards]
    assert "<img" not in drawn
    assert "&lt;img" in drawn


def test_a_missing_thumbnail_is_said_and_the_rest_is_shown(
    studio: StudioContext, sets: Comparable, duplicates: DuplicatesPanel
) -> None:
    keep_chain(studio.database, sets.ids["ISIC_1"], sets.ids["melanoma_7"])
    (studio.settings.corpus_dir / "kaggle1-melanoma_7.png").unlink()
    drawn = groups_of(duplicates, studio)[duplicates.cards]
    assert drawn.count("There is no thumbnail") == drawn.count("<img") == 1


def test_the_newest_report_is_opened_judged_and_closed_with_its_job(
    studio: StudioContext, sets: Comparable, leakage: LeakagePanel
) -> None:
    values = shown(leakage, leakage.pairs)
    assert "No two sets have been compared" in leakage.draw(studio, values)[leakage.cards]
    job_id = submit_leakage(studio.database, "dataset:isic2019", "dataset:kaggle1")
    work(studio)
    values = after(values, leakage.look(studio, values))
    assert values[leakage.opened] == job_id
    assert "share 1 pair of near-duplicates" in values[leakage.finding]
    cards = values[leakage.cards]
    assert cards.index("<strong>ISIC_1") < cards.index("<strong>melanoma_7")
    assert f'data-picture="{sets.ids["ISIC_1"]}"' in cards
    mark = pairs_digest(values[leakage.pairs])
    values = after(values, act_on_pairs(leakage, studio, values, pressed("dismiss", mark)))
    assert 'data-clean="true"' in values[leakage.finding]
    with pytest.raises(CorpusError, match="has changed since it was shown"):
        act_on_pairs(leakage, studio, values, pressed("dismiss", mark))
    values = after(values, corpus_leakage.undo_last(leakage, studio, values))
    assert 'data-clean="false"' in values[leakage.finding]
    remove(studio.database, job_id)
    drawn = leakage.draw(studio, values)
    assert "it may have been removed" in drawn[leakage.finding]
    assert drawn[leakage.cards] == ""


def test_a_damaged_report_is_named_and_an_older_one_opened(
    studio: StudioContext, sets: Comparable, leakage: LeakagePanel
) -> None:
    older = submit_leakage(studio.database, "dataset:isic2019", f"folder:{sets.folder}")
    newer = submit_leakage(studio.database, "dataset:isic2019", "dataset:kaggle1")
    work(studio)
    work(studio)
    file = studio.settings.jobs_dir / newer / REPORT
    file.write_text(json.dumps({"leakage": None}))
    values = shown(leakage, leakage.pairs)
    values = after(values, leakage.look(studio, values))
    assert "compare the two sets once more" in values[leakage.finding]
    values = after(values, act_on_pairs(leakage, studio, values, pressed("open_report", older)))
    assert values[leakage.opened] == older
    assert "Images that could not be read (1)" in values[leakage.finding]


def test_two_chosen_sets_become_a_job_whose_report_is_waited_for(
    studio: StudioContext, sets: Comparable, leakage: LeakagePanel
) -> None:
    values = shown(leakage, *leakage.first.components, *leakage.second.components)
    with pytest.raises(CorpusError, match="Choose a first and a second set"):
        compare_sets(leakage, studio, values, None)
    chosen = {
        leakage.first.sets: "dataset:kaggle1",
        leakage.second.sets: "folder:",
        leakage.second.folder: f" {sets.folder} ",
    }
    drawn = compare_sets(leakage, studio, values | chosen, "rita")
    job = get_job(studio.database, drawn[leakage.opened])
    assert job.payload == {"first": "dataset:kaggle1", "second": f"folder:{sets.folder}"}
    assert job.owner == "rita"
    assert drawn[leakage.timer].active
    assert "Cancel" in drawn[leakage.comparisons]
    act_on_pairs(leakage, studio, after(values, drawn), pressed("cancel", job.id))
    assert get_job(studio.database, job.id).state.ended


def test_a_chosen_set_that_is_gone_stays_offered(
    studio: StudioContext, leakage: LeakagePanel
) -> None:
    offered = leakage.first.offer(studio, {leakage.first.sets: "subset:gone"})
    choices = offered[leakage.first.sets].constructor_args["choices"]
    assert ("Subset gone (0)", "subset:gone") in choices
    assert choices[0] == ("Choose a set", "")
