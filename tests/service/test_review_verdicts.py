"""Verdicts: none lost, none overwritten silently, whatever windows, networks and people do."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError

from backend.review.discussion import discussion
from backend.review.errors import (
    ReviewClosedError,
    ReviewError,
    ReviewForbiddenError,
    StaleVerdictError,
)
from backend.review.items import get_item, my_items
from backend.review.queue import next_items
from backend.review.recipe import Undo
from backend.review.sets import close_set, get_review_set, reopen_set
from backend.review.states import Action, Answer
from backend.review.trail import audit
from backend.review.verdicts import adjudicate, save_verdict, undo
from backend.store.database import Database
from backend.store.review_tables import ReviewEvent, ReviewVerdict
from tests.service.reviewing import (
    ANNA,
    BEN,
    CARL,
    DORA,
    EDITED,
    a_set,
    judge_all,
    judge_next,
    key,
    verdict,
)


def test_a_verdict_is_kept_with_its_marks_and_shown_again(any_database: Database) -> None:
    set_id = a_set(any_database)
    marks = {"asymmetry": "approve", "border": "edit"}
    saved = judge_next(any_database, ANNA, set_id, "edit", marks=marks, note="edge unsure")
    assert (saved.verdict.revision, saved.repeated) == (1, False)
    item = get_item(any_database, ANNA, set_id, saved.item)
    assert item.verdict == saved.verdict
    assert saved.verdict.text == EDITED
    assert saved.verdict.marks == marks
    assert (saved.progress.given, saved.progress.flagged) == (1, 0)


def test_the_same_key_twice_is_one_verdict(any_database: Database) -> None:
    set_id = a_set(any_database)
    (item,) = next_items(any_database, ANNA, set_id, 1).items
    new = verdict()
    first = save_verdict(any_database, ANNA, set_id, item.id, new)
    again = save_verdict(any_database, ANNA, set_id, item.id, new)
    assert again.repeated
    assert again.verdict == first.verdict
    assert again.progress == first.progress
    with any_database.session() as session:
        assert len(session.scalars(select(ReviewVerdict)).all()) == 1
    with pytest.raises(ReviewError, match="key was used"):
        save_verdict(any_database, ANNA, set_id, item.id, verdict("reject", key=new.key))


def test_a_retry_that_races_its_first_try_is_one_verdict(any_database: Database) -> None:
    set_id = a_set(any_database)
    (item,) = next_items(any_database, ANNA, set_id, 1).items
    new, ready = verdict(), Barrier(4, timeout=30)

    def save() -> bool:
        ready.wait()
        return save_verdict(any_database, ANNA, set_id, item.id, new).repeated

    with ThreadPoolExecutor(4) as pool:
        repeated = [future.result() for future in [pool.submit(save) for _ in range(4)]]
    assert sorted(repeated) == [False, True, True, True]
    assert get_review_set(any_database, ANNA, set_id).progress.verdicts == 1


def test_a_second_window_learns_that_the_first_has_judged(any_database: Database) -> None:
    set_id = a_set(any_database)
    (first,) = next_items(any_database, ANNA, set_id, 1).items
    (second,) = next_items(any_database, ANNA, set_id, 1).items
    assert first.id == second.id
    saved = save_verdict(any_database, ANNA, set_id, first.id, verdict())
    with pytest.raises(StaleVerdictError, match="another window") as refused:
        save_verdict(any_database, ANNA, set_id, first.id, verdict("reject"))
    assert refused.value.current == saved.verdict
    changed = save_verdict(any_database, ANNA, set_id, first.id, verdict("reject", revision=1))
    assert (changed.verdict.revision, changed.verdict.answer) == (2, Answer.REJECT)


def test_of_two_windows_that_save_at_once_one_wins_and_one_is_told(any_database: Database) -> None:
    set_id = a_set(any_database)
    (item,) = next_items(any_database, ANNA, set_id, 1).items
    ready = Barrier(2, timeout=30)

    def save(answer: str) -> str:
        ready.wait()
        try:
            save_verdict(any_database, ANNA, set_id, item.id, verdict(answer))
        except StaleVerdictError:
            return "told"
        return "kept"

    with ThreadPoolExecutor(2) as pool:
        outcomes = list(pool.map(save, ("approve", "reject")))
    assert sorted(outcomes) == ["kept", "told"]


def test_two_reviewers_who_save_one_item_at_once_are_both_kept(any_database: Database) -> None:
    set_id = a_set(any_database, 1, reviewers_per_item=2)
    ready = Barrier(2, timeout=30)

    def review(answer: str) -> None:
        actor = ANNA if answer == "approve" else BEN
        (item,) = next_items(any_database, actor, set_id, 1).items
        ready.wait()
        save_verdict(any_database, actor, set_id, item.id, verdict(answer))

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(review, ("approve", "reject")))
    progress = get_review_set(any_database, CARL, set_id).progress
    assert (progress.verdicts, progress.done, progress.disputed) == (2, 1, 1)


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        (verdict("real"), "takes no 'real'"),
        (verdict("reject", reason=" "), "Say why"),
        (verdict("edit", text=" \n"), "cannot be kept"),
        (verdict("approve", text="new"), "Only an edit"),
        (verdict(marks={"realistic": "approve"}), "asks for no"),
    ],
)
def test_a_verdict_that_the_set_cannot_take_is_refused(
    database: Database, wrong: object, sentence: str
) -> None:
    set_id = a_set(database, 1)
    (item,) = next_items(database, ANNA, set_id, 1).items
    with pytest.raises(ReviewError, match=sentence):
        save_verdict(database, ANNA, set_id, item.id, wrong)  # type: ignore[arg-type]
    assert get_item(database, ANNA, set_id, item.id).verdict is None


def test_undo_takes_back_one_action_after_the_other(any_database: Database) -> None:
    set_id = a_set(any_database, 3)
    first = judge_next(any_database, ANNA, set_id)
    second = judge_next(any_database, ANNA, set_id, "reject")
    new = verdict("approve", revision=1)
    save_verdict(any_database, ANNA, set_id, second.item, new)
    back = undo(any_database, ANNA, set_id, Undo(key=key()))
    assert (back.item, back.verdict.answer, back.verdict.revision) == (
        second.item,
        Answer.REJECT,
        3,
    )
    wanted = Undo(key=key())
    back = undo(any_database, ANNA, set_id, wanted)
    assert (back.verdict.answer, back.progress.given) == (None, 1)
    again = undo(any_database, ANNA, set_id, wanted)
    assert (again.item, again.repeated, again.progress.given) == (second.item, True, 1)
    (item,) = next_items(any_database, ANNA, set_id, 1).items
    assert item.id == second.item
    assert item.verdict is not None
    redone = save_verdict(any_database, ANNA, set_id, item.id, verdict(revision=4))
    assert redone.verdict.revision == 5
    assert undo(any_database, ANNA, set_id, Undo(key=key())).item == second.item
    assert undo(any_database, ANNA, set_id, Undo(key=key())).item == first.item
    with pytest.raises(ReviewError, match="nothing to take back"):
        undo(any_database, ANNA, set_id, Undo(key=key()))
    progress = get_review_set(any_database, CARL, set_id).progress
    assert (progress.verdicts, progress.done) == (0, 0)


def test_nobody_takes_back_what_another_did(any_database: Database) -> None:
    set_id = a_set(any_database)
    judge_next(any_database, ANNA, set_id)
    with pytest.raises(ReviewError, match="nothing to take back"):
        undo(any_database, BEN, set_id, Undo(key=key()))


def test_a_stale_window_cannot_bring_a_taken_back_verdict_over_a_newer_one(
    any_database: Database,
) -> None:
    set_id = a_set(any_database, 1)
    saved = judge_next(any_database, ANNA, set_id)
    undo(any_database, ANNA, set_id, Undo(key=key()))
    save_verdict(any_database, ANNA, set_id, saved.item, verdict("reject", revision=2))
    with pytest.raises(StaleVerdictError):
        save_verdict(any_database, ANNA, set_id, saved.item, verdict(revision=1))


def test_a_skip_leaves_the_item_to_others_and_can_be_found_again(any_database: Database) -> None:
    set_id = a_set(any_database, 2)
    skipped = judge_next(any_database, ANNA, set_id, "skip")
    judge_next(any_database, ANNA, set_id)
    assert next_items(any_database, ANNA, set_id, 1).finished
    assert [one.id for one in my_items(any_database, ANNA, set_id, answer=Answer.SKIP)] == [
        skipped.item
    ]
    assert judge_next(any_database, BEN, set_id).item == skipped.item
    progress = get_review_set(any_database, ANNA, set_id).progress
    assert (progress.done, progress.verdicts) == (2, 2)


def test_a_closed_set_takes_nothing_until_it_is_reopened(any_database: Database) -> None:
    set_id = a_set(any_database, 2)
    saved = judge_next(any_database, ANNA, set_id)
    close_set(any_database, CARL, set_id)
    for attempt in (
        lambda: save_verdict(any_database, ANNA, set_id, saved.item, verdict(revision=1)),
        lambda: undo(any_database, ANNA, set_id, Undo(key=key())),
        lambda: next_items(any_database, ANNA, set_id, 1),
    ):
        with pytest.raises(ReviewClosedError, match="closed"):
            attempt()
    reopen_set(any_database, CARL, set_id)
    save_verdict(any_database, ANNA, set_id, saved.item, verdict(revision=1))


def test_a_third_person_settles_what_two_disagree_on(any_database: Database) -> None:
    set_id = a_set(any_database, 4, reviewers_per_item=2)
    judge_all(any_database, ANNA, set_id, ("approve", "approve", "flag", "edit"))
    judge_all(any_database, BEN, set_id, ("approve", "reject", "approve", "edit"))
    view = discussion(any_database, CARL, set_id)
    assert [one.why for one in view.disputes] == [("answers",), ("flagged",)]
    disputed = view.disputes[0].item.id
    with pytest.raises(ReviewForbiddenError, match="third person"):
        adjudicate(any_database, ANNA, set_id, disputed, verdict())
    with pytest.raises(ReviewError, match="decides"):
        adjudicate(any_database, CARL, set_id, disputed, verdict("flag"))
    saved = adjudicate(any_database, CARL, set_id, disputed, verdict("edit"))
    assert saved.verdict.answer is Answer.EDIT
    with pytest.raises(StaleVerdictError, match="Another adjudicator") as refused:
        adjudicate(any_database, DORA, set_id, disputed, verdict("reject"))
    assert refused.value.current == saved.verdict
    with pytest.raises(ReviewClosedError, match="adjudicated"):
        save_verdict(any_database, ANNA, set_id, disputed, verdict("reject", revision=1))
    progress = get_review_set(any_database, CARL, set_id).progress
    assert (progress.disputed, progress.adjudicated) == (1, 1)
    undo(any_database, CARL, set_id, Undo(key=key()))
    assert discussion(any_database, CARL, set_id).open == 2
    agreed = view.disputes[0].item.id - 1
    with pytest.raises(ReviewError, match="Nothing is to be decided"):
        adjudicate(any_database, CARL, set_id, agreed, verdict())


def test_the_trail_tells_every_action_and_only_grows(any_database: Database) -> None:
    set_id = a_set(any_database, 2, blind=False)
    judge_next(any_database, ANNA, set_id)
    undo(any_database, ANNA, set_id, Undo(key=key()))
    page = audit(any_database, CARL, set_id, limit=2)
    assert [one.action for one in page.events] == [Action.UNDONE, Action.VERDICT]
    assert page.events[0].before == page.events[1].after
    (made,) = audit(any_database, CARL, set_id, before=page.next).events
    assert (made.action, made.actor) == (Action.CREATED, "carl")
    for statement in ("UPDATE review_event SET actor = 'eve'", "DELETE FROM review_event"):
        with pytest.raises(DBAPIError, match="only grows"), any_database.engine.begin() as link:
            link.execute(text(statement))
    if any_database.engine.dialect.name == "postgresql":
        with pytest.raises(DBAPIError, match="only grows"), any_database.engine.begin() as link:
            link.execute(text("TRUNCATE review_event"))
    with any_database.session() as session:
        assert len(session.scalars(select(ReviewEvent)).all()) == 3
