"""A small corpus with captions and findings, generated images, and people who review them."""

import itertools
from collections.abc import Sequence

from backend.abc.attributes import Label
from backend.captioning.findings import Check, Finding, Severity
from backend.captioning.records import NewCaption, keep_captions
from backend.corpus.catalogue import image_id
from backend.jobs.processes import this_process
from backend.jobs.queue import JobView, claim_next, get_job
from backend.jobs.worker import Worker
from backend.review.making import make_set
from backend.review.people import Actor
from backend.review.queue import next_items
from backend.review.recipe import NewVerdict, ReviewRecipe
from backend.review.verdicts import save_verdict
from backend.review.views import ItemView, SavedView
from backend.settings import Settings
from backend.store.columns import now
from backend.store.database import Database
from backend.store.tables import CorpusImage, Image, ImageMeasurement

PROMPT = "1"
TEXT = "The lesion is symmetric, with a regular border and dark brown colour."
EDITED = "The lesion is symmetric, with an irregular border and dark brown colour."
ANNA, BEN, CARL, DORA = (Actor(name) for name in ("anna", "ben", "carl", "dora"))
_keys = itertools.count(1)


def key() -> str:
    """A key that no other verdict of the tests has."""
    return f"key-{next(_keys):08d}"


def add_images(database: Database, count: int, *, dataset: str = "set", first: int = 0) -> None:
    """Rows of the catalogue alone: benign and malignant in turn, skin tones I to IV."""
    with database.session() as session:
        for number in range(first, first + count):
            name = f"{number:05d}"
            session.add(
                CorpusImage(
                    id=image_id(dataset, name),
                    dataset=dataset,
                    source_id=name,
                    source_path=f"{name}.png",
                    patient="",
                    lesion="",
                    diagnosis="nevus",
                    diagnosis_given="nevus",
                    target="",
                    rule="1",
                    modality="dermoscopic",
                    skin_tone=("I", "II", "III", "IV")[number % 4],
                    site="",
                    age=None,
                    sex="",
                    split="",
                    synthetic=False,
                    width=64,
                    height=64,
                    bytes=1,
                    byte_hash=name,
                    pixel_hash=f"{number:064x}",
                    recipe="r",
                    file=f"corpus/{name}.png",
                    thumbnail=f"corpus/{name}.webp",
                    label=(Label.BENIGN, Label.MALIGNANT)[number % 2],
                    cell="c",
                )
            )


def add_captions(
    database: Database, count: int, *, dataset: str = "set", captioner: str = "measured"
) -> None:
    """A caption for each; every third has an error, every fifth a leak."""
    captions = []
    for number in range(count):
        findings = []
        if number % 3 == 0:
            findings.append(Finding(Check.BORDER, Severity.ERROR, "It is irregular.", ((31, 45),)))
        if number % 5 == 0:
            findings.append(Finding(Check.LEAKAGE, Severity.WARNING, "It leaks."))
        captions.append(NewCaption(image_id(dataset, f"{number:05d}"), TEXT, "", tuple(findings)))
    keep_captions(database, captioner, PROMPT, captions, {})


def add_measurement(database: Database, image: str, **values: object) -> None:
    """What the meter saw: sure of everything, agreeing with TEXT unless said otherwise."""
    sure = dict.fromkeys(("asymmetry", "border", "edge", "pattern", "colours", "skin_tone"), 0.9)
    with database.session() as session:
        session.add(
            ImageMeasurement(
                **{
                    "image_id": image,
                    "pixel_hash": "0",
                    "found": True,
                    "asymmetry": "symmetric",
                    "border": "regular",
                    "colour_mask": 8,
                    "dominant": "dark_brown",
                    **{f"{name}_confidence": value for name, value in sure.items()},
                    **dict.fromkeys(("white", "red", "light_brown", "blue_gray", "black"), 0.0),
                    "dark_brown": 1.0,
                    **values,
                }
            )
        )


def add_generated(database: Database, count: int) -> None:
    """Rows of the gallery alone, benign and malignant in turn."""
    with database.session() as session:
        for number in range(count):
            session.add(
                Image(
                    id=f"made{number:04d}",
                    job_id="job",
                    position=number,
                    created_at=now(),
                    file=f"images/{number}.png",
                    thumbnail=f"thumbnails/{number}.webp",
                    width=64,
                    height=64,
                    pixel_hash=f"{number:064x}",
                    bytes=1,
                    caption=TEXT,
                    model="starter",
                    seed=number,
                    request={},
                    label=(Label.BENIGN, Label.MALIGNANT)[number % 2],
                    asymmetry="symmetric",
                    measured_asymmetry=("symmetric", "two_axes")[number % 2],
                    found=True,
                )
            )


def a_set(database: Database, count: int = 4, **choices: object) -> str:
    """A set over all captions, in the order of the draw."""
    add_images(database, count)
    add_captions(database, count)
    return make_set(
        database, CARL, ReviewRecipe.model_validate({"name": "Pilot", "size": None, **choices})
    )


def work(settings: Settings, database: Database) -> JobView:
    """Do the next job of the queue in this process; returns it as it ended."""
    job = claim_next(database, this_process())
    assert job is not None
    Worker(settings, database).run_job(job)
    return get_job(database, job.id)


def verdict(answer: str = "approve", **values: object) -> NewVerdict:
    """A verdict with what its answer needs."""
    needed: dict[str, object] = {}
    if answer == "edit":
        needed["text"] = EDITED
    if answer == "reject":
        needed["reason"] = "A notch is missing"
    return NewVerdict.model_validate(
        {"key": key(), "revision": 0, "answer": answer, **needed, **values}
    )


def judge_next(
    database: Database, actor: Actor, set_id: str, answer: str = "approve", **values: object
) -> SavedView:
    """Take the next item and judge it."""
    (item,) = next_items(database, actor, set_id, 1).items
    return save_verdict(database, actor, set_id, item.id, verdict(answer, **values))


def judge_all(
    database: Database, actor: Actor, set_id: str, answers: Sequence[str] = ("approve",)
) -> list[ItemView]:
    """Judge all that is left with the answers in turn, by position."""
    judged = []
    while items := next_items(database, actor, set_id, 1).items:
        answer = answers[(items[0].position - 1) % len(answers)]
        save_verdict(database, actor, set_id, items[0].id, verdict(answer))
        judged.append(items[0])
    return judged
