"""Which pairs of images were found to be one picture, and what a person decided.

A pair counts until it is dismissed: whoever looks away is on the safe side.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select, tuple_
from sqlalchemy.orm import Session

from backend.corpus.duplicates import DuplicatePair, Likeness
from backend.corpus.errors import CorpusError
from backend.corpus.groups import connected
from backend.corpus.states import PairState
from backend.permissions import Deed, authorise
from backend.store.columns import now
from backend.store.database import Database
from backend.store.tables import DuplicatePairRow

BATCH = 300


@dataclass(frozen=True)
class PairView:
    """A pair as it was when it was read."""

    first_id: str
    second_id: str
    likeness: Likeness
    score: float
    transform: str
    state: PairState
    found_at: datetime
    decided_by: str | None
    decided_at: datetime | None


def keep_pairs(db: Database, pairs: Iterable[DuplicatePair]) -> int:
    """Keep what a search found; returns how many pairs are new. What was decided stays."""
    new = 0
    for batch in _batches(list(pairs)):
        with db.session() as session:
            ids = [pair.ids for pair in batch]
            key = tuple_(DuplicatePairRow.first_id, DuplicatePairRow.second_id)
            found = session.scalars(select(DuplicatePairRow).where(key.in_(ids)))
            rows = {(row.first_id, row.second_id): row for row in found}
            for pair in batch:
                row = rows.get(pair.ids)
                if row is None:
                    row = DuplicatePairRow(first_id=pair.first, second_id=pair.second)
                    row.state = PairState.SUGGESTED
                    session.add(row)
                    new += 1
                row.likeness, row.score = pair.likeness.value, pair.score
                row.transform = pair.transform
    return new


def list_pairs(
    db: Database, state: PairState | None = None, *, limit: int = 100, offset: int = 0
) -> list[PairView]:
    """Pairs of a state, or all; the least certain first, because they need a person most."""
    statement = select(DuplicatePairRow).order_by(
        DuplicatePairRow.score, DuplicatePairRow.first_id, DuplicatePairRow.second_id
    )
    if state is not None:
        statement = statement.where(DuplicatePairRow.state == state)
    with db.session() as session:
        return [_view(row) for row in session.scalars(statement.limit(limit).offset(offset))]


def count_pairs(db: Database) -> dict[PairState, int]:
    """How many pairs there are of each state."""
    statement = select(DuplicatePairRow.state, func.count()).group_by(DuplicatePairRow.state)
    with db.session() as session:
        counts = dict(session.execute(statement).tuples().all())
    return {state: counts.get(state, 0) for state in PairState}


def decide(
    db: Database, first_id: str, second_id: str, state: PairState, *, account: str | None = None
) -> PairView:
    """Confirm or dismiss a pair, or undo that by SUGGESTED; the ids come in any order.

    Raises:
        AccountError: the role of the account does not allow it.
        CorpusError: there is no such pair.
    """
    authorise(db, account, Deed.JUDGE_DUPLICATES)
    with db.session() as session:
        row = _row(session, first_id, second_id)
        undone = state is PairState.SUGGESTED
        row.state = state
        row.decided_by = None if undone else account
        row.decided_at = None if undone else now()
        return _view(row)


def counted_pairs(db: Database) -> list[tuple[str, str]]:
    """The ids of all pairs that are not dismissed: what splits keep together."""
    return _ids(db, (PairState.SUGGESTED, PairState.CONFIRMED))


def dismissed_pairs(db: Database) -> frozenset[tuple[str, str]]:
    """The ids of the pairs that a person has dismissed."""
    return frozenset(_ids(db, (PairState.DISMISSED,)))


def kept_groups(db: Database) -> list[list[str]]:
    """Image ids that pairs join which are not dismissed."""
    pairs = counted_pairs(db)
    return connected(sorted({image_id for pair in pairs for image_id in pair}), pairs)


def _batches(pairs: Sequence[DuplicatePair]) -> Iterable[Sequence[DuplicatePair]]:
    return (pairs[start : start + BATCH] for start in range(0, len(pairs), BATCH))


def _ids(db: Database, states: Sequence[PairState]) -> list[tuple[str, str]]:
    statement = (
        select(DuplicatePairRow.first_id, DuplicatePairRow.second_id)
        .where(DuplicatePairRow.state.in_(states))
        .order_by(DuplicatePairRow.first_id, DuplicatePairRow.second_id)
    )
    with db.session() as session:
        return [(first, second) for first, second in session.execute(statement)]


def _row(session: Session, first_id: str, second_id: str) -> DuplicatePairRow:
    row = session.get(DuplicatePairRow, tuple(sorted((first_id, second_id))))
    if row is None:
        raise CorpusError(
            f"There is no pair of {first_id} and {second_id}: search for duplicates first, or "
            "take both ids from the list."
        )
    return row


def _view(row: DuplicatePairRow) -> PairView:
    values = {name: getattr(row, name) for name in PairView.__dataclass_fields__}
    return PairView(**{**values, "likeness": Likeness(row.likeness)})
