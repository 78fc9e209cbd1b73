"""Review sets made: candidates drawn or ranked, their captions copied, all in one transaction."""

from collections.abc import Callable

from sqlalchemy import insert, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from backend.jobs.queue import new_id
from backend.review.candidates import (
    caption_candidates,
    check_sources,
    image_candidates,
    newest_prompt,
    real_candidates,
)
from backend.review.errors import ReviewError, ReviewTakenError
from backend.review.people import Actor, keep, read_name
from backend.review.recipe import ReviewRecipe
from backend.review.sampling import Candidate, drawn, ranked
from backend.review.states import Action, ReviewKind, SetState, Strategy
from backend.review.trail import record
from backend.store.columns import now
from backend.store.database import Database
from backend.store.review_tables import (
    ReviewGuidelines,
    ReviewItem,
    ReviewMember,
    ReviewSet,
)

AT_ONCE = 2_000


def check_recipe(db: Database, actor: Actor, recipe: ReviewRecipe) -> None:
    """What would stop a set from being made, as far as no caption has to be read for it.

    Raises:
        ReviewTakenError: there is a set of this name.
        ReviewError: the recipe names what is not there, or a person by odd signs.
        AccountError: the role does not allow it.
    """
    keep(db, actor)
    with db.session() as session:
        _check(session, recipe)


def make_set(
    db: Database,
    actor: Actor,
    recipe: ReviewRecipe,
    *,
    set_id: str | None = None,
    step: Callable[[str], None] = lambda _words: None,
) -> str:
    """Make a review set; returns its id.

    Where there is a set `set_id` already, it was made before and nothing is done. `step` hears
    what is done next, always before the database is locked for writing, and may raise.

    Raises:
        ReviewTakenError: there is another set of this name.
        ReviewError: nothing matches, or the recipe names what is not there.
        AccountError: the role does not allow it.
    """
    keep(db, actor)
    set_id, moment = set_id or new_id(), now()
    try:
        with db.session() as session:
            if session.get(ReviewSet, set_id) is not None:
                return set_id
            _check(session, recipe)
            step("reading what matches")
            of_captions = recipe.kind is ReviewKind.CAPTIONS
            prompt = ""
            if of_captions:
                prompt = recipe.prompt or newest_prompt(session, recipe.captioner)
            chosen = _chosen(session, recipe, prompt)
            if not chosen:
                raise ReviewError("Nothing matches: widen the choice, or caption images first.")
            step(f"writing {len(chosen):,} items")
            session.add(
                ReviewSet(
                    id=set_id,
                    name=recipe.name,
                    kind=recipe.kind,
                    strategy=recipe.strategy,
                    state=SetState.OPEN,
                    # A test that shows what others said would be none.
                    blind=recipe.blind or recipe.kind is ReviewKind.REAL_OR_SYNTHETIC,
                    reviewers_per_item=recipe.reviewers_per_item,
                    captioner=recipe.captioner if of_captions else "",
                    prompt=prompt,
                    recipe=recipe.model_dump(mode="json"),
                    items=len(chosen),
                    created_by=actor.name,
                    created_at=moment,
                )
            )
            session.flush()
            _add_people(session, set_id, recipe)
            if recipe.guidelines.strip():
                session.add(
                    ReviewGuidelines(
                        set_id=set_id, version=1, text=recipe.guidelines, author=actor.name
                    )
                )
            _add_items(session, set_id, chosen)
            record(
                session,
                set_id,
                actor.name,
                Action.CREATED,
                after={"items": len(chosen), "recipe": recipe.model_dump(mode="json")},
                at=moment,
            )
    except IntegrityError as error:
        raise _taken(recipe.name) from error
    return set_id


def _check(session: Session, recipe: ReviewRecipe) -> None:
    if session.scalar(select(ReviewSet.id).where(ReviewSet.name == recipe.name)):
        raise _taken(recipe.name)
    for name in (*recipe.reviewers, *recipe.adjudicators):
        read_name(name)
    check_sources(session, recipe)


def _chosen(session: Session, recipe: ReviewRecipe, prompt: str) -> list[Candidate]:
    if recipe.kind is ReviewKind.REAL_OR_SYNTHETIC:
        return _mixed(session, recipe)
    if recipe.kind is ReviewKind.IMAGES:
        candidates = image_candidates(session, recipe)
    else:
        candidates = caption_candidates(session, recipe, prompt)
    if recipe.strategy is not Strategy.STRATIFIED:
        return ranked(candidates, recipe.size)
    return _drawn(candidates, recipe, recipe.size)


def _mixed(session: Session, recipe: ReviewRecipe) -> list[Candidate]:
    """As many real images as generated ones, in an order that the seed alone knows."""
    real, made = real_candidates(session, recipe), image_candidates(session, recipe)
    most = min(len(real), len(made))
    half = most if recipe.size is None else recipe.size // 2
    if not 0 < half <= most:
        raise ReviewError(
            f"There are {len(real):,} real and {len(made):,} generated images to mix: ask for "
            f"{2 * most:,} at most, an even number, or import and generate more."
        )
    both = _drawn(real, recipe, half) + _drawn(made, recipe, half)
    whole = recipe.model_copy(update={"strata": ()})
    return _drawn(both, whole, None)


def _drawn(candidates: list[Candidate], recipe: ReviewRecipe, size: int | None) -> list[Candidate]:
    return drawn(candidates, size, recipe.strata, balanced=recipe.balanced, seed=recipe.seed)


def _add_people(session: Session, set_id: str, recipe: ReviewRecipe) -> None:
    for part, names in (("reviewer", recipe.reviewers), ("adjudicator", recipe.adjudicators)):
        for name in {read_name(name) for name in names}:
            if name is not None:
                session.add(ReviewMember(set_id=set_id, part=part, name=name))


def _add_items(session: Session, set_id: str, chosen: list[Candidate]) -> None:
    for first in range(0, len(chosen), AT_ONCE):
        session.execute(
            insert(ReviewItem),
            [
                {
                    "set_id": set_id,
                    "position": first + number,
                    "image_id": one.image_id,
                    "caption_id": one.caption_id,
                    "synthetic": one.synthetic,
                    "text": one.text,
                    "label": one.label,
                    "dataset": one.dataset,
                    "source": one.source,
                    "taken": 0,
                    "given": 0,
                    "open": True,
                    "disputed": False,
                    "adjudicated": False,
                }
                for number, one in enumerate(chosen[first : first + AT_ONCE], 1)
            ],
        )


def _taken(name: str) -> ReviewTakenError:
    return ReviewTakenError(f"There is a review set '{name}' already: choose another name.")
