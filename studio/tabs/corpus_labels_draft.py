"""Labels that were chosen on the page but are not applied: one draft a dataset."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from backend.corpus.label_rules import RuleVersion
from backend.corpus.labels import LabelRule, stored_rule

Drafts = Mapping[str, Mapping[str, Any]]
"""What the state of the page holds, by dataset."""


@dataclass(frozen=True)
class LabelDraft:
    """A rule as it is chosen, from version `base` on."""

    base: int
    rule: LabelRule


def draft_of(drafts: Drafts, dataset: str, versions: Sequence[RuleVersion]) -> LabelDraft:
    """What was chosen, or the newest version; a draft whose version is gone is none."""
    kept = drafts.get(dataset)
    if kept is None or kept["base"] not in [one.version for one in versions]:
        return LabelDraft(versions[-1].version, versions[-1].rule)
    return LabelDraft(kept["base"], stored_rule(kept["rule"]))


def with_draft(
    drafts: Drafts, dataset: str, versions: Sequence[RuleVersion], draft: LabelDraft
) -> dict[str, Mapping[str, Any]]:
    """The drafts with another; one that changes nothing is none."""
    others = {name: kept for name, kept in drafts.items() if name != dataset}
    if draft.rule.version == base_of(versions, draft).hash:
        return others
    return others | {dataset: {"base": draft.base, "rule": draft.rule.canonical}}


def base_of(versions: Sequence[RuleVersion], draft: LabelDraft) -> RuleVersion:
    """The version that a draft began from."""
    return next(one for one in versions if one.version == draft.base)
