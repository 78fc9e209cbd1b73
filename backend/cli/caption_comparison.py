"""`captions compare`: two captioners beside each other."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from backend.cli.output import JsonOption, aligned, emit
from backend.cli.workspace import open_workspace

if TYPE_CHECKING:
    from backend.captioning.comparison import (
        AttributeAgreement,
        Comparison,
        Described,
        Disagreement,
    )

SHOWN_CHARACTERS = 100


def compare(
    first: Annotated[str, typer.Argument(help="As `captions version` takes it.")],
    second: Annotated[str, typer.Argument(help="The other one.")],
    subset: Annotated[str | None, typer.Option(help="Of `corpus subset list`.")] = None,
    dataset: Annotated[str | None, typer.Option(help="Of `corpus list`.")] = None,
    csv: Annotated[
        Path | None, typer.Option(help="A new folder for agreement, findings, disagreements.")
    ] = None,
    show: Annotated[int, typer.Option(min=0, help="Disagreements to print.")] = 10,
    as_json: JsonOption = False,
) -> None:
    """Compare two captioners on the images that both have described.

    Example: python -m backend captions compare measured transformers --dataset ham10000
    """
    from backend.captioning.comparison import compare_captions
    from backend.captioning.comparison_tables import write_comparison
    from backend.captioning.versions import find_version

    with open_workspace() as (settings, database):
        found = compare_captions(
            database,
            settings,
            find_version(database, first),
            find_version(database, second),
            subset=subset,
            dataset=dataset,
        )
    if csv is not None:
        write_comparison(found, csv)
    emit(found, as_json, _lines(found, show))


def _lines(comparison: Comparison, show: int) -> list[str]:
    """What a person reads, with the first `show` disagreements."""
    first, second = comparison.first, comparison.second
    counts = f"{comparison.images:,} images, {comparison.both:,} described by both"
    lines = [
        f"{counts}, of {comparison.patients:,} patients or lesions",
        f"A  {_described(first)}",
        f"B  {_described(second)}",
        "",
    ]
    head = ("ATTRIBUTE", "BOTH SAY IT", "ALIKE", "KAPPA", "ONLY A", "ONLY B")
    lines += aligned(head, map(_attribute, comparison.attributes))
    found = aligned(("FINDING", "A", "B"), _findings(comparison))
    lines += ["", *found, "", f"{len(comparison.disagreements):,} disagreements"]
    for one in comparison.disagreements[:show]:
        lines += _disagreement(one)
    return lines


def _attribute(one: AttributeAgreement) -> tuple[str, ...]:
    agreement = one.agreement
    return (
        _plain(one.attribute),
        f"{agreement.images:,}",
        _with_interval(agreement.raw, agreement.raw_interval),
        _with_interval(agreement.kappa, agreement.kappa_interval),
        f"{one.only_first:,}",
        f"{one.only_second:,}",
    )


def _disagreement(one: Disagreement) -> list[str]:
    where = f"{one.dataset} {one.source_id}, {_plain(one.attribute)}"
    return [
        f"{where}: A {_plain(one.first)}, B {_plain(one.second)}",
        f"  A  {one.first_caption[:SHOWN_CHARACTERS]}",
        f"  B  {one.second_caption[:SHOWN_CHARACTERS]}",
    ]


def _plain(value: str) -> str:
    return value.replace("_", " ")


def _findings(comparison: Comparison) -> Iterator[tuple[str, ...]]:
    from backend.captioning.findings import Check

    for check in Check:
        counts = [one.findings.get(check, 0) for one in (comparison.first, comparison.second)]
        if any(counts):
            yield check.words, *(f"{count:,}" for count in counts)


def _described(one: Described) -> str:
    length = one.length
    words = f", {length.mean:.1f} words a caption (median {length.median:g})" if length else ""
    return (
        f"{one.version.reference}: {one.captions:,} captions, {one.unsure:,} images unsure{words}"
    )


def _with_interval(value: float | None, interval: tuple[float, float] | None) -> str:
    if value is None:
        return "-"
    return f"{value:.2f}" + (f" ({interval[0]:.2f} to {interval[1]:.2f})" if interval else "")
