"""Which pairs of images were found to be one picture, and what a person decided.

A pair counts until it is dismissed: whoever looks away is on the safe side.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import func, select, tuple_, update
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

    @property
    def ids(self) -> tuple[str, str]:
        """The two image ids in order."""
        return self.first_id, self.second_id


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
        return [view_of(row) for row in session.scalars(statement.limit(limit).offset(offset))]


def find_pairs(db: Database, ids: Sequence[tuple[str, str]]) -> dict[tuple[str, str], PairView]:
    """The pairs of these ids in order, as far as they are known."""
    key = tuple_(DuplicatePairRow.first_id, DuplicatePairRow.second_id)
    statement = select(DuplicatePairRow).where(key.in_(ids))
    with db.session() as session:
        return {view.ids: view for view in map(view_of, session.scalars(statement))}


def pairs_mark(db: Database) -> tuple[object, ...]:
    """What tells one state of all pairs from another, without reading them."""
    row = DuplicatePairRow
    latest = select(func.max(row.found_at), func.max(row.decided_at))
    with db.session() as session:
        return (*session.execute(latest).one(), *count_pairs(db).values())


def count_pairs(db: Database) -> dict[PairState, int]:
    """How many pairs there are of each state."""
    statement = select(DuplicatePairRow.state, func.count()).group_by(DuplicatePairRow.state)
    with db.session() as session:
        counts = [(found, number) for found, number in session.execute(statement)]
    return dict.fromkeys(PairState, 0) | dict(counts)


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
        return view_of(row)


def decide_pairs(
    db: Database, seen: Sequence[PairView], state: PairState, *, account: str | None = None
) -> list[PairView]:
    """Decide pairs as they were seen, all or none; returns how they are now.

    Raises:
        AccountError: the role of the account does not allow it.
        CorpusError: somebody else has decided one of them since it was seen, or it is gone.
    """
    undone = state is PairState.SUGGESTED
    by, at = (None, None) if undone else (account, now())
    return _change(
        db,
        seen,
        [replace(view, state=state, decided_by=by, decided_at=at) for view in seen],
        account,
    )


def restore_pairs(
    db: Database,
    decided: Sequence[PairView],
    before: Sequence[PairView],
    *,
    account: str | None = None,
) -> None:
    """Undo `decide_pairs`, which gave `decided`: states and who set them are as in `before`.

    Raises:
        AccountError: the role of the account does not allow it.
        CorpusError: somebody else has decided one of them since.
    """
    _change(db, decided, before, account)


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


def _change(
    db: Database, seen: Sequence[PairView], wanted: Sequence[PairView], account: str | None
) -> list[PairView]:
    """Put rows from what they were seen as to what is wanted; one statement a pair decides."""
    authorise(db, account, Deed.JUDGE_DUPLICATES)
    with db.session() as session:
        for old, new in zip(seen, wanted, strict=True):
            row = DuplicatePairRow
            statement = (
                update(row)
                .where(row.first_id == old.first_id, row.second_id == old.second_id)
                .where(row.state == old.state, row.decided_at.is_not_distinct_from(old.decided_at))
                .values(state=new.state, decided_by=new.decided_by, decided_at=new.decided_at)
                .returning(row.first_id)
            )
            if session.scalar(statement) is None:
                raise CorpusError(_overtaken(_row(session, old.first_id, old.second_id)))
    return list(wanted)


def _overtaken(row: DuplicatePairRow) -> str:
    who = row.decided_by or "Somebody"
    did = {
        PairState.SUGGESTED: "taken a decision on this pair back",
        PairState.CONFIRMED: "confirmed this pair",
        PairState.DISMISSED: "dismissed this pair",
    }[row.state]
    return f"{who} has {did} meanwhile: nothing was changed; look at it again."


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


def view_of(row: DuplicatePairRow) -> PairView:
    """The row as the rest of the studio sees it."""
    values = {name: getattr(row, name) for name in PairView.__dataclass_fields__}
    return PairView(**{**values, "likeness": Likeness(row.likeness)})
