"""The process that does a job on the cluster: it spreads the work, and takes in the results."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy.engine import make_url

from backend.errors import DermaFluxError
from backend.jobs.cluster.errors import ClusterError, require_ray
from backend.jobs.context import JobContext, JobStopped
from backend.settings import Settings

LOOK_EVERY_S = 0.3
ONE_MACHINE = (
    "The database is a SQLite file, and the cluster has {machines} machines: set "
    "DERMAFLUX_DATABASE_URL to a PostgreSQL that all of them reach."
)

_END: dict[str, str] = {}

MakeWorker = Callable[..., Callable[[str], str]]
"""A class whose instances do one item after another."""


@dataclass(frozen=True)
class Room:
    """How many workers the cluster has room for, and what each of them asks of it."""

    workers: int
    resources: dict[str, float]


@contextmanager
def connected(settings: Settings) -> Iterator[None]:
    """This process as the driver of the cluster that runs it; its workers end with it.

    Raises:
        ClusterError: there is no cluster, or its machines cannot share the database.
    """
    with attached():
        import ray
        from ray.data import DataContext

        machines = {str(node["NodeManagerAddress"]) for node in ray.nodes() if node["Alive"]}
        require_shared_database(settings, machines)
        data = DataContext.get_current()
        data.enable_progress_bars = False
        data.execution_options.preserve_order = True
        yield


@contextmanager
def attached() -> Iterator[None]:
    """This process as a part of the cluster that runs it; raises ClusterError where none does."""
    require_ray()
    import ray

    try:
        ray.init(address="auto", log_to_driver=False, configure_logging=False)
    except ConnectionError as error:
        raise ClusterError(
            "This process is on no Ray cluster: leave jobs to the cluster with "
            "`python -m backend worker`, or set DERMAFLUX_RUNNER to local."
        ) from error
    try:
        yield
    finally:
        ray.shutdown()


def require_shared_database(settings: Settings, machines: set[str]) -> None:
    """Raises ClusterError where machines, by address, cannot all open the database."""
    if len(machines) > 1 and make_url(settings.database).get_backend_name() == "sqlite":
        raise ClusterError(ONE_MACHINE.format(machines=len(machines)))


def room_on_processors(threads: int) -> Room:
    """Workers that use so many processors each, or all that there are where there are fewer."""
    import ray

    processors = int(ray.cluster_resources().get("CPU", 1))
    threads = min(threads, processors)
    return Room(max(1, processors // threads), {"num_cpus": threads})


def room_on_gpus() -> Room | None:
    """Workers that use a GPU each; None where the cluster has none."""
    import ray

    gpus = int(ray.cluster_resources().get("GPU", 0))
    return Room(gpus, {"num_gpus": 1}) if gpus else None


def spread(
    context: JobContext,
    worker: MakeWorker,
    arguments: tuple[Any, ...],
    items: list[str],
    room: Room,
) -> Iterator[str]:
    """What `worker(*arguments)(item)` gives for each item, in order, by Ray Data.

    Items and results are JSON. A worker is a process that takes one item after another; where its
    machine is lost, the item is done elsewhere. Raises what a worker raised, and JobStopped where
    the job has to end.
    """
    import ray.data
    from ray.data import ActorPoolStrategy

    # Each an own block: small enough to be shared out evenly.
    dataset = ray.data.from_items(items, override_num_blocks=len(items)).map(
        _Rows,
        fn_constructor_args=(worker, arguments),
        compute=ActorPoolStrategy(min_size=1, max_size=min(room.workers, len(items))),
        **room.resources,
    )
    for row in _watched(context, iter(dataset.iter_rows())):
        yield row["item"]


class _Rows:
    """A worker as Ray Data calls it: with a row, for a row."""

    def __init__(self, worker: MakeWorker, arguments: tuple[Any, ...]) -> None:
        self._worker = worker(*arguments)

    def __call__(self, row: dict[str, str]) -> dict[str, str]:
        return {"item": self._worker(row["item"])}


def _watched(context: JobContext, rows: Iterator[dict[str, str]]) -> Iterator[dict[str, str]]:
    """The rows, with a look between them whether the job has to end, however long one takes."""
    fetching = ThreadPoolExecutor(1, thread_name_prefix="results")
    try:
        while True:
            fetched = fetching.submit(next, rows, _END)
            while not wait([fetched], LOOK_EVERY_S).done:
                context.check_cancelled()
            error = fetched.exception()
            if error is not None:
                raise _cause(error) from error
            row = fetched.result()
            if row is _END:
                return
            yield row
    finally:
        fetching.shutdown(wait=False, cancel_futures=True)


def _cause(error: BaseException) -> BaseException:
    """What a worker raised, out of what Ray wraps it in."""
    known: BaseException | None = error
    last = error
    while known is not None:
        if isinstance(known, DermaFluxError | JobStopped | OSError | MemoryError):
            return known
        last = known
        known = getattr(known, "cause", None) or known.__cause__
    return last
