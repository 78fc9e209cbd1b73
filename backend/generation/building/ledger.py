"""Every decision of a build, stored as it is made: what a resumed build goes on from."""

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import ColumnElement, func, select, update

from backend.abc.attributes import Label, LesionAttributes
from backend.generation.building.judging import Judgement
from backend.store.database import Database
from backend.store.tables import BuildImage, Verdict

REJECTIONS = (Verdict.NO_LESION, Verdict.UNSURE, Verdict.DUPLICATE)


@dataclass(frozen=True)
class Candidate:
    """A candidate as it was judged."""

    position: int
    attempt: int
    seed: int
    judgement: Judgement
    image_id: str | None


@dataclass(frozen=True)
class Settled:
    """A place that has its image, after so many attempts."""

    attempts: int
    thumbnail: bytes


@dataclass(frozen=True)
class BuildCounts:
    """How far a build is: candidates made, images kept, candidates rejected by each rule."""

    made: int
    kept: int
    rejected: Mapping[Verdict, int]


class Ledger:
    """Guards the rows of one build."""

    def __init__(self, db: Database, job_id: str) -> None:
        self._db = db
        self._job_id = job_id

    def settled(self) -> dict[int, Settled]:
        """The places that have their image."""
        mine = BuildImage.job_id == self._job_id
        attempts = select(BuildImage.position, func.count()).where(mine)
        kept = select(BuildImage.position, BuildImage.thumbnail).where(
            mine, BuildImage.verdict == Verdict.KEPT
        )
        with self._db.session() as session:
            counted = session.execute(attempts.group_by(BuildImage.position))
            counts = {position: count for position, count in counted}  # noqa: C416 - rows
            return {
                position: Settled(counts[position], thumbnail or b"")
                for position, thumbnail in session.execute(kept)
            }

    def candidates(self, position: int) -> dict[int, Candidate]:
        """The candidates of a place by attempt."""
        return {one.attempt: one for one in self._candidates(BuildImage.position == position)}

    def kept(self) -> list[Candidate]:
        """The members of the set, in order."""
        return self._candidates(BuildImage.verdict == Verdict.KEPT)

    def first_that_fit(self) -> dict[int, Candidate]:
        """For each place the first candidate that no rule rejected: what was there to beat."""
        fit = self._candidates(BuildImage.verdict.in_((Verdict.KEPT, Verdict.BEATEN)))
        return {one.position: one for one in reversed(fit)}

    def add(self, candidate: Candidate, label: Label | None) -> None:
        """Store a candidate as it was judged.

        Raises:
            StoreError: the database cannot be written.
        """
        judgement = candidate.judgement
        passed = judgement.verdict is Verdict.PASSED
        row = BuildImage(
            job_id=self._job_id,
            position=candidate.position,
            attempt=candidate.attempt,
            label=label,
            seed=candidate.seed,
            verdict=judgement.verdict,
            agreement=judgement.agreement,
            confidence=judgement.confidence,
            measured=judgement.measured.model_dump(mode="json"),
            pixel_hash=judgement.pixel_hash,
            thumbnail=judgement.thumbnail if passed else None,
        )
        with self._db.session() as session:
            session.add(row)

    def settle(self, winner: Candidate, image_id: str) -> None:
        """Give a place its image; the others that passed are beaten.

        Raises:
            StoreError: the database cannot be written.
        """
        place = (BuildImage.job_id == self._job_id, BuildImage.position == winner.position)
        beaten = update(BuildImage).where(
            *place, BuildImage.verdict == Verdict.PASSED, BuildImage.attempt != winner.attempt
        )
        kept = update(BuildImage).where(*place, BuildImage.attempt == winner.attempt)
        with self._db.session() as session:
            session.execute(beaten.values(verdict=Verdict.BEATEN, thumbnail=None))
            session.execute(kept.values(verdict=Verdict.KEPT, image_id=image_id))

    def _candidates(self, *conditions: ColumnElement[bool]) -> list[Candidate]:
        statement = (
            select(BuildImage)
            .where(BuildImage.job_id == self._job_id, *conditions)
            .order_by(BuildImage.position, BuildImage.attempt)
        )
        with self._db.session() as session:
            return [_candidate(row) for row in session.scalars(statement)]


def build_counts(db: Database, job_id: str) -> dict[Label | None, BuildCounts]:
    """Counts by class, current while the build runs; empty before its first candidate."""
    statement = (
        select(BuildImage.label, BuildImage.verdict, func.count())
        .where(BuildImage.job_id == job_id)
        .group_by(BuildImage.label, BuildImage.verdict)
    )
    counted: dict[Label | None, dict[Verdict, int]] = {}
    with db.session() as session:
        for label, verdict, count in session.execute(statement):
            counted.setdefault(label, {})[verdict] = count
    return {
        label: BuildCounts(
            made=sum(verdicts.values()),
            kept=verdicts.get(Verdict.KEPT, 0),
            rejected={rule: verdicts.get(rule, 0) for rule in REJECTIONS},
        )
        for label, verdicts in sorted(counted.items(), key=lambda item: item[0] or "")
    }


def _candidate(row: BuildImage) -> Candidate:
    return Candidate(
        row.position,
        row.attempt,
        row.seed,
        Judgement(
            verdict=row.verdict,
            agreement=row.agreement,
            confidence=row.confidence,
            measured=LesionAttributes.model_validate(row.measured),
            pixel_hash=row.pixel_hash,
            thumbnail=row.thumbnail or b"",
        ),
        row.image_id,
    )
