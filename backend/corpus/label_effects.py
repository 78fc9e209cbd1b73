"""What a rule would do to the counts of a dataset, said before it is applied.

Diagnosis, own label and label are the same for all images of a cell, so that the counting cells
answer for half a million images.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from difflib import get_close_matches

from sqlalchemy import func, select, tuple_
from sqlalchemy.orm import Session

from backend.abc.attributes import Label
from backend.corpus.diagnoses import WORDS
from backend.corpus.errors import CorpusError
from backend.corpus.label_rules import list_versions, newest_version
from backend.corpus.labels import LabelRule, diagnosis_words, rule_on
from backend.corpus.rule_editing import Choice, checked_rule, choice_of, listed
from backend.store.database import Database
from backend.store.tables import (
    CorpusCell,
    CorpusDropped,
    CorpusImage,
    CorpusSubset,
    CorpusSubsetMember,
)

NAMED = 5
"""Members of a subset that are named where they would be dropped."""


@dataclass(frozen=True)
class Tally:
    """Images by what becomes of them."""

    benign: int = 0
    malignant: int = 0
    dropped: int = 0

    @property
    def total(self) -> int:
        """All images."""
        return self.benign + self.malignant + self.dropped

    @property
    def words(self) -> str:
        """The counts that are not 0, for people."""
        parts = {"benign": self.benign, "malignant": self.malignant, "dropped": self.dropped}
        said = [f"{count:,} {name}" for name, count in parts.items() if count]
        return ", ".join(said) or "no images"


@dataclass(frozen=True)
class DiagnosisEffect:
    """What becomes of the images with a diagnosis, and what both rules say of it."""

    diagnosis: str
    before: Tally
    after: Tally
    choice_before: Choice
    choice_after: Choice


@dataclass(frozen=True)
class SubsetEffect:
    """Members of a named subset that change: it keeps them all, and finds only those labelled.

    `names` are those of a few of the dropped, in their dataset.
    """

    name: str
    relabelled: int
    dropped: int
    restored: int
    names: tuple[str, ...] = ()

    @property
    def words(self) -> str:
        """What changes, for people."""
        more = self.dropped - len(self.names)
        named = ", ".join(self.names) + (f" and {more:,} more" if more else "")
        parts = [
            f"{self.relabelled:,} get another label" if self.relabelled else "",
            f"{self.dropped:,} are dropped ({named})" if self.dropped else "",
            f"{self.restored:,} come back" if self.restored else "",
        ]
        return ", ".join(part for part in parts if part)


@dataclass(frozen=True)
class LabelEffect:
    """The effect of a rule, from version `base` on; `moved` images get another label or none."""

    dataset: str
    base: int
    rule: LabelRule
    diagnoses: tuple[DiagnosisEffect, ...]
    subsets: tuple[SubsetEffect, ...]
    moved: int

    @property
    def before(self) -> Tally:
        """The whole dataset now."""
        return _sum(one.before for one in self.diagnoses)

    @property
    def after(self) -> Tally:
        """The whole dataset under the rule."""
        return _sum(one.after for one in self.diagnoses)


@dataclass(frozen=True)
class _Group:
    """Images that share all that a rule looks at, and their label now."""

    diagnosis: str
    target: str
    label: Label | None
    images: int
    subset: str = field(default="", compare=False)


def labelled_datasets(db: Database) -> list[str]:
    """The datasets that have images, labelled or dropped, by name."""
    with db.session() as session:
        names = {*session.scalars(select(CorpusCell.dataset).distinct())}
        names |= {*session.scalars(select(CorpusDropped.dataset).distinct())}
    return sorted(names)


def preview(db: Database, dataset: str, rule: LabelRule | None = None) -> LabelEffect:
    """What a rule would change; without one, the labels as the newest rule has them.

    Raises:
        CorpusError: there is no such dataset, or the rule is empty or names what nobody knows.
    """
    newest = newest_version(db, dataset)
    wanted = newest.rule if rule is None else checked_rule(rule)
    with db.session() as session:
        groups = _groups(session, dataset)
    if not groups:
        raise CorpusError(f"No image of {dataset} is in the catalogue: import it first.")
    if rule is not None:
        _require_known(db, dataset, rule, {group.diagnosis for group in groups})
    moved = [group for group in groups if _after(wanted, group) is not group.label]
    with db.session() as session:
        subsets = _subset_effects(session, dataset, wanted, moved) if moved else ()
    return LabelEffect(
        dataset=dataset,
        base=newest.version,
        rule=wanted,
        diagnoses=_diagnoses(groups, newest.rule, wanted),
        subsets=subsets,
        moved=sum(group.images for group in moved),
    )


def _after(rule: LabelRule, group: _Group) -> Label | None:
    return rule_on(rule, group.diagnosis, group.target).label


def _groups(session: Session, dataset: str) -> list[_Group]:
    cells = (
        select(
            CorpusCell.diagnosis, CorpusCell.target, CorpusCell.label, func.sum(CorpusCell.images)
        )
        .where(CorpusCell.dataset == dataset)
        .group_by(CorpusCell.diagnosis, CorpusCell.target, CorpusCell.label)
    )
    dropped = (
        select(CorpusDropped.diagnosis, CorpusDropped.target, func.count())
        .where(CorpusDropped.dataset == dataset)
        .group_by(CorpusDropped.diagnosis, CorpusDropped.target)
    )
    groups = [_Group(*values) for values in session.execute(cells)]
    for diagnosis, target, images in session.execute(dropped):
        groups.append(_Group(diagnosis, target, None, images))
    return groups


def _diagnoses(
    groups: Iterable[_Group], old: LabelRule, new: LabelRule
) -> tuple[DiagnosisEffect, ...]:
    """Those with most images first; what a rule lists but no image has comes last."""
    before: dict[str, list[tuple[Label | None, int]]] = defaultdict(list)
    after: dict[str, list[tuple[Label | None, int]]] = defaultdict(list)
    for group in groups:
        before[group.diagnosis].append((group.label, group.images))
        after[group.diagnosis].append((_after(new, group), group.images))
    named = {*before, *listed(old), *listed(new)}
    effects = [
        DiagnosisEffect(
            diagnosis=one,
            before=_tally(before[one]),
            after=_tally(after[one]),
            choice_before=choice_of(old, one),
            choice_after=choice_of(new, one),
        )
        for one in named
    ]
    return tuple(sorted(effects, key=lambda one: (-one.before.total, one.diagnosis)))


def _tally(counted: Iterable[tuple[Label | None, int]]) -> Tally:
    sums = dict.fromkeys((*Label, None), 0)
    for label, images in counted:
        sums[label] += images
    return Tally(sums[Label.BENIGN], sums[Label.MALIGNANT], sums[None])


def _sum(tallies: Iterable[Tally]) -> Tally:
    parts = [(one.benign, one.malignant, one.dropped) for one in tallies]
    return Tally(*(sum(column) for column in zip(*parts, strict=True))) if parts else Tally()


def _subset_effects(
    session: Session, dataset: str, rule: LabelRule, moved: Iterable[_Group]
) -> tuple[SubsetEffect, ...]:
    diagnoses = sorted({group.diagnosis for group in moved})
    counts: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for group in _member_groups(session, dataset, diagnoses):
        after = _after(rule, group)
        if after is not group.label:
            kind = "relabelled" if after and group.label else "restored" if after else "dropped"
            counts[group.subset][kind] += group.images
    lost = [(one.diagnosis, one.target) for one in moved if _after(rule, one) is None]
    return tuple(
        SubsetEffect(
            name=name,
            relabelled=kinds["relabelled"],
            dropped=kinds["dropped"],
            restored=kinds["restored"],
            names=_names(session, dataset, name, lost) if kinds["dropped"] else (),
        )
        for name, kinds in sorted(counts.items())
    )


def _member_groups(session: Session, dataset: str, diagnoses: list[str]) -> list[_Group]:
    """Members by subset; the cells are joined here, which is much faster than in the database."""
    here = (CorpusCell.dataset == dataset, CorpusCell.diagnosis.in_(diagnoses))
    cells = {cell.id: cell for cell in session.scalars(select(CorpusCell).where(*here))}
    labelled = (
        select(CorpusSubsetMember.subset_id, CorpusImage.cell, func.count())
        .join_from(CorpusImage, CorpusSubsetMember, CorpusSubsetMember.image_id == CorpusImage.id)
        .where(CorpusImage.cell.in_(select(CorpusCell.id).where(*here)))
        .group_by(CorpusSubsetMember.subset_id, CorpusImage.cell)
    )
    keys = (CorpusSubsetMember.subset_id, CorpusDropped.diagnosis, CorpusDropped.target)
    dropped = (
        select(*keys, func.count())
        .join_from(
            CorpusDropped, CorpusSubsetMember, CorpusSubsetMember.image_id == CorpusDropped.id
        )
        .where(CorpusDropped.dataset == dataset, CorpusDropped.diagnosis.in_(diagnoses))
        .group_by(*keys)
    )
    names = {subset.id: subset.name for subset in session.scalars(select(CorpusSubset))}
    groups = []
    for subset, key, images in session.execute(labelled) if names else ():
        cell = cells[key]
        groups.append(_Group(cell.diagnosis, cell.target, cell.label, images, names[subset]))
    for subset, diagnosis, target, images in session.execute(dropped) if names else ():
        groups.append(_Group(diagnosis, target, None, images, names[subset]))
    return groups


def _names(
    session: Session, dataset: str, subset: str, lost: list[tuple[str, str]]
) -> tuple[str, ...]:
    statement = (
        select(CorpusImage.source_id)
        .join(CorpusSubsetMember, CorpusSubsetMember.image_id == CorpusImage.id)
        .join(CorpusSubset, CorpusSubset.id == CorpusSubsetMember.subset_id)
        .where(
            CorpusSubset.name == subset,
            CorpusImage.dataset == dataset,
            tuple_(CorpusImage.diagnosis, CorpusImage.target).in_(lost),
        )
        .order_by(CorpusSubsetMember.position)
        .limit(NAMED)
    )
    return tuple(session.scalars(statement))


def _require_known(db: Database, dataset: str, rule: LabelRule, here: set[str]) -> None:
    known = {*here, *WORDS, *(one for v in list_versions(db, dataset) for one in listed(v.rule))}
    for one in listed(rule):
        if one not in known:
            near = get_close_matches(one, known, n=1)
            hint = f" (did you mean {near[0]}?)" if near else ""
            raise CorpusError(
                f"No image of {dataset} has the diagnosis {diagnosis_words(one)}{hint}: "
                f"`corpus labels show {dataset}` lists those that there are."
            )
