"""How long twenty reviewers wait for their next caption, with 500,000 in one set.

    python -m benchmarks.review --database postgresql://studio@localhost/empty
    python -m benchmarks.review --captions 20000 --reviewers 8 --verdicts 50

Fills an empty PostgreSQL database (SQLite where none is named; one that an earlier run filled goes
on where that ended), starts the real studio with accounts, signs every reviewer in and lets
all of them judge at once over HTTP: next item, then its verdict, with `--think` seconds between
(nobody reads faster than the default; 0 shows what the machine can take). A process of its own
holds the reviewers. At the end every verdict is looked for in the database. Prints p50 and p95 of
the next item and of the verdict; ends with 1 where the bar of 150 ms is missed or a verdict is
lost.
"""

import argparse
import asyncio
import json
import os
import random
import subprocess
import sys
import tempfile
import time
import uuid
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from sqlalchemy import func, insert, select

from backend.abc.attributes import Label
from backend.accounts import create_account, get_account
from backend.corpus.catalogue import image_id
from backend.review.making import make_set
from backend.review.people import Actor
from backend.review.recipe import ReviewRecipe
from backend.settings import REPOSITORY, Settings, prepare_workspace
from backend.store.columns import now
from backend.store.database import Database, open_database
from backend.store.review_tables import ReviewEvent, ReviewItem, ReviewSet, ReviewVerdict
from backend.store.tables import CorpusImage, ImageCaption, Role

BAR_MS = 150.0
BATCH = 5_000
TRIES = 3
SET = "Benchmark"
PASSWORD = "four green apples fall"  # noqa: S105 - of accounts that live as long as the run
TEXT = (
    "The lesion is asymmetric in one axis, with a slightly irregular, fading border and two "
    "colours: dark brown and light brown. Number {number}."
)
ANSWERS = ("approve", "approve", "approve", "reject")


@dataclass(frozen=True)
class Result:
    """Milliseconds, and whether every verdict arrived once."""

    captions: int
    reviewers: int
    verdicts: int
    database: str
    seconds: float
    next_p50_ms: float
    next_p95_ms: float
    next_max_ms: float
    verdict_p50_ms: float
    verdict_p95_ms: float
    lost: int
    twice: int
    bar_ms: float = BAR_MS

    @property
    def passed(self) -> bool:
        """Whether the bar was met and nothing was lost or given to two people."""
        return self.next_p95_ms <= self.bar_ms and not self.lost and not self.twice


def main() -> None:
    """Fill, review and print; ends with 1 where the bar is missed or a verdict is lost."""
    options = _options()
    if options.as_reviewers:
        plan = json.loads(sys.stdin.read())
        json.dump(asyncio.run(_review_all(**plan)), sys.stdout)
        return
    with tempfile.TemporaryDirectory(prefix="dermaflux-benchmark-") as folder:
        settings = Settings(
            workspace=Path(folder),
            database_url=options.database,
            port=options.port,
            # A studio that others can reach asks everybody to sign in.
            allowed_hosts=("review.example",),
        )
        prepare_workspace(settings)
        database = open_database(settings)
        try:
            result = _measure(options, settings, database)
        finally:
            database.close()
    print(json.dumps(asdict(result), indent=2) if options.json else _sentence(result))
    if not result.passed:
        raise SystemExit(1)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--captions", type=int, default=500_000)
    parser.add_argument("--reviewers", type=int, default=20)
    parser.add_argument("--verdicts", type=int, default=2_000, help="of each reviewer")
    parser.add_argument("--think", type=float, default=2.0, help="seconds before each verdict")
    parser.add_argument("--ahead", type=int, default=2, help="items asked for at once")
    parser.add_argument("--port", type=int, default=7971)
    parser.add_argument("--database", help="URL of an empty PostgreSQL database")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--as-reviewers", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args()


def _measure(options: argparse.Namespace, settings: Settings, database: Database) -> Result:
    names = [f"reviewer{number:02d}" for number in range(options.reviewers)]
    for name in ("keeper", *names):
        if get_account(database, name) is None:
            role = Role.ADMIN if name == "keeper" else Role.REVIEWER
            create_account(database, name, PASSWORD, role)
    set_id = _set_of(options, database)
    recorded = _count_events(database, set_id)
    _say("starting the studio")
    server = subprocess.Popen(
        [sys.executable, "app.py"],
        cwd=REPOSITORY,
        env={**os.environ, **settings.environment()},
        stdout=subprocess.DEVNULL,
    )
    try:
        plan = {
            "address": f"http://127.0.0.1:{options.port}",
            "set_id": set_id,
            "names": names,
            "verdicts": options.verdicts,
            "think": options.think,
            "ahead": options.ahead,
        }
        _wait(plan["address"], server)
        _say("reviewing")
        begun = time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.review", "--as-reviewers"],
            input=json.dumps(plan).encode(),
            stdout=subprocess.PIPE,
            check=True,
        )
        seconds = time.perf_counter() - begun
    finally:
        server.terminate()
        server.wait()
    found = json.loads(done.stdout)
    return _result(options, database, set_id, recorded, found, seconds)


def _set_of(options: argparse.Namespace, database: Database) -> str:
    """The set of an earlier run on this database, or a new one."""
    with database.session() as session:
        found = session.scalar(select(ReviewSet.id).where(ReviewSet.name == SET))
    if found is not None:
        return found
    _say(f"writing {options.captions:,} captions")
    _fill(database, options.captions)
    _say("making the set")
    begun = time.perf_counter()
    recipe = ReviewRecipe(name=SET, captioner="benchmark", size=None)
    made = make_set(database, Actor("keeper", "keeper"), recipe)
    _say(f"made in {time.perf_counter() - begun:.1f} s")
    return made


def _count_events(database: Database, set_id: str) -> int:
    with database.session() as session:
        events = select(func.count()).select_from(ReviewEvent)
        return session.scalar(events.where(ReviewEvent.set_id == set_id)) or 0


def _fill(database: Database, captions: int) -> None:
    for first in range(0, captions, BATCH):
        numbers = range(first, min(first + BATCH, captions))
        images = [_image(number) for number in numbers]
        with database.session() as session:
            session.execute(insert(CorpusImage), images)
            session.execute(
                insert(ImageCaption),
                [_caption(number, row["id"]) for number, row in zip(numbers, images, strict=True)],
            )
    with database.engine.connect() as connection:
        connection.exec_driver_sql("ANALYZE")
        connection.commit()


def _image(number: int) -> dict[str, object]:
    name = f"{number:07d}"
    empty = ("patient", "lesion", "target", "site", "sex", "split")
    return {
        "id": image_id("benchmark", name),
        "dataset": f"set{number % 11}",
        "source_id": name,
        "source_path": name,
        "diagnosis": "nevus",
        "diagnosis_given": "nevus",
        "rule": "1",
        "modality": "dermoscopic",
        "skin_tone": ("I", "II", "III", "IV", "V", "VI")[number % 6],
        "age": None,
        "synthetic": False,
        "width": 512,
        "height": 512,
        "bytes": 1,
        "byte_hash": name,
        "pixel_hash": name,
        "recipe": "1",
        "file": name,
        "thumbnail": name,
        "label": Label.MALIGNANT if number % 5 == 0 else Label.BENIGN,
        "cell": "1",
        **dict.fromkeys(empty, ""),
    }


def _caption(number: int, image: object) -> dict[str, object]:
    return {
        "id": f"caption{number:07d}",
        "image_id": image,
        "captioner": "benchmark",
        "prompt": "1",
        "text": TEXT.format(number=number),
        "unsure": "",
        "colour_mask": 12,
        "worst": None,
        "created_at": now(),
    }


def _wait(address: str, server: subprocess.Popen[bytes]) -> None:
    for _ in range(600):
        if server.poll() is not None:
            raise SystemExit("The studio did not start.")
        try:
            httpx.get(f"{address}/healthz").raise_for_status()
        except httpx.HTTPError:
            time.sleep(0.2)
        else:
            return
    raise SystemExit("The studio did not answer.")


async def _review_all(
    address: str, set_id: str, names: list[str], verdicts: int, think: float, ahead: int
) -> dict[str, list[float] | list[int]]:
    """All reviewers at once; milliseconds of each request, and the items that were judged."""
    clients = [httpx.AsyncClient(base_url=address, timeout=60) for _ in names]
    for client, name in zip(clients, names, strict=True):
        form = {"name": name, "password": PASSWORD}
        answer = await client.post("/login", data=form)
        if answer.status_code != 303:
            raise SystemExit(f"{name} could not sign in: {answer.text}")
    waits: dict[str, list[float]] = {"next": [], "verdict": []}
    items: list[int] = []
    await asyncio.gather(
        *(
            _review(client, f"/review/api/sets/{set_id}", verdicts, think, ahead, waits, items)
            for client in clients
        )
    )
    for client in clients:
        await client.aclose()
    return {**waits, "items": items}


async def _review(
    client: httpx.AsyncClient,
    room: str,
    verdicts: int,
    think: float,
    ahead: int,
    waits: dict[str, list[float]],
    items: list[int],
) -> None:
    # People do not press at the same moment: each begins when it suits, and takes its own time.
    chance = random.Random(room + str(id(client)))  # noqa: S311 - a spread of pauses
    await asyncio.sleep(think * chance.random())
    for number in range(verdicts):
        begun = time.perf_counter()
        answer = await _ask(client, "GET", f"{room}/next", params={"count": ahead})
        waits["next"].append(1_000 * (time.perf_counter() - begun))
        answer.raise_for_status()
        item = answer.json()["items"][0]["id"]
        await asyncio.sleep(think * chance.uniform(0.5, 1.5))
        said = ANSWERS[number % len(ANSWERS)]
        verdict = {
            "key": uuid.uuid4().hex,
            "revision": 0,
            "answer": said,
            "marks": {"asymmetry": "approve", "border": "approve", "colours": said},
            "reason": "Wrong colours" if said == "reject" else "",
        }
        begun = time.perf_counter()
        answer = await _ask(client, "PUT", f"{room}/items/{item}/verdict", json=verdict)
        waits["verdict"].append(1_000 * (time.perf_counter() - begun))
        answer.raise_for_status()
        items.append(item)


async def _ask(client: httpx.AsyncClient, method: str, path: str, **body: Any) -> httpx.Response:
    """Ask again where the connection was cut, as the page does: the key makes that safe."""
    for _ in range(TRIES - 1):
        try:
            return await client.request(method, path, **body)
        except httpx.TransportError:
            continue
    return await client.request(method, path, **body)


def _result(
    options: argparse.Namespace,
    database: Database,
    set_id: str,
    recorded: int,
    found: dict[str, list[float]],
    seconds: float,
) -> Result:
    with database.session() as session:
        kept = set(
            session.scalars(select(ReviewVerdict.item_id).where(ReviewVerdict.set_id == set_id))
        )
        crowded = session.scalar(
            select(func.count()).select_from(ReviewItem).where(ReviewItem.given > 1)
        )
    judged = Counter(found["items"])
    new = _count_events(database, set_id) - recorded
    lost = len(set(judged) - kept) + max(0, len(found["items"]) - new)
    waits, saves = np.array(found["next"]), np.array(found["verdict"])
    return Result(
        captions=options.captions,
        reviewers=options.reviewers,
        verdicts=len(found["items"]),
        database=database.engine.dialect.name,
        seconds=round(seconds, 1),
        next_p50_ms=round(float(np.quantile(waits, 0.5)), 1),
        next_p95_ms=round(float(np.quantile(waits, 0.95)), 1),
        next_max_ms=round(float(waits.max()), 1),
        verdict_p50_ms=round(float(np.quantile(saves, 0.5)), 1),
        verdict_p95_ms=round(float(np.quantile(saves, 0.95)), 1),
        lost=lost,
        twice=(crowded or 0) + sum(times > 1 for times in judged.values()),
    )


def _sentence(result: Result) -> str:
    return (
        f"{result.captions:,} captions on {result.database}, {result.reviewers} reviewers, "
        f"{result.verdicts:,} verdicts in {result.seconds:,.0f} s\n"
        f"next item: p50 {result.next_p50_ms:.0f} ms, p95 {result.next_p95_ms:.0f} ms, slowest "
        f"{result.next_max_ms:.0f} ms (bar: p95 {result.bar_ms:.0f} ms)\n"
        f"verdict: p50 {result.verdict_p50_ms:.0f} ms, p95 {result.verdict_p95_ms:.0f} ms\n"
        f"{result.lost} verdicts lost, {result.twice} items given to two people"
    )


def _say(text: str) -> None:
    print(text, file=sys.stderr)


if __name__ == "__main__":
    main()
