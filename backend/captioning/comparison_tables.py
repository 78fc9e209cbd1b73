"""A comparison of captioners as CSV for other programs."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import astuple, fields
from pathlib import Path

from backend.captioning.comparison import Comparison, Disagreement
from backend.captioning.errors import CaptioningError
from backend.captioning.findings import Check
from backend.captioning.kappa import Agreement
from backend.exports.rows import csv_line
from backend.files import write_file

AGREEMENT, CAPTIONERS, DISAGREEMENTS = "agreement.csv", "captioners.csv", "disagreements.csv"
_AGREEMENT_HEAD = (
    *("attribute", "images", "raw", "raw_low", "raw_high", "kappa", "kappa_low", "kappa_high"),
    *("only_first", "only_second", "neither"),
)


def comparison_tables(comparison: Comparison) -> Mapping[str, bytes]:
    """Three tables by the name of their file: agreement, captioners, disagreements."""
    tables = {
        AGREEMENT: _agreement_rows(comparison),
        CAPTIONERS: _captioner_rows(comparison),
        DISAGREEMENTS: _disagreement_rows(comparison),
    }
    return {name: b"".join(map(csv_line, rows)) for name, rows in tables.items()}


def write_comparison(comparison: Comparison, folder: Path) -> None:
    """Write the three tables into a new or empty folder.

    Raises:
        CaptioningError: there is something in the folder.
        FileError: the file system refuses.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise CaptioningError(f"{folder} is there and not empty: name a new folder with --csv.")
    for name, table in comparison_tables(comparison).items():
        write_file(folder / name, table)


def _agreement_rows(comparison: Comparison) -> Iterator[Sequence[object]]:
    yield _AGREEMENT_HEAD
    for one in comparison.attributes:
        alone = one.only_first, one.only_second, one.neither
        yield one.attribute, *_figures(one.agreement), *alone


def _figures(agreement: Agreement) -> tuple[object, ...]:
    raw = agreement.raw_interval or (None, None)
    kappa = agreement.kappa_interval or (None, None)
    return agreement.images, agreement.raw, *raw, agreement.kappa, *kappa


def _captioner_rows(comparison: Comparison) -> Iterator[Sequence[object]]:
    checks = [check.value for check in Check]
    yield (
        *("captioner", "version", "model", "prompt", "captions", "unsure", "compared"),
        *("words_mean", "words_median", "words_shortest", "words_longest", *checks),
    )
    for one in (comparison.first, comparison.second):
        version = one.version
        length = astuple(one.length) if one.length else (None,) * 4
        yield (
            *(version.captioner, version.version, version.model, version.prompt),
            *(one.captions, one.unsure, comparison.both, *length),
            *(one.findings.get(check, 0) for check in Check),
        )


def _disagreement_rows(comparison: Comparison) -> Iterator[Sequence[object]]:
    yield tuple(field.name for field in fields(Disagreement))
    for one in comparison.disagreements:
        yield astuple(one)
