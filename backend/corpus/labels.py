"""From a diagnosis to benign, malignant or dropped: one rule a dataset, never a global one."""

import hashlib
import json
from dataclasses import asdict, dataclass

from backend.abc.attributes import Label
from backend.corpus.diagnoses import NO_WORD

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
    def version(self) -> str:
        """Changes with the rule; images carry it."""
        text = json.dumps(asdict(self), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:12]


@dataclass(frozen=True)
class Ruling:
    """A label, or why there is none."""

    label: Label | None
    why: str = ""


def rule_on(rule: LabelRule, diagnosis: str, target: str) -> Ruling:
    """What a rule makes of a diagnosis and of the dataset's own target."""
    if diagnosis in rule.dropped:
        return Ruling(None, f"{_words(diagnosis)} is dropped by the rule of this dataset")
    if diagnosis in rule.malignant:
        return Ruling(Label.MALIGNANT)
    if diagnosis in rule.benign:
        return Ruling(Label.BENIGN)
    if rule.by_target and target:
        label = _TARGETS.get(target.casefold())
        if label is not None:
            return Ruling(label)
        return Ruling(None, f"{target.casefold()} is neither benign nor malignant")
    if diagnosis in NO_WORD:
        return Ruling(None, "no diagnosis is given")
    return Ruling(None, f"the rule of this dataset does not know {_words(diagnosis)}")


def _words(diagnosis: str) -> str:
    return diagnosis.replace("_", " ")
