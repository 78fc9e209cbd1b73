"""Who acts in a review set, and in which part."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import get_args
from urllib.parse import unquote

from sqlalchemy import select
from sqlalchemy.orm import Session

from backend.permissions import Deed, authorise, deeds_in
from backend.review.errors import (
    ReviewClosedError,
    ReviewError,
    ReviewForbiddenError,
    ReviewMissingError,
)
from backend.review.states import SetState
from backend.review.views import Part
from backend.store.database import Database
from backend.store.review_tables import ReviewMember, ReviewSet, ReviewWork

LONGEST_NAME = 64
PARTS: tuple[Part, ...] = get_args(Part)


@dataclass(frozen=True)
class Actor:
    """A person by name; `account` is None where nobody signs in."""

    name: str | None
    account: str | None = None

    @property
    def named(self) -> str:
        """The name; raises ReviewError where none was chosen."""
        if self.name is None:
            raise ReviewError("Choose the name that you review under first.")
        return self.name


@dataclass(frozen=True)
class Seat:
    """A person in a set: what they may do there, and whether it names them as a reviewer."""

    row: ReviewSet
    actor: Actor
    parts: frozenset[Part]
    named: bool

    def require(self, part: Part) -> None:
        """Raises ReviewForbiddenError where they have not this part."""
        if part not in self.parts:
            raise ReviewForbiddenError(_REFUSALS[part].format(name=self.row.name))

    def require_open(self) -> None:
        """Raises ReviewClosedError where the set is closed."""
        if self.row.state is SetState.CLOSED:
            raise ReviewClosedError(
                f"The set '{self.row.name}' is closed: ask its keeper to reopen it."
            )


_REFUSALS: dict[Part, str] = {
    "reviewer": "You are not among the reviewers of the set '{name}': ask who made it.",
    "adjudicator": (
        "Only researchers, admins and the adjudicators of the set '{name}' see disputes: ask one "
        "of them."
    ),
    "keeper": "Only a researcher or an admin may do this to the set '{name}': ask one of them.",
}


def read_name(text: str | None, *, encoded: bool = False) -> str | None:
    """A reviewer's name as it is kept; None for none. Raises ReviewError for one of odd signs."""
    if text is None:
        return None
    name = " ".join((unquote(text) if encoded else text).split()).casefold()
    if not name:
        return None
    if len(name) > LONGEST_NAME or not name.isprintable():
        raise ReviewError(
            f"The name of a reviewer has 1 to {LONGEST_NAME} signs: choose a shorter one."
        )
    return name


def keep(db: Database, actor: Actor) -> None:
    """Raises AccountError where the role does not allow keeping reviews."""
    authorise(db, actor.account, Deed.KEEP_REVIEWS)


def seat_of(session: Session, actor: Actor, set_id: str) -> Seat:
    """The person in a set; raises ReviewMissingError where there is no such set."""
    row = session.get(ReviewSet, set_id)
    if row is None:
        raise ReviewMissingError(f"There is no review set {set_id}: look at the list.")
    return seat_in(session, deeds_in(session, actor.account), actor, row)


def seat_in(session: Session, deeds: frozenset[Deed], actor: Actor, row: ReviewSet) -> Seat:
    """The person in this set, by all that their role allows."""
    members: Sequence[tuple[str, str]] = ()
    # Most sets name nobody, and every request passes here.
    if row.recipe.get("reviewers") or row.recipe.get("adjudicators"):
        members = [
            (part, name)
            for part, name in session.execute(
                select(ReviewMember.part, ReviewMember.name).where(ReviewMember.set_id == row.id)
            )
        ]
    named = {part: {name for p, name in members if p == part} for part in PARTS}
    parts: set[Part] = set()
    if Deed.REVIEW in deeds and (not named["reviewer"] or actor.name in named["reviewer"]):
        parts.add("reviewer")
    if Deed.ADJUDICATE in deeds or (Deed.REVIEW in deeds and actor.name in named["adjudicator"]):
        parts.add("adjudicator")
    if Deed.KEEP_REVIEWS in deeds:
        parts.add("keeper")
    return Seat(row, actor, frozenset(parts), actor.name in named["reviewer"])


def is_blinded(session: Session, seat: Seat) -> bool:
    """Whether what others said stays hidden from the person, because they say something too."""
    row = seat.row
    if not row.blind or row.state is not SetState.OPEN:
        return False
    if seat.named or seat.actor.name is None:
        return seat.named
    work = session.get(ReviewWork, (row.id, seat.actor.name))
    return work is not None and bool(work.given or work.skipped or work.last_at)
