"""How far a captioning job is: what is left to do, and what is done kept as it comes."""

from collections.abc import Iterable, Sequence

from backend.captioning.measuring import Done, Work, work_on
from backend.captioning.records import captioned, forget_unsure, keep_captions
from backend.captioning.task import CaptionTask
from backend.captioning.versions import CaptionerVersion, remember_version
from backend.corpus.queries import CorpusView
from backend.jobs.context import JobContext


class Captioning:
    """Guards the count of what is done by one version of a captioner in one job."""

    def __init__(
        self,
        context: JobContext,
        task: CaptionTask,
        version: CaptionerVersion,
        images: Sequence[CorpusView],
    ) -> None:
        self._context = context
        self._key = version.captioner, version.version
        self.total = len(images)
        remember_version(context.database, version)
        ids = [image.id for image in images]
        if task.again_unsure:
            forget_unsure(context.database, *self._key, ids, before=context.job.created_at)
        there = captioned(context.database, *self._key, ids)
        self.left: list[Work] = [work_on(image) for image in images if image.id not in there]
        self.before = len(there)
        self.done = len(there)
        self.unsure = 0
        self.show()

    def keep(self, results: Iterable[Done]) -> None:
        """Put results into the database and show them. Raises JobStopped and StoreError."""
        results = list(results)
        if results:
            keep_captions(
                self._context.database,
                *self._key,
                [one.caption for one in results],
                {one.caption.image_id: one.measurement for one in results if one.measurement},
            )
        self.done += len(results)
        self.unsure += sum(not one.caption.text for one in results)
        self.show()
        self._context.check_cancelled()

    def show(self, also: str = "") -> None:
        """Show the count, and a few words more."""
        unsure = f", {self.unsure:,} unsure" if self.unsure else ""
        message = f"{self.done:,} of {self.total:,} images captioned{unsure}{also}"
        self._context.progress(self.done, self.total, message)

    def close(self) -> None:
        """Say in the log what was done."""
        self._context.log(
            f"{self.total:,} images; of the {len(self.left):,} done now {self.unsure:,} are named "
            "as unsure"
        )
