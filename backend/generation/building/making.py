"""Makes the candidates of a build one after another in this process."""

from functools import partial

from backend.generation.building.filling import Filling, Made
from backend.generation.building.judging import judge
from backend.generation.building.task import Place, candidate_request, label_words
from backend.generation.running import GenerationRun, StepReport, warm_model
from backend.jobs.context import JobContext
from backend.jobs.kinds import WarmState


class Maker:
    """Guards the model, which is loaded when the first candidate is needed."""

    def __init__(self, context: JobContext, filling: Filling, warm: WarmState) -> None:
        self._context = context
        self._filling = filling
        self._warm = warm
        self._run: GenerationRun | None = None

    def __call__(self, place: Place, attempt: int) -> Made:
        """Make and judge a candidate.

        Raises:
            DermaFluxError, MemoryError, JobStopped: as `run_build`.
        """
        task, run = self._filling.task, self._runner()
        request = candidate_request(task, place, attempt)
        pixels = run.render(place.position, request, self._report(place, attempt))
        judgement, measurement = judge(pixels, place.row.attributes, task.rules)
        return Made(judgement, partial(run.keep, place.position, request, pixels, measurement))

    def _report(self, place: Place, attempt: int) -> StepReport:
        task, total = self._filling.task, len(self._filling.spots)
        best_of, steps = task.best_of, task.steps
        before = (place.position * best_of + attempt % best_of) * steps
        message = (
            f"image {place.position + 1} of {total} ({label_words(place.label)}), "
            f"candidate {attempt + 1}, {self._filling.rejected} rejected"
        )

        def report(index: int) -> None:
            words = f"{message}, step {index + 1} of {steps}"
            self._context.progress(before + index + 1, total * best_of * steps, words)

        return report

    def _runner(self) -> GenerationRun:
        if self._run is None:
            task, spots = self._filling.task, self._filling.spots
            first = candidate_request(task, spots[0], 0)
            captions = [place.row.caption for place in spots]
            model = warm_model(self._context, first, self._warm, captions)
            self._run = GenerationRun(self._context, model, first.loras, captions)
        return self._run
