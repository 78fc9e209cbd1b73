"""Copies images on a Ray cluster: originals and copies lie where all of its machines see them."""

from collections.abc import Iterable, Iterator, Sequence

from pydantic import TypeAdapter

from backend.corpus.copying import Bench, Original
from backend.corpus.pool import CopyPool, Result
from backend.jobs.cluster.driver import Room, room_on_processors, spread
from backend.jobs.cluster.shard import require_visible
from backend.jobs.context import JobContext
from backend.jobs.executors import in_chunks

CHUNKS_AT_ONCE = 1024
"""Chunks that are looked up in the catalogue before the cluster gets them."""

_ORIGINALS = TypeAdapter(list[Original])
_RESULTS = TypeAdapter(list[Result])


def copy_on_cluster(
    context: JobContext,
    bench: Bench,
    processes: int | None,
    chunks: Iterable[Sequence[Original]],
) -> Iterator[list[Result]]:
    """The results of each chunk, in order, by `processes` workers or as many as there is room for.

    Raises:
        ClusterError: a machine does not see the workspace or the originals.
        FileError: the disk is full, or the workspace cannot be written.
        JobStopped: the job has to end.
    """
    room = room_on_processors(1)
    room = Room(min(room.workers, processes or room.workers), room.resources)
    for together in in_chunks(chunks, CHUNKS_AT_ONCE):
        texts = [_ORIGINALS.dump_json(list(chunk)).decode() for chunk in together]
        for text in spread(context, CopyWorker, (bench,), texts, room):
            yield _RESULTS.validate_json(text)


class CopyWorker:
    """Copies images in a process of the cluster; guards another one, which a decoder may kill."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self._pool: CopyPool | None = None

    def __call__(self, chunk: str) -> str:
        """Copy the originals of a chunk; both are JSON. Raises as `copy_on_cluster`."""
        if self._pool is None:
            require_visible(self._bench.scratch, self._bench.base)
            self._pool = CopyPool(self._bench, 1, apart=True)
        (results,) = self._pool.copy([_ORIGINALS.validate_json(chunk)])
        return _RESULTS.dump_json(results).decode()
