"""The job that builds a synthetic set, place by place; killed at any moment, it goes on from there.

What is decided depends on the task alone: candidate seeds on its seed, place and attempt, near-
duplicates on the places before. A resumed build therefore makes the images of an uninterrupted
one.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from backend.abc.attributes import Label
from backend.abc.measure import Measurement
from backend.generation.building.card import write_card
from backend.generation.building.judging import Thumbnails, judge
from backend.generation.building.ledger import (
    REJECTIONS,
    BuildCounts,
    Candidate,
    Ledger,
    build_counts,
)
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
from backend.generation.request import GenerationRequest
from backend.generation.running import GenerationRun, prepare_request, warm_model
from backend.images import Pixels
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
    fields = ("negative_caption", "max_sequence_length", "loras")
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
    build = _Build(context, task, spots, warm)
    for place in spots:
        build.fill(place)
    counts = build_counts(context.database, context.job.id)
    write_card(context.settings, context.database, context.job, task, spots, counts)
    _refuse_shortage(task, spots, counts)


class _Build:
    """Guards what the places share: members so far, attempts spent, the model once it is needed."""

    def __init__(
        self, context: JobContext, task: BuildTask, spots: Sequence[Place], warm: WarmState
    ) -> None:
        self._context = context
        self._task = task
        self._warm = warm
        self._ledger = Ledger(context.database, context.job.id)
        self._settled = self._ledger.settled()
        self._in_gallery = finished_positions(context.database, context.job.id)
        self._members = Thumbnails(len(spots))
        self._first = candidate_request(task, spots[0], 0)
        self._captions = [place.row.caption for place in spots]
        self._total = len(spots)
        self._sizes = Counter(place.label for place in spots)
        self._spent: Counter[Label | None] = Counter()
        before = build_counts(context.database, context.job.id).values()
        self._rejected = sum(sum(counts.rejected.values()) for counts in before)
        self._run: GenerationRun | None = None
        self._best: tuple[Candidate, Pixels, Measurement] | None = None

    def fill(self, place: Place) -> None:
        """Give a place its image, or leave it empty where its class has no attempts left."""
        settled = self._settled.get(place.position)
        if settled is not None:
            self._spent[place.label] += settled.attempts
            self._members.add(settled.thumbnail)
            return
        known = self._ledger.candidates(place.position)
        budget = self._task.attempts * self._sizes[place.label]
        first = 0
        while self._spent[place.label] + self._task.best_of <= budget:
            attempts = range(first, first + self._task.best_of)
            self._best = None
            candidates = [known.get(n) or self._candidate(place, n) for n in attempts]
            self._spent[place.label] += len(attempts)
            fit = [one for one in candidates if one.judgement.verdict is Verdict.PASSED]
            if fit:
                self._keep(place, max(fit, key=_rank))
                return
            first += len(attempts)

    def _candidate(self, place: Place, attempt: int) -> Candidate:
        request = candidate_request(self._task, place, attempt)
        pixels = self._render(place, attempt, request)
        rules, members = self._task.rules, self._members
        judgement, measurement = judge(pixels, place.row.attributes, rules, members)
        made = Candidate(place.position, attempt, request.seed, judgement, None)
        self._ledger.add(made, place.label)
        if judgement.verdict is not Verdict.PASSED:
            self._rejected += 1
        elif self._best is None or _rank(made) > _rank(self._best[0]):
            self._best = made, pixels, measurement
        return made

    def _keep(self, place: Place, winner: Candidate) -> None:
        """Files and gallery row first, then the decision; made again after a crash in between."""
        if place.position not in self._in_gallery:
            request = candidate_request(self._task, place, winner.attempt)
            if self._best is not None and self._best[0] == winner:
                self._runner().keep(place.position, request, *self._best[1:])
            else:
                pixels = self._render(place, winner.attempt, request)
                self._runner().keep(place.position, request, pixels)
        self._ledger.settle(winner, f"{self._context.job.id}-{place.position:04d}")
        self._members.add(winner.judgement.thumbnail)

    def _render(self, place: Place, attempt: int, request: GenerationRequest) -> Pixels:
        best_of, steps = self._task.best_of, request.steps
        before = (place.position * best_of + attempt % best_of) * steps
        message = (
            f"image {place.position + 1} of {self._total} ({label_words(place.label)}), "
            f"candidate {attempt + 1}, {self._rejected} rejected"
        )

        def report(index: int) -> None:
            total = self._total * best_of * steps
            words = f"{message}, step {index + 1} of {steps}"
            self._context.progress(before + index + 1, total, words)

        return self._runner().render(place.position, request, report)

    def _runner(self) -> GenerationRun:
        if self._run is None:
            model = warm_model(self._context, self._first, self._warm, self._captions)
            self._run = GenerationRun(self._context, model, self._first.loras, self._captions)
        return self._run


def _rank(candidate: Candidate) -> tuple[float, float, int]:
    """Better agreement first, then the surer mask, then the earlier attempt."""
    judgement = candidate.judgement
    return judgement.agreement, judgement.confidence, -candidate.attempt


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
