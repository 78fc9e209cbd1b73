"""Captions by a server: several images are asked about at once, each until it is answered."""

import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from itertools import islice

from backend.captioning.answers import Answer
from backend.captioning.errors import CaptioningError
from backend.captioning.keeping import Captioning
from backend.captioning.measuring import Done, Work
from backend.captioning.pictures import Known, Picture, open_picture
from backend.captioning.prompts import LEAKS, fill, names_label
from backend.captioning.records import AT_ONCE, seen_on
from backend.captioning.server.client import ChatServer, Failure, ServerError
from backend.captioning.server.hosts import Place, find_place
from backend.captioning.server.key import read_key
from backend.captioning.server.pace import Pace
from backend.captioning.task import OPENAI, CaptionTask, Server
from backend.captioning.versions import CaptionerVersion, version_of
from backend.corpus.queries import CorpusView
from backend.files import read_file
from backend.jobs.context import JobContext

LOOK_EVERY_S = 0.3
GIVE_UP = 5
"""After so many images in a row without an answer, the server is at fault and not the images."""
AHEAD = 2
"""Images that wait for each thread."""

Outcome = Done | tuple[Picture, Failure] | None


def check_server(task: CaptionTask) -> Place:
    """The server of a task, if it may be asked.

    Raises:
        CaptioningError: it is outside without a yes, or its key cannot be read.
    """
    server = _server(task)
    read_key(server)
    return find_place(server.base_url, images_may_leave=server.images_may_leave)


def caption_with_server(
    context: JobContext, task: CaptionTask, images: Sequence[CorpusView]
) -> None:
    """Caption every image that this version of the server's model has not captioned.

    Raises:
        CaptioningError: the server may not be asked, is down, or gives no captions.
        JobStopped: cancelled, interrupted or lost; captions that were kept stay.
    """
    server = _server(task)
    place = check_server(task)
    captioning = Captioning(context, task, server_version(task, place), images)
    if names_label(task.prompt):
        context.log(LEAKS, "warning")
    if place.outside and captioning.left:
        context.log(
            f"Images leave the building, as was allowed: {len(captioning.left):,} go to "
            f"{place.host} ({place.outside[0]}).",
            "warning",
        )
    pace = Pace(server.requests_per_minute, threading.Event())
    doubts = _Doubts(place, answered=captioning.before > 0)
    key = read_key(server)
    with ChatServer(place, server, task.model or "", task.decoding, key, pace) as chat:
        for outcomes in _asked(context, _Asking(chat, task), captioning.left, pace, server):
            captioning.keep(doubts.settle(outcomes, task.decoding.max_new_tokens))
    captioning.keep(doubts.rest(task.decoding.max_new_tokens))
    captioning.close()


def server_version(task: CaptionTask, place: Place) -> CaptionerVersion:
    """The version that a task makes captions of: another server may call another model the same."""
    settings = task.decoding.model_dump()
    return version_of(OPENAI, task.model or "", place.base, task.prompt, settings)


class _Asking:
    """What a thread does with an image."""

    def __init__(self, chat: ChatServer, task: CaptionTask) -> None:
        self._chat = chat
        self._task = task

    def __call__(self, work: Work, known: Known | None) -> Outcome:
        """Its caption; or the picture and why there is none; None where all has ended."""
        picture = open_picture(work, known)
        if isinstance(picture, Done):
            return picture
        prompt = fill(self._task.prompt, work.label)
        said = self._chat.ask(read_file(work.file), work.file.suffix, prompt)
        if said is None:
            return None
        if isinstance(said, Failure):
            return picture, said
        return picture.captioned(said, self._task.decoding.max_new_tokens)


class _Doubts:
    """Guards the images that got no answer, until it is clear whether the server is at fault.

    `answered` says that it has answered about others before.
    """

    def __init__(self, place: Place, *, answered: bool) -> None:
        self._place = place
        self._answered = answered
        self._waiting: list[tuple[Picture, Failure]] = []

    def settle(self, outcomes: Sequence[Outcome], limit: int) -> list[Done]:
        """What can be kept. Raises ServerError where too many in a row got no answer."""
        settled = [one for one in outcomes if isinstance(one, Done)]
        self._waiting += [one for one in outcomes if isinstance(one, tuple)]
        if settled:
            self._answered = True
            return [*settled, *self._unsure(limit)]
        if len(self._waiting) >= GIVE_UP:
            raise self._fault()
        return []

    def rest(self, limit: int) -> list[Done]:
        """Those that are left at the end. Raises ServerError where nothing was ever answered."""
        if self._waiting and not self._answered:
            raise self._fault()
        return self._unsure(limit)

    def _unsure(self, limit: int) -> list[Done]:
        unsure = [
            picture.captioned(Answer("", unsure=failure.reason), limit)
            for picture, failure in self._waiting
        ]
        self._waiting = []
        return unsure

    def _fault(self) -> ServerError:
        _, failure = self._waiting[-1]
        return ServerError(
            f"The server {self._place.base} gives no captions ({failure.reason}): check that its "
            "model reads images, its address and its model's name, then press Retry; what was "
            "answered is kept."
        )


def _asked(
    context: JobContext, asking: _Asking, works: Sequence[Work], pace: Pace, server: Server
) -> Iterator[list[Outcome]]:
    """Outcomes as they come. Those that come beside an error are given out before it is raised."""
    threads = ThreadPoolExecutor(server.concurrency, thread_name_prefix="server")
    pending: set[Future[Outcome]] = set()
    todo = _with_known(context, works)
    try:
        while True:
            room = AHEAD * server.concurrency - len(pending)
            pending |= {threads.submit(asking, *one) for one in islice(todo, room)}
            if not pending:
                return
            done, pending = wait(pending, LOOK_EVERY_S, FIRST_COMPLETED)
            errors = [one.exception() for one in done if one.exception() is not None]
            if errors:
                pace.ended.set()
                more, pending = wait(pending, server.timeout_s)
                done |= more
            yield [one.result() for one in done if one.exception() is None]
            if errors and errors[0] is not None:
                raise errors[0]
            context.check_cancelled()
    finally:
        pace.ended.set()
        threads.shutdown(wait=False, cancel_futures=True)


def _with_known(context: JobContext, works: Sequence[Work]) -> Iterator[tuple[Work, Known | None]]:
    for first in range(0, len(works), AT_ONCE):
        chunk = works[first : first + AT_ONCE]
        seen = seen_on(context.database, [work.image_id for work in chunk])
        yield from ((work, seen.get(work.image_id)) for work in chunk)


def _server(task: CaptionTask) -> Server:
    if task.server is None:
        raise CaptioningError("No server is given: say which with --base-url ADDRESS.")
    return task.server
