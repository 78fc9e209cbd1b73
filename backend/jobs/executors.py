"""Processes that share the work of one job on this machine."""

import multiprocessing
import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from itertools import islice
from multiprocessing.connection import wait
from typing import TypeVar

Given = TypeVar("Given")
Made = TypeVar("Made")

AHEAD = 3
"""Pieces of work that wait for each process."""


def in_chunks(pieces: Iterable[Given], size: int) -> Iterator[list[Given]]:
    """The pieces in order, `size` at a time, the last chunk shorter; read as they are asked for."""
    waiting = iter(pieces)
    while chunk := list(islice(waiting, size)):
        yield chunk


def each_in_processes(
    do: Callable[[Given], Made], pieces: Iterable[Given], processes: int
) -> Iterator[Made]:
    """What `do`, a function of a module, makes of each piece, in order; one process is this one.

    Raises:
        BrokenProcessPool: a process died.
    """
    if processes == 1:
        yield from map(do, pieces)
        return
    executor = new_executor(processes)
    waiting: deque[Future[Made]] = deque()
    try:
        for piece in pieces:
            waiting.append(executor.submit(do, piece))
            if len(waiting) > AHEAD * processes:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        executor.shutdown(wait=False, cancel_futures=True)


def new_executor(processes: int) -> ProcessPoolExecutor:
    """Processes that start at once and end with this one, however it ends."""
    context = multiprocessing.get_context("spawn")
    executor = ProcessPoolExecutor(processes, context, initializer=_leave_with_parent)
    for _ in range(processes):
        executor.submit(_start)
    return executor


def _start() -> None:
    """Nothing: by being asked for it, a process starts."""


def _leave_with_parent() -> None:
    """A parent that was killed tells nobody: without this its processes would wait for ever."""
    parent = multiprocessing.parent_process()
    if parent is None:
        return

    def watch(sentinel: int) -> None:
        wait([sentinel])
        os._exit(1)

    threading.Thread(target=watch, args=(parent.sentinel,), daemon=True).start()
