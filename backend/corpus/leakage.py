"""What two sets of images share that they must not: patients, lesions, pictures."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from backend.corpus.duplicates import DuplicatePair, Likeness
from backend.corpus.errors import CorpusError
from backend.corpus.pictures import Picture

NamedPictures = tuple[str, Sequence[Picture]]
"""A set: what people call it, and its pictures."""
EXAMPLES = 3


class LeakageError(CorpusError):
    """Two sets share what they must not, and the settings say to stop there."""


@dataclass(frozen=True)
class Leakage:
    """What the sets `first` and `second` share.

    `same` are image ids that are in both. Of each pair one image is of the first set and the
    other of the second.
    """

    first: str
    second: str
    first_images: int
    second_images: int
    same: tuple[str, ...]
    patients: tuple[str, ...]
    lesions: tuple[str, ...]
    exact: tuple[DuplicatePair, ...]
    near: tuple[DuplicatePair, ...]

    @property
    def clean(self) -> bool:
        """Whether nothing is shared."""
        return not (self.same or self.patients or self.lesions or self.exact or self.near)

    @property
    def pairs(self) -> tuple[DuplicatePair, ...]:
        """The pairs, identical pictures first."""
        return self.exact + self.near

    def without(self, dismissed: Collection[tuple[str, str]]) -> "Leakage":
        """The same without pairs that a person has dismissed."""
        exact, near = (
            tuple(pair for pair in pairs if pair.ids not in dismissed)
            for pairs in (self.exact, self.near)
        )
        return replace(self, exact=exact, near=near)

    @property
    def summary(self) -> str:
        """The finding in one plain sentence or two."""
        sets = f"{self.first} ({self.first_images:,} images) and {self.second} "
        sets += f"({self.second_images:,} images)"
        if self.clean:
            return f"{sets} share no known patient, no known lesion and no picture."
        found = (
            (len(self.same), "image", "images"),
            (len(self.patients), "patient", "patients"),
            (len(self.lesions), "lesion", "lesions"),
            (len(self.exact), "pair of identical pictures", "pairs of identical pictures"),
            (len(self.near), "pair of near-duplicates", "pairs of near-duplicates"),
        )
        parts = [f"{n:,} {one if n == 1 else many}" for n, one, many in found if n]
        said = parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
        return (
            f"{sets} share {said}. A model trained on one and scored on the other looks better "
            "than it is: remove these from one of them."
        )


def find_leakage(
    first: NamedPictures,
    second: NamedPictures,
    pairs: Iterable[DuplicatePair],
    *,
    dismissed: Collection[tuple[str, str]] = frozenset(),
) -> Leakage:
    """What two named sets share; `pairs` are duplicates found among or between them.

    Pairs whose ids are `dismissed` do not count, nor do pairs within one set.
    """
    (first_name, first_pictures), (second_name, second_pictures) = first, second
    ids = [{picture.image_id for picture in side} for side in (first_pictures, second_pictures)]
    crossing = [
        pair for pair in pairs if pair.ids not in dismissed and _crosses(pair, ids[0], ids[1])
    ]
    return Leakage(
        first=first_name,
        second=second_name,
        first_images=len(ids[0]),
        second_images=len(ids[1]),
        same=tuple(sorted(ids[0] & ids[1])),
        patients=_shared(first_pictures, second_pictures, "patient_id"),
        lesions=_shared(first_pictures, second_pictures, "lesion_id"),
        exact=tuple(pair for pair in crossing if pair.likeness is not Likeness.NEAR),
        near=tuple(pair for pair in crossing if pair.likeness is Likeness.NEAR),
    )


def require_clean(
    leakage: Leakage,
    setting: Literal["report", "refuse"],
    names: Mapping[str, str] | None = None,
    remedy: str = "set DERMAFLUX_LEAKAGE=report",
) -> None:
    """Stop where the sets share something and the setting says to refuse.

    `names` are what people call the images, by id; without a name the id stands. `remedy` says
    where the setting is made.

    Raises:
        LeakageError: what they share, the first pairs by name, and how to go on.
    """
    if setting == "refuse" and not leakage.clean:
        raise LeakageError(
            f"{leakage.summary}{_examples(leakage, names or {})} To go on in spite of it, {remedy}."
        )


def _examples(leakage: Leakage, names: Mapping[str, str]) -> str:
    """The first pairs, or images that are on both sides, in words."""
    said = [
        f"{names.get(pair.first, pair.first)} and {names.get(pair.second, pair.second)} "
        f"({pair.transform})"
        for pair in leakage.pairs[:EXAMPLES]
    ]
    said += [f"{names.get(one, one)} in both" for one in leakage.same[: EXAMPLES - len(said)]]
    if not said:
        return ""
    left = len(leakage.pairs) + len(leakage.same) - len(said)
    more = f"; {left:,} more are in the report" if left else ""
    return f" These are {'; '.join(said)}{more}."


def _crosses(pair: DuplicatePair, first: set[str], second: set[str]) -> bool:
    a, b = pair.ids
    return (a in first and b in second) or (a in second and b in first)


def _shared(
    first: Sequence[Picture],
    second: Sequence[Picture],
    field: Literal["patient_id", "lesion_id"],
) -> tuple[str, ...]:
    values = [{getattr(picture, field) for picture in side} for side in (first, second)]
    return tuple(sorted(value for value in values[0] & values[1] if value))
