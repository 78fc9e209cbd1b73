"""Groups of images that pairs join, as a person judges them: found, counted, paged, written out.

A pair that is not dismissed joins its two images; these groups are what a split keeps together.
Dismissed pairs form groups of their own, to be looked at again.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import select

from backend.corpus.catalogue import csv_line
from backend.corpus.decisions import PairView, view_of
from backend.corpus.groups import connected
from backend.corpus.picture_cards import picture_cards
from backend.corpus.states import PairState
from backend.settings import Settings
from backend.store.database import Database
from backend.store.tables import DuplicatePairRow

Outlined = tuple[str, str, PairState, float]
"""Two image ids in order, their state and their score."""
AT_ONCE = 300
CSV_HEADER = (
    *("group", "state", "image", "place", "split", "label", "diagnosis", "patient", "lesion"),
    *("lowest_score", "image_id"),
)


@dataclass(frozen=True)
class GroupOutline:
    """A group without its pairs: image ids in order, and the score of its least certain pair.

    It is suggested as long as one of its pairs is.
    """

    images: tuple[str, ...]
    state: PairState
    score: float
    pairs: int

    @property
    def key(self) -> str:
        """Its first image, which no other group of its kind has."""
        return self.images[0]


@dataclass(frozen=True)
class DuplicateGroup:
    """A group with its pairs, the least certain first."""

    outline: GroupOutline
    pairs: tuple[PairView, ...]


def outline_groups(db: Database) -> dict[PairState, list[GroupOutline]]:
    """All groups by state; the least certain first, because they need a person most."""
    row = DuplicatePairRow
    statement = select(row.first_id, row.second_id, row.state, row.score)
    with db.session() as session:
        rows = session.execute(statement.order_by(row.first_id, row.second_id))
        pairs: list[Outlined] = [
            (first, second, state, score) for first, second, state, score in rows
        ]
    found: dict[PairState, list[GroupOutline]] = {state: [] for state in PairState}
    for dismissed in (False, True):
        side = [pair for pair in pairs if (pair[2] is PairState.DISMISSED) == dismissed]
        for outline in _joined(side):
            found[outline.state].append(outline)
    for outlines in found.values():
        outlines.sort(key=lambda one: (one.score, one.images))
    return found


def open_groups(db: Database, outlines: Sequence[GroupOutline]) -> list[DuplicateGroup]:
    """The groups with their pairs as they are now; one whose pairs are all decided is left out."""
    place = {
        (one.state is PairState.DISMISSED, image): number
        for number, one in enumerate(outlines)
        for image in one.images
    }
    pairs: list[list[PairView]] = [[] for _ in outlines]
    for view in _pairs_of(db, sorted({image for _, image in place})):
        number = place.get((view.state is PairState.DISMISSED, view.first_id))
        if number is not None and view.second_id in outlines[number].images:
            pairs[number].append(view)
    return [
        DuplicateGroup(outline, tuple(sorted(views, key=lambda view: (view.score, view.ids))))
        for outline, views in zip(outlines, pairs, strict=True)
        if views
    ]


def groups_csv(
    db: Database, settings: Settings, groups: Mapping[PairState, Sequence[GroupOutline]]
) -> Iterator[str]:
    """One line of CSV an image, groups numbered from 1, those to decide first."""
    yield csv_line(CSV_HEADER)
    number = 0
    for state in PairState:
        for outline in groups[state]:
            number += 1
            for card in picture_cards(db, settings, outline.images).values():
                facts = (card.name, card.place, card.split, card.label, card.diagnosis)
                ids = (card.patient, card.lesion, outline.score, card.id)
                yield csv_line((number, state, *facts, *ids))


def _joined(pairs: Sequence[Outlined]) -> Iterator[GroupOutline]:
    ids = sorted({one for pair in pairs for one in pair[:2]})
    groups = connected(ids, (pair[:2] for pair in pairs))
    place = {one: number for number, group in enumerate(groups) for one in group}
    scores: dict[int, float] = {}
    states: dict[int, set[PairState]] = {}
    counts = Counter(place[first] for first, *_ in pairs)
    for first, _, state, score in pairs:
        number = place[first]
        scores[number] = min(score, scores.get(number, score))
        states.setdefault(number, set()).add(state)
    for number, images in enumerate(groups):
        state = PairState.SUGGESTED
        if state not in states[number]:
            (state,) = states[number]
        yield GroupOutline(tuple(images), state, scores[number], counts[number])


def _pairs_of(db: Database, images: Sequence[str]) -> Iterator[PairView]:
    """The pairs whose first image is among these; one query a few hundred."""
    for first in range(0, len(images), AT_ONCE):
        part = images[first : first + AT_ONCE]
        with db.session() as session:
            statement = select(DuplicatePairRow).where(DuplicatePairRow.first_id.in_(part))
            yield from [view_of(row) for row in session.scalars(statement)]
