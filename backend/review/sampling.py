"""Which candidates a set takes, and in which order; the same seed takes the same ones."""

import random
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from backend.abc.attributes import Label
from backend.review.states import Stratum


@dataclass(frozen=True, slots=True)
class Candidate:
    """What may become an item; `rank` orders what is not drawn, lowest first."""

    image_id: str
    caption_id: str | None
    text: str
    label: Label | None
    dataset: str
    source: str
    skin_tone: str
    synthetic: bool = False
    rank: float = 0.0

    def stratum(self, strata: Sequence[Stratum]) -> tuple[str, ...]:
        """The cell of a stratified draw that it belongs to."""
        values = {
            Stratum.LABEL: self.label.value if self.label else "",
            Stratum.DATASET: self.dataset,
            Stratum.SKIN_TONE: self.skin_tone,
        }
        return tuple(values[one] for one in strata)


def drawn(
    candidates: Sequence[Candidate],
    size: int | None,
    strata: Sequence[Stratum],
    *,
    balanced: bool,
    seed: int,
) -> list[Candidate]:
    """A stratified draw in an order of its own; all candidates where no size is given.

    `balanced` takes as equally many from each stratum as it has, otherwise in proportion (largest
    remainders). The draw depends on which candidates there are, not on their order.
    """
    cells: defaultdict[tuple[str, ...], list[Candidate]] = defaultdict(list)
    for one in sorted(candidates, key=lambda one: one.image_id):
        cells[one.stratum(strata)].append(one)
    sizes = {cell: len(members) for cell, members in cells.items()}
    total = len(candidates) if size is None else min(size, len(candidates))
    counts = equal_parts(sizes, total) if balanced else proportional_parts(sizes, total)
    chance = random.Random(f"review:{seed}")  # noqa: S311 - a draw that can be repeated
    chosen = [
        one for cell in sorted(cells) for one in chance.sample(cells[cell], counts.get(cell, 0))
    ]
    chance.shuffle(chosen)
    return chosen


def ranked(candidates: Sequence[Candidate], size: int | None) -> list[Candidate]:
    """By rank, then by image."""
    return sorted(candidates, key=lambda one: (one.rank, one.image_id))[:size]


def equal_parts(sizes: dict[tuple[str, ...], int], total: int) -> dict[tuple[str, ...], int]:
    """As equal as the sizes allow; what is left over goes to the first cells by name."""
    counts = dict.fromkeys(sizes, 0)
    left = min(total, sum(sizes.values()))
    while left:
        growing = [cell for cell in sorted(sizes) if counts[cell] < sizes[cell]]
        step = max(1, left // len(growing))
        for cell in growing:
            more = min(step, sizes[cell] - counts[cell], left)
            counts[cell] += more
            left -= more
    return counts


def proportional_parts(sizes: dict[tuple[str, ...], int], total: int) -> dict[tuple[str, ...], int]:
    """In proportion to the sizes, by largest remainders; ties go to the first by name."""
    whole = sum(sizes.values())
    if not whole:
        return dict.fromkeys(sizes, 0)
    exact = {cell: total * size / whole for cell, size in sizes.items()}
    counts = {cell: int(share) for cell, share in exact.items()}
    order = sorted(sizes, key=lambda cell: (counts[cell] - exact[cell], cell))
    for cell in order[: total - sum(counts.values())]:
        counts[cell] += 1
    return counts
