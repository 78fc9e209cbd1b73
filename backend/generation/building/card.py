"""What a synthetic set says of itself: card, members, captions and a sheet of samples."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import fmean

from backend.abc.adherence import (
    Pair,
    bootstrap_intervals,
    mean_interval,
    score_attributes,
)
from backend.abc.attributes import Label
from backend.files import write_file
from backend.generation.building.ledger import REJECTIONS, BuildCounts, Candidate, Ledger
from backend.generation.building.task import (
    BuildTask,
    Place,
    candidate_request,
    kept_table,
    label_words,
)
from backend.generation.design.files import table_jsonl
from backend.generation.errors import GenerationError
from backend.generation.figure import SYNTHETIC, Grid, draw_grid
from backend.generation.gallery import get_image
from backend.generation.models import hash_cache, model_hash, usable_model
from backend.generation.provenance import TRAINED_ALGORITHMIC_MEDIA, read_png, write_figure
from backend.images import ImageError, Pixels, read_image
from backend.jobs.queue import JobView
from backend.settings import Settings
from backend.store.database import Database

CARD, README, MEMBERS, CAPTIONS, SHEET = (
    "card.json",
    "README.md",
    "images.jsonl",
    "captions.jsonl",
    "samples.png",
)
RESAMPLES = 400
SAMPLES_A_CLASS = 8
SEED_RULE = "numpy.random.SeedSequence((build seed, position, attempt)).generate_state(1)[0]"


def set_folder(settings: Settings, job_id: str) -> Path:
    """Where the card of a set lies."""
    return settings.sets_dir / job_id


def read_card(settings: Settings, job_id: str) -> dict[str, object]:
    """The card of a set.

    Raises:
        GenerationError: there is none yet.
    """
    try:
        text = (set_folder(settings, job_id) / CARD).read_text(encoding="utf-8")
        card: dict[str, object] = json.loads(text)
    except (OSError, ValueError) as error:
        raise GenerationError("This set has no card: let its build run to the end.") from error
    return card


def write_card(
    settings: Settings,
    db: Database,
    job: JobView,
    task: BuildTask,
    places: Sequence[Place],
    counts: Mapping[Label | None, BuildCounts],
) -> None:
    """Write everything that describes the set into its folder, the card last.

    Raises:
        FileError: disk full, or the workspace cannot be written.
        ModelError: the model is gone.
    """
    ledger = Ledger(db, job.id)
    kept = ledger.kept()
    folder = set_folder(settings, job.id)
    captions = table_jsonl(kept_table(settings, task)).encode()
    write_file(folder / CAPTIONS, captions)
    write_file(folder / MEMBERS, _members(task, places, kept).encode())
    sheet = _sheet(settings, db, task, places, kept)
    write_figure(folder / SHEET, sheet, {"set": task.name, "job": job.id})
    card = _card(settings, db, job, task, places, counts, kept, ledger.first_that_fit())
    write_file(folder / README, _readme(card).encode())
    write_file(folder / CARD, json.dumps(card, indent=1, ensure_ascii=False).encode())


def _card(
    settings: Settings,
    db: Database,
    job: JobView,
    task: BuildTask,
    places: Sequence[Place],
    counts: Mapping[Label | None, BuildCounts],
    kept: Sequence[Candidate],
    first: Mapping[int, Candidate],
) -> dict[str, object]:
    entry = usable_model(settings, task.model)
    wanted = Counter(place.label for place in places)
    return {
        "name": task.name,
        "synthetic": True,
        "digital_source_type": TRAINED_ALGORITHMIC_MEDIA,
        "not_for_diagnosis": True,
        "created": job.created_at.date().isoformat(),
        "job": job.id,
        "complete": len(kept) == len(places),
        "images": len(kept),
        "classes": {
            label_words(label): {
                "wanted": size,
                "kept": counts[label].kept if label in counts else 0,
                "candidates": counts[label].made if label in counts else 0,
                "rejected": dict(counts[label].rejected) if label in counts else {},
            }
            for label, size in wanted.items()
        },
        "model": {
            "name": entry.name,
            "title": entry.title,
            "licence": entry.licence,
            "sha256": model_hash(entry.folder, cache=hash_cache(settings)),
        },
        "made_with": _made_with(settings, db, kept),
        "build": task.model_dump(mode="json"),
        "seed_rule": SEED_RULE,
        "adherence": _adherence(places, kept, first),
    }


def _made_with(
    settings: Settings, db: Database, kept: Sequence[Candidate]
) -> dict[str, object] | None:
    """What the first image of the set says of scheduler, device and libraries."""
    for member in kept:
        try:
            provenance = read_png(get_image(db, settings, str(member.image_id)).path)
        except GenerationError:  # purged since
            continue
        return provenance.model_dump(mode="json", exclude={"request", "version", "synthetic"})
    return None


def _adherence(
    places: Sequence[Place], kept: Sequence[Candidate], first: Mapping[int, Candidate]
) -> dict[str, object]:
    """Scores of the kept images with intervals, those of the first that fitted, and the gain."""
    pairs = _pairs(places, kept)
    plain = score_attributes(_pairs(places, [first[one.position] for one in kept]))
    intervals = bootstrap_intervals(pairs, resamples=RESAMPLES)
    gains = [one.judgement.agreement - first[one.position].judgement.agreement for one in kept]
    return {
        "scores": {
            name: {"score": score, "interval": asdict(intervals[name]), "first": plain[name]}
            for name, score in score_attributes(pairs).items()
        },
        "agreement": fmean(one.judgement.agreement for one in kept) if kept else None,
        "gain": fmean(gains) if gains else None,
        "gain_interval": asdict(mean_interval(gains, resamples=RESAMPLES)) if gains else None,
    }


def _pairs(places: Sequence[Place], candidates: Sequence[Candidate]) -> list[Pair]:
    return [(places[one.position].row.attributes, one.judgement.measured) for one in candidates]


def _members(task: BuildTask, places: Sequence[Place], kept: Sequence[Candidate]) -> str:
    lines = []
    for one in kept:
        request = candidate_request(task, places[one.position], one.attempt)
        member = {
            "image": one.image_id,
            "position": one.position,
            "attempt": one.attempt,
            "label": places[one.position].label,
            "synthetic": True,
            "seed": request.seed,
            "caption": request.caption,
            "agreement": one.judgement.agreement,
            "pixel_sha256": one.judgement.pixel_hash,
        }
        lines.append(json.dumps(member, ensure_ascii=False) + "\n")
    return "".join(lines)


def _sheet(
    settings: Settings,
    db: Database,
    task: BuildTask,
    places: Sequence[Place],
    kept: Sequence[Candidate],
) -> Pixels:
    """Images from all over the set, a row a class."""
    classes: dict[str, list[Candidate]] = {}
    for one in kept:
        classes.setdefault(label_words(places[one.position].label), []).append(one)
    rows = {name: _spread(members) for name, members in classes.items()} or {"no image": []}
    width = max(1, *(len(members) for members in rows.values()), 1)
    tiles = [
        [
            _pixels(settings, db, members[column]) if column < len(members) else None
            for column in range(width)
        ]
        for members in rows.values()
    ]
    return draw_grid(
        Grid(
            title=task.name,
            across=f"{len(kept)} images of {len(places)}",
            down="",
            columns=("",) * width,
            rows=tuple(rows),
            tiles=tiles,
            notes=(f"{task.model}, best of {task.best_of}, seed {task.seed}",),
        )
    )


def _spread(members: Sequence[Candidate]) -> list[Candidate]:
    count = min(SAMPLES_A_CLASS, len(members))
    return [members[place * len(members) // count] for place in range(count)]


def _pixels(settings: Settings, db: Database, member: Candidate) -> Pixels | None:
    """The image; None where it was purged since."""
    try:
        return read_image(get_image(db, settings, str(member.image_id)).path)
    except (GenerationError, ImageError):
        return None


README_TEXT = """\
# {name}

{images} images. {synthetic}

Made on {created} by {title} ({model}, licence {licence}), SHA-256 of its tensors `{sha256}`.
LoRAs: {loras}. Negative caption: {negative}.

| class | wanted | kept | candidates | no lesion | unsure mask | near-duplicate |
|---|---|---|---|---|---|---|
{classes}

Captions: `{captions}` (SHA-256 `{table}`). Best of {best_of}; a mask of at least
{min_confidence}, thumbnails correlated by at most {max_correlation}. Build seed {seed}; the seed
of a candidate is `{seed_rule}`.

## Adherence

Measured against requested attributes; interval: 95 %, bootstrap over images. *First* is what the
first candidates that fitted the rules would have scored.

| attribute | score | interval | first |
|---|---|---|---|
{scores}

Mean agreement of an image {agreement}; gained by choosing among {best_of}: {gain}
({gain_interval}).
"""


def _readme(card: Mapping[str, object]) -> str:
    """The card for people, in Markdown."""
    model, build = _mapping(card["model"]), _mapping(card["build"])
    rules, adherence = _mapping(build["rules"]), _mapping(card["adherence"])
    loras = build["loras"]
    return README_TEXT.format(
        name=card["name"],
        images=card["images"],
        synthetic=SYNTHETIC,
        created=card["created"],
        title=model["title"],
        model=model["name"],
        licence=model["licence"],
        sha256=model["sha256"],
        negative=build["negative_caption"] or "none",
        loras=", ".join(map(_lora_words, loras)) if isinstance(loras, list) and loras else "none",
        classes="\n".join(_class_line(*item) for item in _mapping(card["classes"]).items()),
        captions=CAPTIONS,
        table=build["table"],
        best_of=build["best_of"],
        min_confidence=rules["min_confidence"],
        max_correlation=rules["max_correlation"],
        seed=build["seed"],
        seed_rule=SEED_RULE,
        scores="\n".join(_score_line(*item) for item in _mapping(adherence["scores"]).items()),
        agreement=_figure(adherence["agreement"]),
        gain=_figure(adherence["gain"]),
        gain_interval=_interval(adherence["gain_interval"]),
    )


def _lora_words(use: object) -> str:
    facts = _mapping(use)
    return f"{facts['name']} x {facts['weight']:g} (SHA-256 of its tensors `{facts['hash']}`)"


def _class_line(name: str, value: object) -> str:
    facts = _mapping(value)
    rejected = _mapping(facts["rejected"])
    cells = [name, facts["wanted"], facts["kept"], facts["candidates"]]
    cells += [rejected.get(rule, 0) for rule in REJECTIONS]
    return f"| {' | '.join(str(cell) for cell in cells)} |"


def _score_line(name: str, value: object) -> str:
    facts = _mapping(value)
    score, first = _figure(facts["score"]), _figure(facts["first"])
    return f"| {name.replace('_', ' ')} | {score} | {_interval(facts['interval'])} | {first} |"


def _figure(value: object) -> str:
    return f"{value:.3f}" if isinstance(value, float) else "none"


def _interval(value: object) -> str:
    bounds = _mapping(value)
    if not bounds:
        return "no interval"
    return f"{_figure(bounds['low'])} to {_figure(bounds['high'])}"


def _mapping(value: object) -> Mapping[str, object]:
    return value if isinstance(value, dict) else {}
