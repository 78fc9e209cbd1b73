"""Images described in batches by a model; a batch that does not fit is halved."""

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing

from backend.captioning.measuring import Done, Work
from backend.captioning.pictures import Known, Picture, open_picture
from backend.captioning.prompts import fill
from backend.captioning.task import Decoding
from backend.captioning.vision.answering import answer
from backend.captioning.vision.loading import Loaded

READERS = 2
"""Threads that decode and measure what comes next while the model writes."""


class Describer:
    """Guards how many images the model takes at once: what did not fit is not tried again.

    `halved` is told the new number; `check` is called after each token, and ends it by raising.
    """

    def __init__(
        self,
        loaded: Loaded,
        prompt: str,
        decoding: Decoding,
        batch: int,
        halved: Callable[[int], None],
        check: Callable[[], None],
    ) -> None:
        self.batch = batch
        self._loaded = loaded
        self._prompt = prompt
        self._decoding = decoding
        self._halved = halved
        self._check = check

    def describe(self, pictures: Sequence[Picture]) -> Iterator[list[Done]]:
        """The captions of the pictures, in order, as many at once as fit.

        Raises:
            MemoryError, torch.OutOfMemoryError: not even one fits.
        """
        waiting = list(pictures)
        while waiting:
            now = waiting[: self.batch]
            done = self._try(now)
            if done is None:
                continue
            yield done
            waiting = waiting[len(now) :]

    def _try(self, pictures: Sequence[Picture]) -> list[Done] | None:
        """The captions; None where they did not fit, after which fewer are taken."""
        questions = [(one.image, fill(self._prompt, one.work.label)) for one in pictures]
        try:
            answers = answer(self._loaded, questions, self._decoding, self._check)
        except (MemoryError, RuntimeError) as error:
            if not _is_memory(error) or len(pictures) == 1:
                raise
        else:
            limit = self._decoding.max_new_tokens
            return [one.captioned(said, limit) for one, said in zip(pictures, answers, strict=True)]
        # Outside of the handler, whose traceback would hold the tensors that are to go.
        self.batch = max(1, len(pictures) // 2)
        _give_back()
        self._halved(self.batch)
        return None


def read_ahead(
    works: Iterable[Work], known: Callable[[Work], Known | None], ahead: int
) -> Generator[Picture | Done, None, None]:
    """The pictures in order, `ahead` of them read and measured before they are asked for."""
    waiting: deque[Future[Picture | Done]] = deque()
    readers = ThreadPoolExecutor(READERS, thread_name_prefix="pictures")
    try:
        for work in works:
            waiting.append(readers.submit(open_picture, work, known(work)))
            if len(waiting) > ahead:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        readers.shutdown(wait=True, cancel_futures=True)


def described(
    describer: Describer, works: Iterable[Work], known: Callable[[Work], Known | None]
) -> Iterator[list[Done]]:
    """What becomes of each image, in parts that can be kept; those that cannot be read too."""
    pictures: list[Picture] = []
    unread: list[Done] = []
    with closing(read_ahead(works, known, 2 * describer.batch)) as reading:
        for one in reading:
            if isinstance(one, Picture):
                pictures.append(one)
            else:
                unread.append(one)
            if len(pictures) >= describer.batch:
                yield from describer.describe(pictures)
                pictures = []
    yield from describer.describe(pictures)
    if unread:
        yield unread


def _is_memory(error: Exception) -> bool:
    return isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError"


def _give_back() -> None:
    import gc

    import torch

    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
