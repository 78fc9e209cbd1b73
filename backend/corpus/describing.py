"""Filters and subsets of the corpus in words."""

from collections.abc import Iterable, Mapping
from typing import Any

from backend.abc.attributes import Label
from backend.corpus.queries import CorpusFilter
from backend.corpus.sources import SOURCES

NOT_SAID = "not said"
FACET_WORDS: Mapping[str, str] = {
    "dataset": "Dataset",
    "label": "Label",
    "diagnosis": "Diagnosis",
    "modality": "Modality",
    "skin_tone": "Skin tone",
    "site": "Site",
    "decade": "Age",
    "sex": "Sex",
    "split": "Split",
    "synthetic": "Origin",
}
MODALITIES = {"tbp": "total body photography", "clinical": "clinical photo"}
SPLITS = {"train": "training split", "test": "test split", "validation": "validation split"}


def dataset_title(dataset: str) -> str:
    """What a dataset of the catalogue is called: its record's title, or the name it was given."""
    source = SOURCES.get(dataset)
    return source.title if source else dataset


def value_words(name: str, value: object) -> str:
    """The value of a facet for people."""
    if name == "synthetic":
        return "synthetic" if value else "real"
    if value in ("", -1, None):
        return NOT_SAID
    if name == "dataset":
        return dataset_title(str(value))
    if name == "decade":
        decade = int(str(value))
        return f"{decade} to {decade + 9}"
    if name in ("skin_tone", "label"):
        return str(getattr(value, "value", value))
    return (MODALITIES | SPLITS).get(str(value), str(value).replace("_", " "))


def filter_words(criteria: CorpusFilter) -> str:
    """A filter in one line: "ISIC 2019, malignant, age 40 to 49"; "all images" without one."""
    return ", ".join(_conditions(criteria)) or "all images"


def filters_words(filters: Iterable[CorpusFilter]) -> str:
    """Several filters of which one has to match; those that differ in the dataset are joined."""
    datasets: dict[tuple[str, ...], list[str]] = {}
    for criteria in filters:
        rest = CorpusFilter(**{**vars(criteria), "dataset": None})
        title = dataset_title(criteria.dataset) if criteria.dataset else ""
        datasets.setdefault(tuple(_conditions(rest)), []).append(title)
    parts = []
    for rest_words, titles in datasets.items():
        named = ", ".join(filter(None, dict.fromkeys(titles)))
        parts.append(": ".join(filter(None, (named, ", ".join(rest_words)))) or "all images")
    return "; ".join(parts)


def recipe_words(recipe: Mapping[str, Any]) -> str:
    """How a subset was chosen."""
    chosen = filters_words(_filter(values) for values in recipe["filters"])
    if recipe["per_label"] is None:
        return f"All images of {chosen}" if chosen != "all images" else "All images"
    each = f"{recipe['per_label']:,} of each label, drawn with seed {recipe['seed']}"
    return f"{each}, from {chosen}"


def _filter(values: Mapping[str, Any]) -> CorpusFilter:
    label = values.get("label")
    return CorpusFilter(**{**values, "label": Label(label) if label else None})


def _conditions(criteria: CorpusFilter) -> list[str]:
    words = []
    for name, value in vars(criteria).items():
        if value is None or (name == "synthetic" and not value):
            continue
        said = value_words(name, value)
        plain = said != NOT_SAID and name not in ("decade", "skin_tone")
        words.append(said if plain else f"{FACET_WORDS[name].lower()} {said}")
    return words
