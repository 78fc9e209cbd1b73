"""Why the counts of a dataset differ from those of the paper, in words."""

from collections.abc import Mapping

from backend.corpus.catalogue import count_left_out_by_dataset
from backend.corpus.exclusions import Reason
from backend.corpus.statistics import TableRow, table_1
from backend.store.database import Database

PAPER_TOTAL = 508_344
"""The images that the paper's text speaks of; the rows of its Table 1 add up to another number."""
REASONS: Mapping[Reason, tuple[str, str]] = {
    Reason.BROKEN: ("broken file", "broken files"),
    Reason.TOO_SMALL: ("too small", "too small"),
    Reason.TOO_LARGE: ("too large", "too large"),
    Reason.REFUSED: ("refused file", "refused files"),
    Reason.DUPLICATE_ROW: ("duplicate row", "duplicate rows"),
    Reason.DUPLICATE_FILE: ("duplicate file", "duplicate files"),
    Reason.DROPPED: ("label dropped by rule", "labels dropped by rule"),
    Reason.NO_IMAGE: ("row without image", "rows without image"),
    Reason.NO_ROW: ("image without row", "images without row"),
    Reason.BAD_ROW: ("bad row", "bad rows"),
}
"""One of a kind, and several."""


def explained_table(db: Database) -> list[tuple[TableRow, str]]:
    """Table 1 for what is here, each row with its difference from the paper in words."""
    left_out: dict[str, dict[Reason, int]] = {}
    for (dataset, reason), count in count_left_out_by_dataset(db).items():
        left_out.setdefault(dataset, {})[reason] = count
    return [(row, difference_words(row, left_out.get(row.dataset, {}))) for row in table_1(db)]


def difference_words(row: TableRow, left_out: Mapping[Reason, int]) -> str:
    """What is other than in the paper, and what the last import left out."""
    here = row.benign + row.malignant
    if not here and not row.test and not left_out:
        return "Not imported."
    if not here and row.test:
        return f"Only its test split is here: {_images(row.test)}."
    words = _comparison(row)
    if left_out:
        words += f" The last import left out {reasons_words(left_out)}."
    elif row.missing > 0:
        words += " The last import left nothing out: the download is a part of the dataset."
    return words


def reasons_words(left_out: Mapping[Reason, int]) -> str:
    """Counts by reason: "3 broken files, 1 row without image"."""
    return ", ".join(f"{count:,} {REASONS[kind][count != 1]}" for kind, count in left_out.items())


def _comparison(row: TableRow) -> str:
    if row.missing > 0:
        return f"{_images(row.missing)} fewer than in the paper."
    if row.missing < 0:
        return f"{_images(-row.missing)} more than in the paper."
    shift = row.benign - row.published.benign
    if not shift:
        return "As in the paper."
    more, less = ("benign", "malignant") if shift > 0 else ("malignant", "benign")
    return f"As many images as in the paper, {abs(shift):,} of them {more} instead of {less}."


def _images(count: int) -> str:
    return "1 image" if count == 1 else f"{count:,} images"
