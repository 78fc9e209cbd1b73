"""Label rules as people edit them: one choice a diagnosis, a file of JSON, what differs."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from backend.corpus.diagnoses import diagnosis_of
from backend.corpus.errors import CorpusError
from backend.corpus.labels import LISTS, LabelRule, diagnosis_words


class Choice(StrEnum):
    """What a rule says of a diagnosis; the values but the last are its lists."""

    BENIGN = "benign"
    MALIGNANT = "malignant"
    DROPPED = "dropped"
    UNLISTED = "unlisted"  # the dataset's own label where the rule reads it, else dropped


@dataclass(frozen=True)
class RuleChange:
    """A diagnosis of which two rules say different things."""

    diagnosis: str
    before: Choice
    after: Choice


class _RuleFile(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    malignant: list[str] = []
    benign: list[str] = []
    dropped: list[str] = []
    by_target: bool = False


def choice_of(rule: LabelRule, diagnosis: str) -> Choice:
    """What the rule says of a diagnosis; in two lists, dropped goes before malignant."""
    for choice in (Choice.DROPPED, Choice.MALIGNANT, Choice.BENIGN):
        if diagnosis in getattr(rule, choice):
            return choice
    return Choice.UNLISTED


def choice_words(choice: Choice, *, by_target: bool) -> str:
    """The choice for people."""
    if choice is not Choice.UNLISTED:
        return choice.value.capitalize()
    return "As the dataset says" if by_target else "Not listed (dropped)"


def with_choice(rule: LabelRule, diagnosis: str, choice: Choice) -> LabelRule:
    """The rule with another word on one diagnosis."""
    lists = {
        name: tuple(one for one in getattr(rule, name) if one != diagnosis)
        + ((diagnosis,) if name == choice else ())
        for name in LISTS
    }
    return LabelRule(**lists, by_target=rule.by_target)


def with_choices(rule: LabelRule, choices: Mapping[str, str]) -> LabelRule:
    """The rule with other words on diagnoses, both as people write them.

    Raises:
        CorpusError: a word is no choice.
    """
    for given, wanted in choices.items():
        if wanted not in tuple(Choice):
            raise CorpusError(
                f"'{wanted}' is no label for {given}: use one of {', '.join(Choice)}."
            )
        rule = with_choice(rule, diagnosis_of([given])[0], Choice(wanted))
    return rule


def listed(rule: LabelRule) -> list[str]:
    """Every diagnosis that the rule names."""
    return sorted({diagnosis for name in LISTS for diagnosis in getattr(rule, name)})


def rule_changes(before: LabelRule, after: LabelRule) -> list[RuleChange]:
    """The diagnoses of which the rules say different things, by name."""
    named = sorted({*listed(before), *listed(after)})
    pairs = ((one, choice_of(before, one), choice_of(after, one)) for one in named)
    return [RuleChange(*pair) for pair in pairs if pair[1] is not pair[2]]


def change_words(before: LabelRule, after: LabelRule) -> str:
    """What differs between two rules, in one line; empty where nothing does."""
    parts = [
        f"{diagnosis_words(one.diagnosis)}: {one.before} to {one.after}"
        for one in rule_changes(before, after)
    ]
    if before.by_target != after.by_target:
        what = "as the dataset says" if after.by_target else "dropped"
        parts.append(f"what is not listed: {what}")
    return ", ".join(parts)


def read_rule(data: bytes | str, place: str) -> LabelRule:
    """A rule from JSON with the fields of LabelRule; codes and phrases become diagnoses.

    Raises:
        CorpusError: it is no JSON, a field is wrong, or a diagnosis stands in two lists.
    """
    try:
        values: Any = json.loads(data)
    except ValueError as error:
        raise CorpusError(
            f"The rule {place} is no JSON ({error}): `corpus labels show DATASET --out FILE` "
            "writes one to begin with."
        ) from error
    try:
        file = _RuleFile.model_validate(values)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        field = ".".join(str(part) for part in first["loc"]) or "whole"
        raise CorpusError(
            f"The rule {place} cannot be used: {field}: {first['msg']}. It has the lists "
            f"{', '.join(LISTS)} and by_target."
        ) from error
    return checked_rule(
        LabelRule(**{name: _words(getattr(file, name)) for name in LISTS}, by_target=file.by_target)
    )


def rule_text(rule: LabelRule) -> str:
    """The rule as `read_rule` reads it, to be edited."""
    return json.dumps(json.loads(rule.canonical), indent=2) + "\n"


def checked_rule(rule: LabelRule) -> LabelRule:
    """The rule, if it labels anything and says one thing of each diagnosis.

    Raises:
        CorpusError: naming the diagnosis, or that the rule is empty.
    """
    counts = Counter(one for name in LISTS for one in set(getattr(rule, name)))
    twice = [diagnosis_words(one) for one, count in counts.items() if count > 1]
    if twice:
        raise CorpusError(
            f"The rule has {', '.join(sorted(twice))} in two lists: keep each diagnosis in one."
        )
    if not (rule.malignant or rule.benign or rule.by_target):
        raise CorpusError(
            "This rule is empty, so that it would drop every image: list a diagnosis as benign or "
            "malignant, or let the dataset's own label count (by_target)."
        )
    return rule


def _words(given: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(diagnosis_of([one])[0] for one in given))
