"""From a diagnosis to benign, malignant or dropped: one rule a dataset, never a global one."""

import hashlib
import json
from dataclasses import dataclass

from backend.abc.attributes import Label
from backend.corpus.diagnoses import NO_WORD

NO_DIAGNOSIS = "no diagnosis"
LISTS = ("malignant", "benign", "dropped")
_TARGETS = {
    **dict.fromkeys(("1", "1.0", "true", "malignant", "yes"), Label.MALIGNANT),
    **dict.fromkeys(("0", "0.0", "false", "benign", "no"), Label.BENIGN),
}


@dataclass(frozen=True)
class LabelRule:
    """Diagnoses by what becomes of them; one that is not listed is asked of the dataset's target.

    `by_target` reads the dataset's own benign/malignant column (or folder) for those.
    """

    malignant: tuple[str, ...] = ()
    benign: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()
    by_target: bool = False

    @property
    def canonical(self) -> str:
        """The rule as JSON: the same for rules that differ only in the order of diagnoses."""
        lists = {name: sorted(set(getattr(self, name))) for name in LISTS}
        return json.dumps({**lists, "by_target": self.by_target}, sort_keys=True)

    @property
    def version(self) -> str:
        """Changes with the rule; images carry it."""
        return hashlib.sha256(self.canonical.encode()).hexdigest()[:12]


def stored_rule(canonical: str) -> LabelRule:
    """The rule whose `canonical` this is."""
    values = json.loads(canonical)
    lists = {name: tuple(values[name]) for name in LISTS}
    return LabelRule(**lists, by_target=values["by_target"])


@dataclass(frozen=True)
class Ruling:
    """A label, or why there is none."""

    label: Label | None
    why: str = ""


def rule_on(rule: LabelRule, diagnosis: str, target: str) -> Ruling:
    """What a rule makes of a diagnosis and of the dataset's own target."""
    if diagnosis in rule.dropped:
        words = diagnosis_words(diagnosis)
        return Ruling(None, f"{words} is dropped by the rule of this dataset")
    if diagnosis in rule.malignant:
        return Ruling(Label.MALIGNANT)
    if diagnosis in rule.benign:
        return Ruling(Label.BENIGN)
    if rule.by_target and target:
        own = own_label(target)
        if own in tuple(Label):
            return Ruling(Label(own))
        return Ruling(None, f"{own} is neither benign nor malignant")
    if diagnosis in NO_WORD:
        return Ruling(None, "no diagnosis is given")
    return Ruling(None, f"the rule of this dataset does not know {diagnosis_words(diagnosis)}")


def own_label(target: str) -> str:
    """A dataset's target as benign or malignant, else in its own words, lower case."""
    text = target.casefold()
    label = _TARGETS.get(text)
    return text if label is None else label.value


def diagnosis_words(diagnosis: str) -> str:
    """A diagnosis for people."""
    return diagnosis.replace("_", " ") or NO_DIAGNOSIS
