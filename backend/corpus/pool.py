"""Processes that copy images: as many as are asked for, replaced where an image kills one."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Self

from backend.corpus.copying import Bench, Copied, Original, copy_images
from backend.corpus.exclusions import LeftOut, Reason
from backend.jobs.executors import new_executor

AHEAD = 3
"""Chunks that wait for each process."""
FATAL = "reading it ended the program (memory ran out, or a decoder failed): convert it to PNG"

Result = Copied | LeftOut | None
"""None: the image has not changed."""
CopyChunks = Callable[[Iterable[Sequence[Original]]], Iterator[list[Result]]]
"""The results of each chunk of images, in order."""


class CopyPool:
    """Guards processes that copy images, and replaces them where one of them dies.

    They start at once, while the caller still plans. One process means this one, unless it shall
    be apart.
    """

    def __init__(self, bench: Bench, processes: int, *, apart: bool = False) -> None:
        self._bench = bench
        self._processes = processes
        self._executor = new_executor(processes) if apart or processes > 1 else None
        self._waiting: deque[tuple[Sequence[Original], Future[list[Result]]]] = deque()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Processes that have work are waited for, so that nothing is written afterwards."""
        if self._executor is not None:
            self._executor.shutdown(wait=kind is not None, cancel_futures=True)

    def copy(self, chunks: Iterable[Sequence[Original]]) -> Iterator[list[Result]]:
        """The results of each chunk, in order.

        Raises:
            FileError: the disk is full, or the workspace cannot be written.
        """
        for chunk in chunks:
            if self._executor is None:
                yield copy_images(self._bench, chunk)
                continue
            self._submit(self._executor, chunk)
            if len(self._waiting) > AHEAD * self._processes:
                yield self._next()
        while self._waiting:
            yield self._next()

    def _submit(self, executor: ProcessPoolExecutor, chunk: Sequence[Original]) -> None:
        try:
            future = executor.submit(copy_images, self._bench, chunk)
        except BrokenProcessPool as error:
            future = Future()
            future.set_exception(error)
        self._waiting.append((chunk, future))

    def _next(self) -> list[Result]:
        chunk, future = self._waiting.popleft()
        try:
            return future.result()
        except BrokenProcessPool:
            results = [copy_alone(self._bench, original) for original in chunk]
        others = [other for other, _ in self._waiting]
        self._waiting.clear()
        self._executor = new_executor(self._processes)
        for other in others:
            self._submit(self._executor, other)
        return results


def copy_alone(bench: Bench, original: Original) -> Result:
    """Copy one image in a process of its own, whose death is only that image's."""
    with new_executor(1) as executor:
        try:
            return executor.submit(copy_images, bench, [original]).result()[0]
        except BrokenProcessPool:
            return LeftOut(original.item.place, Reason.BROKEN, FATAL)
