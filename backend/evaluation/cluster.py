"""Cells side by side on a Ray cluster: each worker runs the training program of one at a time."""

from collections.abc import Sequence
from pathlib import Path

from backend.evaluation.cells import is_done, read_status
from backend.evaluation.errors import EvaluationError
from backend.evaluation.programs import run_cells
from backend.jobs.cluster.driver import connected, room_on_gpus, room_on_processors, spread
from backend.jobs.cluster.shard import ShardContext, open_shard
from backend.jobs.context import JobContext
from backend.jobs.queue import JobView
from backend.settings import Settings


def run_on_cluster(context: JobContext, folders: Sequence[Path]) -> None:
    """Train the cells of these folders, one on each GPU, or on each processor without GPUs.

    Raises:
        EvaluationError: a cell failed; those before it are done.
        ClusterError: a machine does not see the workspace, or there is no cluster.
        JobStopped: the job has to end; each cell keeps its last epoch.
    """
    with connected(context.settings):
        gpus = room_on_gpus() if context.settings.device != "cpu" else None
        room = gpus or room_on_processors(1)
        arguments = (context.settings, context.job, gpus is not None)
        items = [str(folder) for folder in folders]
        for done, _ in enumerate(spread(context, CellWorker, arguments, items, room), 1):
            words = f"{done} of {len(items)} classifiers trained on the cluster"
            context.progress(done, len(items), words)
            context.check_cancelled()
    failed = [folder for folder in folders if not is_done(folder)]
    if failed:
        raise EvaluationError(str(read_status(failed[0]).get("error") or "A classifier failed."))


class CellWorker:
    """Runs cells in a process of the cluster."""

    def __init__(self, settings: Settings, job: JobView, cuda: bool) -> None:
        self._settings = settings
        self._job = job
        self._cuda = cuda
        self._context: ShardContext | None = None

    def __call__(self, folder: str) -> str:
        """Train the cell of a folder, which is the answer too."""
        self._context = self._context or open_shard(self._settings, self._job)
        run_cells(self._context, [Path(folder)], cuda=self._cuda, programs=1)
        return folder
