"""`evaluate images`: how like real images a generated set is, and whether it repeats them."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from backend.cli.output import JsonOption, aligned, emit

if TYPE_CHECKING:
    from backend.evaluation.fidelity import Fidelity
    from backend.evaluation.memorisation import Copy

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

    With --train every generated image is looked up among the training images: recompressed,
    cropped, turned or mirrored copies are named.
    """
    from backend.cli.workspace import open_workspace
    from backend.corpus.pictures import pictures_in
    from backend.evaluation.features import FeatureNetwork
    from backend.evaluation.fidelity import compare_sets
    from backend.evaluation.memorisation import find_copies

    network = FeatureNetwork()
    held_out = network.embed([picture.path for picture in pictures_in(real)], side=side)
    lines: list[str] = []
    values = []
    with open_workspace() as (settings, _):
        for folder in generated:
            pictures = pictures_in(folder)
            features = network.embed([picture.path for picture in pictures], side=side)
            found = compare_sets(features, held_out, network=network.record.name, seed=seed)
            value: dict[str, object] = {"set": folder.name, **asdict(found)}
            lines += _lines(folder, found)
            if train is not None:
                known = pictures_in(train)
                copies = find_copies(pictures, known, settings.fingerprints_file)
                value["copies"] = [_copy(copy) for copy in copies]
                lines += _copy_lines(copies, len(pictures))
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


def _copy(copy: Copy) -> dict[str, object]:
    return {
        "generated": str(copy.generated),
        "real": str(copy.real),
        "score": copy.score,
        "transform": copy.transform,
    }
