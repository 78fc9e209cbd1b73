"""Scorers that are not trained here: models of open_clip, and the measured ABCD rule.

A task is a folder like that of a cell, with `scoring.json` in the place of `task.json`.
"""

import hashlib
import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError

from backend.abc.measure import METER_EDITION, MeasureError, measure
from backend.abc.score import SUSPICIOUS_ABOVE, partial_abcd
from backend.evaluation.errors import EvaluationError
from backend.evaluation.grid import ZeroShot
from backend.evaluation.pools import LabelledPicture
from backend.evaluation.prompts import PromptSet
from backend.files import read_file, write_file
from backend.images import read_image, resize

SCORING = "scoring.json"
WEIGHTS = "open_clip_model.safetensors"
RULE = "ABCD rule, measured"
RULE_SIDE = 256
UNDECIDED = 0.5


class ScoredImage(BaseModel):
    """A picture to be scored."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    image_id: str
    path: Path
    malignant: bool
    split: str


class ScoringTask(BaseModel):
    """A folder of open_clip, what its images are compared with, and the images."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str
    folder: Path
    prompts: PromptSet
    images: tuple[ScoredImage, ...]


def scored_images(
    validation: Sequence[LabelledPicture], test: Sequence[LabelledPicture]
) -> tuple[ScoredImage, ...]:
    """The pictures of both splits as a scorer gets them."""
    return tuple(
        ScoredImage(
            image_id=one.picture.image_id,
            path=one.picture.path,
            malignant=one.malignant,
            split=split,
        )
        for split, labelled in (("validation", validation), ("test", test))
        for one in labelled
    )


def write_scoring(
    root: Path, model: ZeroShot, prompts: PromptSet, images: tuple[ScoredImage, ...]
) -> Path:
    """The folder of a task, named by what decides its scores.

    Raises:
        EvaluationError: the folder of the model is not there.
        FileError: it cannot be written.
    """
    weights = model.folder.expanduser().absolute() / WEIGHTS
    if not weights.is_file():
        raise EvaluationError(
            f"{model.name} is not in {model.folder}: a folder with open_clip_config.json and "
            f"{WEIGHTS} has to lie there, or leave the model out."
        )
    state = weights.stat()
    task = ScoringTask(model=model.name, folder=weights.parent, prompts=prompts, images=images)
    facts = [str(weights), state.st_size, state.st_mtime_ns, prompts.model_dump(mode="json")]
    folder = root / _key(facts, images)
    write_file(folder / SCORING, task.model_dump_json().encode())
    return folder


def read_scoring(folder: Path) -> ScoringTask:
    """The task of a folder.

    Raises:
        EvaluationError: it is damaged.
        FileError: it is gone.
    """
    try:
        return ScoringTask.model_validate_json(read_file(folder / SCORING))
    except ValidationError as error:
        raise EvaluationError(
            f"The task {folder.name} cannot be read: run it once more."
        ) from error


def score_frame(task: ScoringTask, run: str, scores: NDArray[np.float64]) -> pd.DataFrame:
    """Rows of the one prediction table."""
    return frame_of(task.model, run, task.images, scores)


def rule_folder(root: Path, images: tuple[ScoredImage, ...]) -> Path:
    """Where the scores of the rule lie for these images."""
    return root / _key(["rule", METER_EDITION, RULE_SIDE], images)


def score_by_rule(
    images: Sequence[ScoredImage], step: Callable[[int], None]
) -> NDArray[np.float64]:
    """The measured part of Stolz' score, as a probability: 0.5 where it calls a lesion suspicious.

    What A, B and C leave open counts by the middle of its range. An image without a lesion that can
    be measured is undecided.

    Raises:
        ImageError: a picture cannot be read.
        Whatever `step` raises; it gets the number of scored images.
    """
    scores = np.full(len(images), UNDECIDED)
    for index, one in enumerate(images):
        try:
            measured = measure(resize(read_image(one.path), RULE_SIDE))
        except MeasureError:
            continue
        points = partial_abcd(measured.attributes) if measured.found else None
        if points is not None:
            middle = (points.total.low + points.total.high) / 2
            scores[index] = 1 / (1 + math.exp(SUSPICIOUS_ABOVE - middle))
        step(index + 1)
    return scores


def frame_of(
    model: str, run: str, images: Sequence[ScoredImage], scores: NDArray[np.float64]
) -> pd.DataFrame:
    """Rows of the one prediction table; a scorer has no seed, which counts as 0."""
    return pd.DataFrame(
        {
            "image_id": [one.image_id for one in images],
            "y_true": [int(one.malignant) for one in images],
            "score": scores,
            "model": model,
            "run": run,
            "seed": 0,
            "split": [one.split for one in images],
        }
    )


def _key(facts: Sequence[object], images: Sequence[ScoredImage]) -> str:
    digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode())
    for one in images:
        state = one.path.stat()
        row = (one.image_id, one.malignant, one.split, state.st_size, state.st_mtime_ns)
        digest.update(json.dumps(row).encode())
    return digest.hexdigest()[:24]
