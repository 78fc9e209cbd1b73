"""What the captions of a version went through before somebody trains on them."""

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import func, select

from backend.abc.attributes import Label
from backend.finetuning.errors import FinetuningError
from backend.review.caption_sets import get_version, list_caption_sets
from backend.review.states import Origin
from backend.review.views import VersionView
from backend.store.database import Database
from backend.store.review_tables import CaptionSet, CaptionSetEntry, CaptionSetVersion
from backend.store.tables import CorpusImage, CorpusSubset, CorpusSubsetMember


@dataclass(frozen=True)
class ReviewState:
    """The captions of one version by what became of them and by the label of their image.

    `counts` holds those whose image is in the corpus and, where one is named, in the subset;
    `missing` counts those whose image is gone, `outside` those that the subset leaves out.
    """

    version: VersionView
    counts: Mapping[Origin, Mapping[Label, int]]
    missing: int
    outside: int

    @property
    def usable(self) -> int:
        """How many pairs there are to train on."""
        return sum(sum(by_label.values()) for by_label in self.counts.values())


def trainable_sets(db: Database) -> list[str]:
    """The names of the caption sets that there are."""
    return [one.name for one in list_caption_sets(db)]


def review_state(
    db: Database, name: str, version: int | None = None, subset: str | None = None
) -> ReviewState:
    """How the captions of a version were reviewed; the newest version unless one is named.

    Raises:
        ReviewMissingError: there is no such caption set or version.
        FinetuningError: there is no such subset.
    """
    view = get_version(db, name, version)
    entry = CaptionSetEntry
    chosen = (
        select(entry.image_id, entry.origin)
        .join(CaptionSetVersion, CaptionSetVersion.id == entry.version_id)
        .join(CaptionSet, CaptionSet.id == CaptionSetVersion.set_id)
        .where(CaptionSet.name == name, CaptionSetVersion.version == view.version)
        .subquery()
    )
    here = select(chosen.c.origin, CorpusImage.label, func.count()).join(
        CorpusImage, CorpusImage.id == chosen.c.image_id
    )
    grouped = here.group_by(chosen.c.origin, CorpusImage.label)
    with db.session() as session:
        found = session.execute(grouped).all()
        kept = found
        if subset is not None:
            subset_id = session.scalar(select(CorpusSubset.id).where(CorpusSubset.name == subset))
            if subset_id is None:
                raise FinetuningError(f"There is no subset '{subset}': choose another, or none.")
            member = CorpusSubsetMember
            kept = session.execute(
                grouped.join(member, member.image_id == chosen.c.image_id).where(
                    member.subset_id == subset_id
                )
            ).all()
    counts: dict[Origin, dict[Label, int]] = {}
    for origin, label, number in kept:
        counts.setdefault(Origin(origin), {})[Label(label)] = number
    present = sum(number for *_, number in found)
    return ReviewState(
        version=view,
        counts=counts,
        missing=view.captions - present,
        outside=present - sum(number for *_, number in kept),
    )
