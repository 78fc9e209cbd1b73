"""How far the reviewers of a set agree, and what a closed real-or-synthetic test shows."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import beta
from sqlalchemy import select

from backend.abc.attributes import Label
from backend.review.agreement import (
    BOOTSTRAPS,
    CONFIDENCE,
    MISSING,
    Estimate,
    Table,
    agreement,
)
from backend.review.errors import ReviewForbiddenError
from backend.review.people import Actor, is_blinded, seat_of
from backend.review.states import ATTRIBUTES, Answer, Mark, ReviewKind, SetState
from backend.review.views import (
    AgreementReport,
    AgreementView,
    Coefficient,
    RealOrSyntheticView,
    ShareView,
)
from backend.store.database import Database
from backend.store.review_tables import REVIEW, ReviewItem, ReviewVerdict

OVERALL = "overall"
ALL = "all"


@dataclass(frozen=True, slots=True)
class _Said:
    """One verdict, as far as agreement looks at it."""

    item: int
    reviewer: str
    label: Label | None
    synthetic: bool
    values: tuple[str | None, ...]


def agreement_report(
    db: Database, actor: Actor, set_id: str, *, bootstraps: int = BOOTSTRAPS, seed: int = 0
) -> AgreementReport:
    """Agreement an attribute and overall, for all items and for benign and malignant ones apart.

    Raises:
        ReviewForbiddenError: they do not keep the set, or review in it while it is blind.
    """
    with db.session() as session:
        seat = seat_of(session, actor, set_id)
        seat.require("keeper")
        row = seat.row
        if is_blinded(session, seat):
            raise ReviewForbiddenError(
                f"You review in the blind set '{row.name}': its agreement is shown once it is "
                "closed."
            )
        names = tuple(ATTRIBUTES[row.kind])
        columns = [getattr(ReviewVerdict, name) for name in names]
        rows = session.execute(
            select(
                ReviewVerdict.item_id,
                ReviewVerdict.reviewer,
                ReviewItem.label,
                ReviewItem.synthetic,
                ReviewVerdict.answer,
                *columns,
            )
            .join(ReviewItem, ReviewItem.id == ReviewVerdict.item_id)
            .where(
                ReviewVerdict.set_id == set_id,
                ReviewVerdict.round == REVIEW,
                ReviewVerdict.answer.is_not(None),
            )
            .order_by(ReviewVerdict.item_id, ReviewVerdict.reviewer)
        )
        said = [
            _Said(item, reviewer, label, synthetic, (_answer(answer), *map(_mark, marks)))
            for item, reviewer, label, synthetic, answer, *marks in rows
        ]
        tested = row.kind is ReviewKind.REAL_OR_SYNTHETIC and row.state is SetState.CLOSED
        blind_test = row.kind is ReviewKind.REAL_OR_SYNTHETIC
    groups: list[tuple[str, list[_Said]]] = [(ALL, said)]
    if not blind_test:
        groups += [
            (label.value, [one for one in said if one.label is label])
            for label in Label
            if any(one.label is label for one in said)
        ]
    return AgreementReport(
        confidence=CONFIDENCE,
        bootstraps=bootstraps,
        seed=seed,
        rows=tuple(
            _row(question, place, group, members, bootstraps, seed)
            for place, question in enumerate((OVERALL, *names))
            for group, members in groups
        ),
        tests=tuple(_tests(said)) if tested else (),
    )


def exact_share(count: int, total: int) -> ShareView:
    """A share with its Clopper-Pearson interval (Biometrika 1934)."""
    if not total:
        return ShareView(count=0, total=0, value=None, low=None, high=None)
    tail = (1 - CONFIDENCE) / 2
    low = float(beta.ppf(tail, count, total - count + 1)) if count else 0.0
    high = float(beta.ppf(1 - tail, count + 1, total - count)) if count < total else 1.0
    return ShareView(count=count, total=total, value=count / total, low=low, high=high)


def _row(
    question: str, place: int, group: str, members: list[_Said], bootstraps: int, seed: int
) -> AgreementView:
    found = agreement(_table(members, place), bootstraps=bootstraps, seed=seed)
    return AgreementView(
        question=question,
        group=group,
        items=found.items,
        raters=found.raters,
        raw=_view(found.raw),
        cohen=_view(found.cohen),
        fleiss=_view(found.fleiss),
        krippendorff=_view(found.krippendorff),
    )


def _table(members: Sequence[_Said], place: int) -> Table:
    """(items, reviewers) of numbers of answers, MISSING where nothing was said."""
    items = {item: number for number, item in enumerate(dict.fromkeys(m.item for m in members))}
    people = {who: number for number, who in enumerate(sorted({m.reviewer for m in members}))}
    values = sorted({m.values[place] or "" for m in members} - {""})
    numbers = {value: number for number, value in enumerate(values)}
    table = np.full((len(items), len(people)), MISSING, dtype=np.int64)
    for one in members:
        value = one.values[place]
        if value is not None:
            table[items[one.item], people[one.reviewer]] = numbers[value]
    return table


def _answer(answer: Answer | None) -> str | None:
    return answer.value if answer is not None and answer.decides else None


def _mark(mark: Mark | None) -> str | None:
    return None if mark is None or mark is Mark.UNSURE else mark.value


def _view(estimate: Estimate) -> Coefficient:
    return Coefficient(
        value=estimate.value, low=estimate.low, high=estimate.high, reason=estimate.reason
    )


def _tests(said: Sequence[_Said]) -> Iterable[RealOrSyntheticView]:
    """All reviewers together, then each; who skipped or flagged an image did not answer."""
    answered = [one for one in said if one.values[0] is not None]
    yield _test(ALL, answered)
    for name in sorted({one.reviewer for one in answered}):
        yield _test(name, [one for one in answered if one.reviewer == name])


def _test(reviewer: str, answered: Sequence[_Said]) -> RealOrSyntheticView:
    made = [one for one in answered if one.synthetic]
    real = [one for one in answered if not one.synthetic]
    found = sum(one.values[0] == Answer.SYNTHETIC.value for one in made)
    spared = sum(one.values[0] == Answer.REAL.value for one in real)
    return RealOrSyntheticView(
        reviewer=reviewer,
        accuracy=exact_share(found + spared, len(answered)),
        sensitivity=exact_share(found, len(made)),
        specificity=exact_share(spared, len(real)),
    )
