"""`evaluate images`: how like real images a generated set is, what it shows, what it repeats."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from backend.cli.output import JsonOption, aligned, emit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from backend.evaluation.captioned import SetAdherence
    from backend.evaluation.fidelity import Fidelity
    from backend.evaluation.memorisation import Copy, Neighbour

SHOWN = 20


def register(evaluate: typer.Typer) -> None:
    """Add `images` to `evaluate`."""
    evaluate.command("images")(images)


def images(
    real: Annotated[Path, typer.Option(help="A folder of real images, not trained on.")],
    generated: Annotated[
        list[Path], typer.Option(help="A folder of generated images; several to compare sets.")
    ],
    train: Annotated[
        Path | None, typer.Option(help="A folder of the training images, to look for copies.")
    ] = None,
    side: Annotated[
        int | None,
        typer.Option(min=16, help="Bring all images to this side first, for equal detail."),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of subsets and folds.")] = 0,
    as_json: JsonOption = False,
) -> None:
    """Compare generated sets with real images in the features of the embedded network.

    Where a generated set has captions, in metadata.jsonl or in its own PNGs, the meter says how
    well its images show what they state. With --train every generated image is looked up among
    the training images: recompressed, cropped, turned or mirrored copies are named, and those
    that are nearer to a training image than training images are to each other.
    """
    from backend.cli.workspace import open_workspace
    from backend.corpus.pictures import pictures_in
    from backend.evaluation.captioned import measure_adherence
    from backend.evaluation.features import FeatureNetwork
    from backend.evaluation.fidelity import compare_sets
    from backend.evaluation.memorisation import find_copies, nearest_real

    network = FeatureNetwork()
    known = pictures_in(train) if train is not None else []
    learnt = network.embed([one.path for one in known], side=side) if known else None
    held_out = network.embed([picture.path for picture in pictures_in(real)], side=side)
    lines: list[str] = []
    values = []
    with open_workspace() as (settings, _):
        for folder in generated:
            pictures = pictures_in(folder)
            files = [picture.path for picture in pictures]
            features = network.embed(files, side=side)
            found = compare_sets(features, held_out, network=network.record.name, seed=seed)
            value: dict[str, object] = {"set": folder.name, **asdict(found)}
            lines += _lines(folder, found)
            adherence = measure_adherence(folder.expanduser().absolute(), files)
            value["adherence"] = asdict(adherence) if adherence else None
            lines += _adherence_lines(adherence)
            if learnt is not None:
                near = nearest_real(features, learnt, files, [one.path for one in known])
                value["nearest"] = [_plain(one) for one in near]
                copies = find_copies(pictures, known, settings.fingerprints_file)
                value["copies"] = [_plain(copy) for copy in copies]
                lines += _copy_lines(copies, len(pictures))
                lines += _near_lines(near, {copy.generated for copy in copies})
            values.append(value)
    emit(values, as_json, lines)


def _lines(folder: Path, found: Fidelity) -> list[str]:
    rows = [
        ("Frechet distance", f"{found.frechet:.2f}"),
        (
            "Kernel distance",
            f"{found.kernel:.4f} ({found.kernel_low:.4f} to {found.kernel_high:.4f})",
        ),
        ("Precision, recall", f"{found.precision:.3f}, {found.recall:.3f}"),
        ("Density, coverage", f"{found.density:.3f}, {found.coverage:.3f}"),
        ("Diversity (Vendi)", f"{found.diversity:.1f}, real {found.diversity_real:.1f}"),
        ("Told apart from real", f"{found.told_apart:.1%} (chance 50 %), p = {found.p_value:.2g}"),
    ]
    head = f"{folder.name}: {found.generated} generated, {found.real} real, by {found.network}"
    return [head, *aligned(("", ""), rows)]


def _copy_lines(copies: list[Copy], count: int) -> list[str]:
    if not copies:
        return [f"None of {count} images repeats a training image."]
    named = [
        f"  {copy.generated.name} repeats {copy.real.name} ({copy.transform}, {copy.score:.3f})"
        for copy in copies[:SHOWN]
    ]
    more = [f"  and {len(copies) - SHOWN} more: --json names all"] if len(copies) > SHOWN else []
    return [f"Memorised: {len(copies)} of {count} images repeat a training image.", *named, *more]


def _adherence_lines(adherence: SetAdherence | None) -> list[str]:
    if adherence is None:
        return ["No captions: whether the images show what is stated was not measured."]
    rows = [
        (name.replace("_", " "), f"{score:.3f}", f"{low:.3f} to {high:.3f}")
        for name, score in adherence.scores.items()
        for low, high in (adherence.intervals[name],)
    ]
    head = f"Measured against their captions: {adherence.images} images"
    return [head, *aligned(("ATTRIBUTE", "SCORE", "INTERVAL"), rows)]


def _near_lines(near: Sequence[Neighbour], copies: set[Path]) -> list[str]:
    """Those that are no copies, the nearest first."""
    close = [one for one in near if not one.usual and one.generated not in copies]
    close.sort(key=lambda one: -one.likeness)
    said = (
        f"{len(close)} more are nearer to a training image than 99 of 100 training images are to "
        "their nearest: look at them."
    )
    named = [
        f"  {one.generated.name} is near {one.real.name} (likeness {one.likeness:.3f})"
        for one in close[:SHOWN]
    ]
    return [said, *named] if close else []


def _plain(found: Copy | Neighbour) -> dict[str, object]:
    values = asdict(found).items()
    return {name: str(value) if isinstance(value, Path) else value for name, value in values}
