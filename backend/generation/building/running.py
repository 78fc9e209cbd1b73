"""The job that builds a synthetic set, place by place; killed at any moment, it goes on from there.

What is decided depends on the task alone: candidate seeds on its seed, place and attempt, near-
duplicates on the places before. A resumed build therefore makes the images of an uninterrupted
one.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from backend.abc.attributes import Label
from backend.generation.building.card import write_card
from backend.generation.building.filling import Filling, Made, MakeCandidate, rank
from backend.generation.building.judging import compared
from backend.generation.building.ledger import (
    REJECTIONS,
    BuildCounts,
    Candidate,
    Ledger,
    build_counts,
)
from backend.generation.building.making import Maker
from backend.generation.building.sharding import ClusterMaker
from backend.generation.building.task import (
    BuildError,
    BuildTask,
    Place,
    candidate_request,
    keep_table,
    kept_table,
    label_words,
    make_task,
    places,
)
from backend.generation.design.table import CaptionTable
from backend.generation.gallery import finished_positions
from backend.generation.running import prepare_request
from backend.jobs.cluster.driver import connected
from backend.jobs.context import JobContext
from backend.jobs.kinds import WarmState
from backend.jobs.queue import list_jobs, submit
from backend.settings import Settings
from backend.store.database import Database
from backend.store.tables import Verdict

KIND = "build"
RULE_WORDS = {
    Verdict.NO_LESION: "show no lesion",
    Verdict.UNSURE: "have an unsure mask",
    Verdict.DUPLICATE: "are near-duplicates of another",
}
_MANY = 100_000


def prepare_build(
    db: Database, settings: Settings, table: CaptionTable, values: dict[str, object]
) -> BuildTask:
    """A task that builds from `table`, which is kept; `values` are the other fields of BuildTask.

    Raises:
        BuildError: a field is wrong, the set is too large, or another build has its name.
        ModelError: the model is unknown or cannot be used.
        LoraError: a LoRA is not on the shelf, or does not fit the model.
        RequestError: size, steps or guidance are out of range.
    """
    task = make_task({**values, "table": keep_table(settings, table)})
    first = prepare_request(db, settings, candidate_request(task, places(task, table)[0], 0))
    if task.name.casefold() in {name.casefold() for name in build_names(db)}:
        raise BuildError(f"There is a set called {task.name} already: choose another name.")
    fields = ("negative_caption", "max_sequence_length", "attribute_guidance", "loras")
    return task.model_copy(update={name: getattr(first, name) for name in fields})


def build_names(db: Database) -> dict[str, str]:
    """The sets that are built or being built: job ids by name."""
    jobs = list_jobs(db, kinds=(KIND,), limit=_MANY)
    return {str(job.payload["name"]): job.id for job in jobs}


def submit_build(
    db: Database, settings: Settings, task: BuildTask, owner: str | None = None
) -> str:
    """Queue a build that `prepare_build` gave; returns the id of the job.

    Raises:
        StoreError: the database cannot be written.
    """
    return submit(
        db,
        kind=KIND,
        payload=task.model_dump(mode="json"),
        title=build_title(task),
        owner=owner,
        total=build_steps(settings, task),
    )


def build_title(task: BuildTask) -> str:
    """What the job is called in lists."""
    return f"Set {task.name}, best of {task.best_of} by {task.model}"


def build_steps(settings: Settings, task: BuildTask) -> int:
    """How many steps the build takes if no candidate has to be made twice."""
    return len(places(task, kept_table(settings, task))) * task.best_of * task.steps


def run_build(context: JobContext, payload: dict[str, Any], warm: WarmState) -> None:
    """Fill every place that has no image yet, then write the card of the set.

    Raises:
        BuildError: a class could not be filled within its attempts; says which rule rejected
            how many. What was kept stays, and the card describes it.
        DermaFluxError: model, size, disk or database stand in the way.
        MemoryError, torch.OutOfMemoryError: the device has no room left.
        JobStopped: cancelled, interrupted or lost; raised at the next step.
    """
    task = make_task(payload)
    context.attempting = build_title(task)
    spots = places(task, kept_table(context.settings, task))
    filling = Filling(task, spots, Ledger(context.database, context.job.id).settled())
    with _candidates(context, filling, warm) as make:
        build = _Build(context, filling, make)
        for place in spots:
            build.fill(place)
    counts = build_counts(context.database, context.job.id)
    write_card(context.settings, context.database, context.job, task, spots, counts)
    _refuse_shortage(task, spots, counts)


@contextmanager
def _candidates(context: JobContext, filling: Filling, warm: WarmState) -> Iterator[MakeCandidate]:
    """What makes candidates: this process, or the cluster that the settings name."""
    if context.settings.runner == "local":
        yield Maker(context, filling, warm)
        return
    with connected(context.settings):
        maker = ClusterMaker(context, filling)
        yield maker
        maker.forget()


class _Build:
    """Guards the decisions of a build: what is in the ledger, and the best of the round at hand."""

    def __init__(self, context: JobContext, filling: Filling, make: MakeCandidate) -> None:
        self._context = context
        self._filling = filling
        self._make = make
        self._ledger = Ledger(context.database, context.job.id)
        self._in_gallery = finished_positions(context.database, context.job.id)
        before = build_counts(context.database, context.job.id).values()
        filling.rejected = sum(sum(counts.rejected.values()) for counts in before)
        self._best: tuple[Candidate, Made] | None = None

    def fill(self, place: Place) -> None:
        """Give a place its image, or leave it empty where its class has no attempts left."""
        filling, best_of = self._filling, self._filling.task.best_of
        settled = filling.settled.get(place.position)
        if settled is not None:
            filling.spent[place.label] += settled.attempts
            filling.members.add(settled.thumbnail)
            return
        known = self._ledger.candidates(place.position)
        first = 0
        while filling.allows_round(place.label, filling.spent):
            attempts = range(first, first + best_of)
            self._best = None
            candidates = [known.get(n) or self._candidate(place, n) for n in attempts]
            filling.spent[place.label] += best_of
            fit = [one for one in candidates if one.judgement.verdict is Verdict.PASSED]
            if fit:
                self._keep(place, max(fit, key=_rank))
                return
            first += best_of

    def _candidate(self, place: Place, attempt: int) -> Candidate:
        task = self._filling.task
        made = self._make(place, attempt)
        judgement = compared(made.judgement, task.rules, self._filling.members)
        seed = candidate_request(task, place, attempt).seed
        candidate = Candidate(place.position, attempt, seed, judgement, None)
        self._ledger.add(candidate, place.label)
        if judgement.verdict is not Verdict.PASSED:
            self._filling.rejected += 1
        elif self._best is None or _rank(candidate) > _rank(self._best[0]):
            self._best = candidate, made
        return candidate

    def _keep(self, place: Place, winner: Candidate) -> None:
        """Files and gallery row first, then the decision; made again after a crash in between."""
        if place.position not in self._in_gallery:
            if self._best is not None and self._best[0] == winner:
                made = self._best[1]
            else:
                made = self._make(place, winner.attempt)
            made.keep()
        self._ledger.settle(winner, f"{self._context.job.id}-{place.position:04d}")
        self._filling.members.add(winner.judgement.thumbnail)


def _rank(candidate: Candidate) -> tuple[float, float, int]:
    return rank(candidate.judgement, candidate.attempt)


def _refuse_shortage(
    task: BuildTask, spots: Sequence[Place], counts: dict[Label | None, BuildCounts]
) -> None:
    wanted = Counter(place.label for place in spots)
    sentences = [
        _shortage(task, label, size, counts[label])
        for label, size in wanted.items()
        if counts[label].kept < size
    ]
    if sentences:
        raise BuildError(
            f"{' '.join(sentences)} Loosen that rule, allow more attempts, or use other captions; "
            "the images that were kept, and their card, stay."
        )


def _shortage(task: BuildTask, label: Label | None, size: int, counts: BuildCounts) -> str:
    rejected = [
        f"{counts.rejected[rule]} {RULE_WORDS[rule]}"
        for rule in REJECTIONS
        if counts.rejected[rule]
    ]
    return (
        f"The class {label_words(label)} has {counts.kept} of {size} images after {counts.made} "
        f"candidates, the most that {task.attempts} attempts an image allow: "
        f"{', '.join(rejected) or 'too few were left'}."
    )
