"""The one prediction table: one row for each image that a run of a model has scored.

Every classifier, ours or foreign, ends in these columns; every figure is computed from them alone.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from backend.corpus.diagnoses import NO_WORD
from backend.corpus.picture_sets import ARCHIVE_ID
from backend.evaluation.errors import EvaluationError

COLUMNS = ("image_id", "y_true", "score", "model", "run", "seed", "split")
FACTS = ("patient", "lesion", "dataset", "skin_tone", "modality", "site", "age", "sex")
"""What may be known of an image beside its prediction."""
DEFAULTS: Mapping[str, object] = {"model": "model", "run": "1", "seed": None, "split": "test"}
NO_SEED = -1
IMAGE = "image"
"""What is drawn by itself where no patient and no lesion is known."""
FEW = 3
"""Examples that a sentence names."""

Column: TypeAlias = "pd.Series[Any]"
Codes = NDArray[np.int64]
Truth = NDArray[np.bool_]
Scores = NDArray[np.float64]


class Split(StrEnum):
    """What the images were to the run that scored them."""

    TRAIN = "train"
    VALIDATION = "validation"
    TEST = "test"


SPLIT_WORDS: Mapping[str, Split] = {
    "train": Split.TRAIN,
    "training": Split.TRAIN,
    "val": Split.VALIDATION,
    "valid": Split.VALIDATION,
    "validation": Split.VALIDATION,
    "dev": Split.VALIDATION,
    "test": Split.TEST,
    "testing": Split.TEST,
}
LABEL_WORDS: Mapping[str, int] = {
    **dict.fromkeys(("0", "benign", "negative", "no", "false", "n"), 0),
    **dict.fromkeys(("1", "malignant", "positive", "yes", "true", "y"), 1),
}


@dataclass(frozen=True)
class Predictions:
    """Checked rows, as `make_predictions` leaves them.

    `frame` has COLUMNS: image_id, model, run and split are categories, y_true int8 (1 is
    malignant), score float64 within 0 to 1, seed int64 with NO_SEED where none was given. `facts`
    has one row for each category of image_id, in their order, and any of FACTS as text, empty
    where not known.
    """

    frame: pd.DataFrame
    facts: pd.DataFrame


@dataclass(frozen=True)
class Series:
    """One run of one model on one split: arrays of equal length, ordered by image.

    `images` are places in the categories of image_id, that is rows of `Predictions.facts`;
    `y_true` is malignancy.
    """

    model: str
    run: str
    seed: int | None
    images: Codes
    y_true: Truth
    score: Scores

    @property
    def words(self) -> str:
        """How a sentence names it."""
        return f"{self.model}, run {self.run}"


def make_predictions(
    frame: pd.DataFrame,
    facts: pd.DataFrame | None = None,
    *,
    name: str = "the table",
    labels: Mapping[str, int] | None = None,
) -> Predictions:
    """Check rows of any origin; columns of DEFAULTS may be missing, those of FACTS may be there.

    `facts` has the column image_id and some of FACTS. `labels` says what words of y_true mean,
    beside LABEL_WORDS. Rows are named as in a file: the first after the header is row 2.

    Raises:
        EvaluationError: a column is missing, or a cell or a pair of rows cannot be.
    """
    missing = [column for column in COLUMNS[:3] if column not in frame.columns]
    if missing:
        raise EvaluationError(
            f"There is no column {' or '.join(missing)} in {name}: say which of its columns are "
            "image, truth and score."
        )
    if not len(frame):
        raise EvaluationError(f"There is no row in {name}: it has a header only.")
    images = _category(frame["image_id"])
    if (images.cat.codes < 0).any():
        _refuse(images.cat.codes.to_numpy() < 0, "has no image", name, "name the image of each row")
    columns: dict[str, object] = {"image_id": images}
    columns["y_true"] = _truth(frame["y_true"], name, labels or {})
    columns["score"] = _scores(frame["score"], name)
    for column in ("model", "run"):
        columns[column] = _category(_column(frame, column), str(DEFAULTS[column]))
    columns["seed"] = _seeds(_column(frame, "seed"), name)
    columns["split"] = _splits(_column(frame, "split"), name)
    made = pd.DataFrame(columns)
    _require_single(made, name)
    _require_one_truth(made, name)
    known = _facts_in(frame, images, name)
    predictions = Predictions(made, known)
    return predictions if facts is None else with_facts(predictions, facts)


def with_facts(predictions: Predictions, facts: pd.DataFrame) -> Predictions:
    """The same predictions, with what a table of images says of them; it wins over what was known.

    Raises:
        EvaluationError: no image_id, no column of FACTS, or not one image in common.
    """
    if "image_id" not in facts.columns:
        raise EvaluationError("The table of images has no column image_id: say which one it is.")
    columns = [column for column in FACTS if column in facts.columns]
    if not columns:
        raise EvaluationError(
            f"The table of images has none of the columns {', '.join(FACTS)}: rename its columns."
        )
    ids = predictions.frame["image_id"].cat.categories
    keys = _text(facts["image_id"])
    if not keys.isin(ids).any():
        raise EvaluationError(
            "The table of images names none of the images that were scored: check that both use "
            "the same image_id."
        )
    one = facts[columns].set_axis(pd.Index(keys), axis=0)
    one = one[~one.index.duplicated()].reindex(ids)
    merged = predictions.facts.copy()
    for column in columns:
        said = _text(one[column])
        text = said.where(~said.str.casefold().isin(NO_WORD), "").to_numpy()
        if column in merged.columns:
            text = np.where(text == "", merged[column].to_numpy(), text)
        merged[column] = text
    return replace(predictions, facts=merged)


def join(tables: list[Predictions]) -> Predictions:
    """Several tables as one, such as one file a model.

    Raises:
        EvaluationError: a row is in two of them, or they disagree about an image.
    """
    if len(tables) == 1:
        return tables[0]
    frames = []
    for table in tables:
        frame = table.frame.copy()
        for column in ("image_id", "model", "run", "split"):
            frame[column] = frame[column].astype(str)
        for fact in table.facts.columns:
            codes = table.frame["image_id"].cat.codes.to_numpy()
            frame[fact] = table.facts[fact].to_numpy()[codes]
        frames.append(frame)
    return make_predictions(pd.concat(frames, ignore_index=True), name="the tables together")


def split_of(word: str) -> Split:
    """The split that a word names; raises EvaluationError where it names none."""
    split = SPLIT_WORDS.get(word.strip().casefold())
    if split is None:
        raise EvaluationError(f'"{word[:40]}" is no split: it is train, validation or test.')
    return split


def splits_of(predictions: Predictions) -> tuple[Split, ...]:
    """The splits that have rows."""
    return tuple(Split(value) for value in predictions.frame["split"].unique())


def series_of(predictions: Predictions, split: Split = Split.TEST) -> tuple[Series, ...]:
    """Each run of each model on one split, by model and run as they come in the table."""
    frame = predictions.frame
    keys, _, count = _keys(frame)
    keys = np.where(frame["split"].to_numpy() == split.value, keys, -1)
    images = frame["image_id"].cat.codes.to_numpy().astype(np.int64)
    truth = frame["y_true"].to_numpy() == 1
    scores = frame["score"].to_numpy()
    seeds = frame["seed"].to_numpy()
    found = []
    for key in range(count):
        rows = np.flatnonzero(keys == key)
        if not len(rows):
            continue
        rows = rows[np.argsort(images[rows], kind="stable")]
        seed = int(seeds[rows[0]])
        found.append(
            Series(
                model=str(frame["model"].iat[rows[0]]),
                run=str(frame["run"].iat[rows[0]]),
                seed=None if seed == NO_SEED else seed,
                images=images[rows],
                y_true=truth[rows],
                score=scores[rows],
            )
        )
    order = {name: place for place, name in enumerate(frame["model"].cat.categories)}
    return tuple(sorted(found, key=lambda series: order[series.model]))


def clusters_of(predictions: Predictions, images: Codes) -> tuple[Codes, str]:
    """What is drawn together: patients, else lesions, else images; and which of the three.

    An image whose patient is not known stands for itself, or for its lesion. The same patient
    number in two datasets is two patients, but for the ids of the ISIC archive, which are one
    whoever republishes them.
    """
    facts = predictions.facts
    keys = pd.Series(images.astype(str), dtype=object)
    kind = IMAGE
    dataset = facts["dataset"].to_numpy()[images] if "dataset" in facts.columns else ""
    for fact in ("lesion", "patient"):
        if fact in facts.columns:
            values = facts[fact].to_numpy()[images].astype(str)
            named = values != ""
            if named.any():
                own = pd.Series(dataset, index=range(len(images)), dtype=str)
                own = own.where(~_of_archive(values), "")
                keys = keys.where(~named, fact + "\0" + own + "\0" + values)
                kind = fact
    codes, _ = pd.factorize(keys)
    return codes.astype(np.int64), kind


def _of_archive(names: NDArray[np.str_]) -> NDArray[np.bool_]:
    """Which names are ids of the ISIC archive."""
    codes, kinds = pd.factorize(names)
    return np.array([ARCHIVE_ID.fullmatch(str(kind)) is not None for kind in kinds])[codes]


def _keys(frame: pd.DataFrame) -> tuple[Codes, Codes, int]:
    """Which run of which model each row is of, as a number; the seeds; how many there are."""
    seeds, _ = pd.factorize(frame["seed"])
    joined = frame["model"].cat.codes.to_numpy().astype(np.int64)
    joined = joined * len(frame["run"].cat.categories) + frame["run"].cat.codes.to_numpy()
    joined = joined * (int(seeds.max()) + 1) + seeds
    codes, kinds = pd.factorize(joined)
    return codes.astype(np.int64), seeds, len(kinds)


def _column(frame: pd.DataFrame, column: str) -> Column:
    if column in frame.columns:
        return frame[column]
    return pd.Series(DEFAULTS[column], index=frame.index, dtype=object)


def _text(values: Column) -> Column:
    """Text without spaces around it; empty where nothing is."""
    return values.astype(object).where(values.notna(), "").astype(str).str.strip()


def _category(values: Column, default: str | None = None) -> Column:
    """Categories of text in order of appearance; code -1, or `default`, where a cell is empty."""
    codes, kinds = pd.factorize(values)
    words = _text(pd.Series(kinds)).to_numpy()
    if default is not None:
        words = np.where(words == "", default, words)
        if (codes < 0).any():
            codes, words = np.where(codes < 0, len(words), codes), np.append(words, default)
    again, unique = pd.factorize(words)
    if default is None and "" in unique:
        empty = list(unique).index("")
        again = np.where(again == empty, -1, again - (again > empty))
        unique = np.delete(unique, empty)
    # Rows that were empty to begin with have code -1, which must not pick the last word.
    final = np.where(codes < 0, -1, again[codes]) if len(again) else codes
    return _coded(final, unique.tolist(), values.index)


def _coded(codes: Codes, words: list[str], index: "pd.Index[Any]") -> Column:
    values = pd.Categorical.from_codes(codes, categories=pd.Index(words, dtype="str"))
    return pd.Series(values, index=index)


def _truth(values: Column, name: str, labels: Mapping[str, int]) -> NDArray[np.int8]:
    codes, kinds = pd.factorize(values)
    known = {**LABEL_WORDS, **{word.strip().casefold(): value for word, value in labels.items()}}
    words = [str(kind).strip().casefold() for kind in kinds]
    meanings = np.array([known.get(word.removesuffix(".0"), -1) for word in words] + [-1])
    truth = meanings[codes]
    if (truth < 0).any():
        unknown = [str(kind) for kind, meaning in zip(kinds, meanings, strict=False) if meaning < 0]
        said = ", ".join(f'"{word[:40]}"' for word in unknown[:FEW]) or "nothing"
        more = f" and {len(unknown) - FEW:,} more" if len(unknown) > FEW else ""
        raise EvaluationError(
            f"The truth in {name} says {said}{more} (first in row {_first(truth < 0)}): it must be "
            "0 or benign, 1 or malignant, or you say what its words mean."
        )
    return truth.astype(np.int8)


def _scores(values: Column, name: str) -> Scores:
    numbers = pd.to_numeric(values, errors="coerce")
    if not pd.api.types.is_numeric_dtype(values):
        words = _text(values)
        percent = words.str.endswith("%").to_numpy()
        if percent.any():
            bare = pd.to_numeric(words.str.removesuffix("%").str.strip(), errors="coerce")
            numbers = numbers.where(~percent, bare / 100)
    scores = numbers.to_numpy(dtype=np.float64, na_value=np.nan)
    wrong = ~np.isfinite(scores)
    if wrong.any():
        _refuse(wrong, "has no number as its score", name, "score each image or leave its row out")
    outside = (scores < 0) | (scores > 1)
    if outside.any():
        _refuse(
            outside,
            f"has a score outside 0 to 1 (the first is {scores[outside][0]:g})",
            name,
            "give the probability of malignancy; a percentage needs its sign, a logit a sigmoid",
        )
    return scores


def _seeds(values: Column, name: str) -> Codes:
    codes, kinds = pd.factorize(values)
    words = _text(pd.Series(kinds, dtype=object))
    numbers = pd.to_numeric(words.where(words != "", str(NO_SEED)), errors="coerce")
    meanings = np.append(numbers.to_numpy(dtype=np.float64, na_value=np.nan), NO_SEED)
    seeds = meanings[codes]
    wrong = ~np.isfinite(seeds) | (seeds != np.floor(seeds))
    if wrong.any():
        _refuse(wrong, "has no whole number as its seed", name, "correct it or leave it empty")
    return seeds.astype(np.int64)


def _splits(values: Column, name: str) -> Column:
    column = _category(values, str(DEFAULTS["split"]))
    words = [SPLIT_WORDS.get(str(word).casefold()) for word in column.cat.categories]
    if None in words:
        unknown = str(column.cat.categories[words.index(None)])[:40]
        raise EvaluationError(
            f'The split "{unknown}" in {name} is none of train, validation and test: correct it.'
        )
    order = [split.value for split in Split]
    meanings = np.array([order.index(word.value) for word in words if word])
    codes = meanings[column.cat.codes.to_numpy()]
    return _coded(codes, order, values.index)


def _require_single(frame: pd.DataFrame, name: str) -> None:
    keys, _, _ = _keys(frame)
    ids = frame["image_id"]
    rows = keys * len(ids.cat.categories) + ids.cat.codes.to_numpy()
    again = pd.Series(rows).duplicated().to_numpy()
    if not again.any():
        return
    place = int(np.argmax(again))
    same = frame["split"][rows == rows[place]]
    where = "twice" if same.nunique() == 1 else f"in {' and in '.join(sorted(set(same)))}"
    raise EvaluationError(
        f"The image {ids.iat[place]} is {where} in {name} for {frame['model'].iat[place]}, run "
        f"{frame['run'].iat[place]} (row {place + 2}; such rows: {again.sum():,}): one score an "
        "image, a model and a run."
    )


def _require_one_truth(frame: pd.DataFrame, name: str) -> None:
    codes = frame["image_id"].cat.codes.to_numpy()
    truth = frame["y_true"].to_numpy()
    said = np.zeros(len(frame["image_id"].cat.categories), dtype=np.int8)
    said[codes] = truth
    wrong = said[codes] != truth
    if wrong.any():
        image = frame["image_id"].iat[int(np.argmax(wrong))]
        raise EvaluationError(
            f"The image {image} is benign in one row of {name} and malignant in another "
            f"(such images: {len(np.unique(codes[wrong])):,}): all models need the same truth."
        )


def _facts_in(frame: pd.DataFrame, images: Column, name: str) -> pd.DataFrame:
    """The columns of FACTS of the table, one row an image."""
    codes = images.cat.codes.to_numpy()
    ids = images.cat.categories
    facts = pd.DataFrame(index=range(len(ids)))
    for column in FACTS:
        if column not in frame.columns:
            continue
        values = _category(frame[column], "")
        words = np.asarray(values.cat.categories, dtype=object)
        said = np.full(len(ids), -1, dtype=np.int64)
        rows = values.cat.codes.to_numpy().astype(np.int64)
        known = np.array([word.casefold() not in NO_WORD for word in words], dtype=bool)
        named = np.append(known, False)[rows]
        said[codes[named]] = rows[named]
        wrong = named & (said[codes] != rows)
        if wrong.any():
            raise EvaluationError(
                f"The image {ids[codes[int(np.argmax(wrong))]]} has two values of {column} in "
                f"{name}: correct one of them."
            )
        facts[column] = np.append(words, "")[said]
    return facts


def _first(wrong: NDArray[np.bool_]) -> int:
    return int(np.argmax(wrong)) + 2


def _refuse(wrong: NDArray[np.bool_], what: str, name: str, remedy: str) -> None:
    count = int(wrong.sum())
    rows = f" (as do {count - 1:,} of the rows below)" if count > 1 else ""
    raise EvaluationError(f"Row {_first(wrong)} of {name} {what}{rows}: {remedy}.")
