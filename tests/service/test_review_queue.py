"""Who gets which item next: nobody the same by accident, everybody what they began."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from sqlalchemy import text, update

from backend.corpus.catalogue import image_id
from backend.review.errors import ReviewError, ReviewForbiddenError, ReviewTakenError
from backend.review.items import get_item
from backend.review.making import make_set
from backend.review.people import Actor
from backend.review.queue import next_items
from backend.review.recipe import NewGuidelines, ReviewRecipe
from backend.review.sets import get_review_set, write_guidelines
from backend.review.verdicts import save_verdict
from backend.store.columns import now
from backend.store.database import Database
from backend.store.review_tables import ReviewLease
from tests.service.reviewing import (
    ANNA,
    BEN,
    CARL,
    PROMPT,
    TEXT,
    a_set,
    add_captions,
    add_generated,
    add_images,
    add_measurement,
    judge_all,
    judge_next,
    verdict,
)


def test_no_item_is_given_to_two_people_however_many_ask_at_once(any_database: Database) -> None:
    set_id = a_set(any_database, 24)
    people = [Actor(f"reviewer{number}") for number in range(4)]

    def review(actor: Actor) -> list[int]:
        return [item.id for item in judge_all(any_database, actor, set_id)]

    with ThreadPoolExecutor(len(people)) as pool:
        given = Counter(item for items in pool.map(review, people) for item in items)
    assert len(given) == 24
    assert set(given.values()) == {1}
    progress = get_review_set(any_database, CARL, set_id).progress
    assert (progress.done, progress.verdicts, progress.seconds_left) == (24, 24, 0.0)


def test_every_item_gets_as_many_reviewers_as_the_set_asks_for(any_database: Database) -> None:
    set_id = a_set(any_database, 6, reviewers_per_item=2)
    people = [Actor(f"reviewer{number}") for number in range(3)]
    with ThreadPoolExecutor(len(people)) as pool:
        list(pool.map(lambda actor: judge_all(any_database, actor, set_id), people))
    progress = get_review_set(any_database, CARL, set_id).progress
    assert (progress.done, progress.verdicts) == (6, 12)


def test_what_was_begun_comes_again_on_another_machine(any_database: Database) -> None:
    set_id = a_set(any_database, 5)
    first = next_items(any_database, ANNA, set_id, 2)
    again = next_items(any_database, ANNA, set_id, 2)
    assert [one.id for one in first.items] == [one.id for one in again.items]
    save_verdict(any_database, ANNA, set_id, first.items[0].id, verdict())
    following = next_items(any_database, ANNA, set_id, 2)
    assert following.items[0].id == first.items[1].id
    assert len(following.items) == 2


def test_an_item_that_is_left_lying_comes_back_to_others(any_database: Database) -> None:
    set_id = a_set(any_database, 1)
    (item,) = next_items(any_database, ANNA, set_id, 1).items
    waiting = next_items(any_database, BEN, set_id, 1)
    assert (waiting.items, waiting.finished, waiting.waiting) == ((), True, 1)
    with any_database.session() as session:
        session.execute(update(ReviewLease).values(expires_at=now() - timedelta(minutes=1)))
    assert [one.id for one in next_items(any_database, BEN, set_id, 1).items] == [item.id]
    # Who comes back late is heard all the same: nothing is lost.
    late = save_verdict(any_database, ANNA, set_id, item.id, verdict("reject"))
    assert late.verdict.revision == 1
    save_verdict(any_database, BEN, set_id, item.id, verdict())
    progress = get_review_set(any_database, CARL, set_id).progress
    assert (progress.verdicts, progress.done, progress.disputed) == (2, 1, 1)


def test_an_item_of_others_takes_no_verdict_and_is_not_shown(any_database: Database) -> None:
    set_id = a_set(any_database, 1)
    saved = judge_next(any_database, ANNA, set_id)
    with pytest.raises(ReviewForbiddenError, match="its reviewers already"):
        save_verdict(any_database, BEN, set_id, saved.item, verdict())


def test_only_those_whom_a_set_names_review_it(database: Database) -> None:
    set_id = a_set(database, 2, reviewers=["Anna"])
    assert next_items(database, ANNA, set_id, 1).items
    with pytest.raises(ReviewForbiddenError, match="not among the reviewers"):
        next_items(database, BEN, set_id, 1)


def test_the_next_item_is_found_by_the_index_of_open_ones(any_database: Database) -> None:
    a_set(any_database, 2)
    statement = (
        "SELECT id FROM review_item WHERE set_id = 'x' AND review_item.open AND position > 7 "
        "ORDER BY position LIMIT 1"
    )
    with any_database.engine.begin() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(text("SET LOCAL enable_seqscan = off"))
            plan = connection.execute(text(f"EXPLAIN {statement}")).scalars().all()
        else:
            plan = [row[3] for row in connection.execute(text(f"EXPLAIN QUERY PLAN {statement}"))]
    assert "ix_review_item_open" in " ".join(plan)


def test_pace_and_time_left_follow_from_what_was_given(database: Database) -> None:
    set_id = a_set(database, 10)
    for _ in range(5):
        judge_next(database, ANNA, set_id, seconds=10)
    progress = get_review_set(database, ANNA, set_id).progress
    assert progress.mine is not None
    assert progress.mine.pace == pytest.approx(360)
    assert progress.seconds_left == pytest.approx(50)
    judge_next(database, ANNA, set_id, seconds=4_000)
    after = get_review_set(database, ANNA, set_id).progress.mine
    assert after is not None
    assert after.pace == pytest.approx(360)


def test_everything_that_a_check_flagged_comes_the_gravest_first(database: Database) -> None:
    set_id = a_set(database, 12, strategy="flagged")
    items = next_items(database, ANNA, set_id, 20).items
    gravest = [one.findings[0].severity for one in items]
    assert gravest == ["error"] * 4 + ["warning"] * 2
    assert items[0].findings[0].words == "Border contradicts the image"
    leaks = ReviewRecipe.model_validate(
        {"name": "Leaks", "strategy": "flagged", "size": None, "checks": ["leakage"]}
    )
    view = get_review_set(database, CARL, make_set(database, CARL, leaks))
    assert view.progress.items == 3


def test_active_order_begins_where_measurement_and_captions_disagree(database: Database) -> None:
    add_images(database, 6)
    add_captions(database, 6)
    names = [image_id("set", f"{number:05d}") for number in range(6)]
    for name in names[:4]:
        add_measurement(database, name)
    add_measurement(database, names[4], border="irregular")
    add_measurement(database, names[5], border="irregular", asymmetry="two_axes")
    recipe = ReviewRecipe.model_validate({"name": "Doubts", "strategy": "active", "size": 3})
    set_id = make_set(database, CARL, recipe)
    items = next_items(database, ANNA, set_id, 3).items
    assert [one.source for one in items[:2]] == ["00005", "00004"]
    seen = {one.field: (one.value, one.confidence) for one in items[0].measured}
    assert seen["asymmetry"] == ("two_axes", 0.9)


def test_an_item_shows_what_the_screen_needs(database: Database) -> None:
    set_id = a_set(database, 1)
    (item,) = next_items(database, ANNA, set_id, 1).items
    assert (item.text, item.label, item.label_words) == (TEXT, "benign", "Benign: nevus")
    said = {item.text[one.start : one.end]: one.kind for one in item.spans}
    assert said["symmetric"] == "A"
    assert said["dark brown"] == "C"
    assert "B" in said.values()
    assert item.image_url.startswith(f"/review/api/sets/{set_id}/items/{item.id}/image?size=full")
    assert get_item(database, ANNA, set_id, item.id) == item


def test_a_set_that_cannot_be_made_says_why(database: Database) -> None:
    add_generated(database, 3)
    with pytest.raises(ReviewError, match="has written nothing yet"):
        make_set(database, CARL, ReviewRecipe(name="Early"))
    a_set(database, 2)
    with pytest.raises(ReviewTakenError, match="already"):
        make_set(database, CARL, ReviewRecipe(name="Pilot"))
    with pytest.raises(ReviewError, match="no subset 'none'"):
        make_set(database, CARL, ReviewRecipe(name="Other", subset="none"))
    with pytest.raises(ReviewError, match="nothing yet by its version"):
        make_set(database, CARL, ReviewRecipe(name="Other", prompt=f"{PROMPT}0"))
    with pytest.raises(ReviewError, match="no image of a dataset 'none'"):
        make_set(database, CARL, ReviewRecipe(name="Other", dataset="none"))
    add_images(database, 1, dataset="bare")
    with pytest.raises(ReviewError, match="Nothing matches"):
        make_set(database, CARL, ReviewRecipe(name="Other", dataset="bare"))
    mixed = ReviewRecipe.model_validate({"name": "Mixed", "kind": "real_or_synthetic"})
    with pytest.raises(ReviewError, match="3 real and 3 generated images"):
        make_set(database, CARL, mixed)


def test_guidelines_are_written_in_versions_and_never_over_another_hand(
    any_database: Database,
) -> None:
    set_id = a_set(any_database, 1, guidelines="First.")
    second = write_guidelines(any_database, CARL, set_id, NewGuidelines(version=1, text="Second."))
    assert (second.version, second.author) == (2, "carl")
    with pytest.raises(ReviewTakenError, match="meanwhile"):
        write_guidelines(any_database, BEN, set_id, NewGuidelines(version=1, text="Mine."))
    assert get_review_set(any_database, ANNA, set_id).guidelines.text == "Second."
