"""`measure`: one picture, a folder of them, or the meter itself against the labels of experts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from backend.cli.output import JsonOption, aligned, emit

if TYPE_CHECKING:
    from backend.abc.expert.agreement import Agreement, Figure

SHOWN = 20
"""Problems that are listed as text; --json has all."""


def register(app: typer.Typer) -> None:
    """Add `measure`."""
    app.command("measure")(measure_)


def measure_(
    image: Annotated[Path | None, typer.Argument(help="A picture of one lesion.")] = None,
    overlay: Annotated[
        Path | None, typer.Option(help="Write outline, axes and colours into this PNG.")
    ] = None,
    evaluate: Annotated[
        Path | None,
        typer.Option(help="Compare with the expert labels in this folder of images instead."),
    ] = None,
    table: Annotated[
        Path | None, typer.Option(help="The table of labels, where the folder has several.")
    ] = None,
    readings: Annotated[
        Path | None, typer.Option(help="Write what was read of every image into this CSV.")
    ] = None,
    survey: Annotated[
        Path | None,
        typer.Option(help="Count masks and unsure readings over this folder of images instead."),
    ] = None,
    processes: Annotated[int, typer.Option(min=1, max=256, help="How many at once.")] = 1,
    as_json: JsonOption = False,
) -> None:
    """Measure asymmetry, border, colours and skin tone. A measurement, never a diagnosis.

    With --evaluate: how far the meter agrees with experts, whose table names images, their
    asymmetry (0, 1, 2) and their colours. With --survey: the share of masks that are empty, full
    or odd, and of readings that are unsure.
    """
    if sum(path is not None for path in (image, evaluate, survey)) != 1:
        raise typer.BadParameter("name a picture, or --evaluate a folder, or --survey a folder.")
    if evaluate is not None:
        _evaluate(evaluate, table, readings, processes, as_json)
    elif survey is not None:
        _survey(survey, processes, as_json)
    elif image is not None:
        _measure(image, overlay, as_json)


def _measure(image: Path, overlay: Path | None, as_json: bool) -> None:
    from backend.abc.measure import measure
    from backend.abc.measure import overlay as draw
    from backend.images import read_image, write_image

    pixels = read_image(image)
    measured = measure(pixels)
    if overlay is not None:
        write_image(overlay, draw(pixels, measured))
    said = measured.attributes.model_dump(mode="json", exclude_none=True)
    rows = [
        (field, ", ".join(value) if isinstance(value, list) else value, f"{confidence:.0%}")
        for field, confidence in measured.confidence.items()
        if (value := said.get(field))
    ]
    lines = aligned(("FIELD", "MEASURED", "CONFIDENCE"), rows) if rows else ["No lesion was found."]
    value = {
        "found": measured.found,
        "attributes": measured.attributes,
        "confidence": dict(measured.confidence),
        "indices": dict(measured.indices),
    }
    emit(value, as_json, lines)


def _evaluate(
    folder: Path, table: Path | None, readings: Path | None, processes: int, as_json: bool
) -> None:
    from backend.abc.expert.evaluation import evaluate, write_readings

    evaluation = evaluate(folder, table=table, processes=processes)
    if readings is not None:
        write_readings(readings, evaluation.comparisons)
    value = {
        "table": evaluation.table,
        "agreement": evaluation.agreement,
        "problems": evaluation.problems,
    }
    lines = [*_agreement_lines(evaluation.agreement), *_problem_lines(evaluation.problems)]
    emit(value, as_json, lines)


def _survey(folder: Path, processes: int, as_json: bool) -> None:
    from backend.abc.expert.pictures import pictures_in
    from backend.abc.survey import survey

    counted = survey(sorted(pictures_in(folder).images.values()), processes=processes)
    rows = [
        ("masks neither empty nor full", f"{counted.usable:.1%}"),
        ("masks empty", f"{counted.empty:.1%}"),
        ("masks full", f"{counted.full:.1%}"),
        ("masks odd", f"{counted.odd:.1%}"),
        *((f"unsure of {name}", f"{share:.1%}") for name, share in counted.unsure.items()),
        *((f"asymmetry {name}", f"{share:.1%}") for name, share in counted.asymmetry.items()),
        *((f"colour {name}", f"{share:.1%}") for name, share in counted.colours.items()),
    ]
    lines = [f"{counted.images} images", *aligned(("SHARE OF IMAGES", ""), rows)]
    emit(counted, as_json, [*lines, *_problem_lines(counted.problems)])


def _agreement_lines(agreement: Agreement) -> Iterator[str]:
    yield f"{agreement.images} images, no lesion found on {agreement.not_found}"
    yield from aligned(
        ("FIGURE", "VALUE", "95 % INTERVAL", "IMAGES"),
        [
            ("asymmetry, weighted kappa, where sure", *_cells(agreement.kappa_sure)),
            ("asymmetry, weighted kappa, best guess", *_cells(agreement.kappa_all)),
            ("colours, micro F1, where sure", *_cells(agreement.micro_f1_sure)),
            ("colours, micro F1, best guess", *_cells(agreement.micro_f1)),
            ("colours, macro F1, best guess", *_cells(agreement.macro_f1)),
            ("masks, intersection over union", *_cells(agreement.overlap)),
            ("masks, Dice", *_cells(agreement.dice)),
        ],
    )
    for name, share in (
        ("asymmetry", agreement.asymmetry_unsure),
        ("a colour", agreement.colours_unsure),
    ):
        if share is not None:
            yield f"unsure of {name}: {share:.1%}"
    if agreement.kappa_all.count:
        yield ""
        yield from aligned(
            ("EXPERT \\ METER", "0", "1", "2"),
            [(axes, *counts) for axes, counts in enumerate(agreement.confusion)],
        )
    if agreement.colours:
        yield ""
        yield from aligned(
            ("COLOUR", "PRECISION", "RECALL", "F1", "EXPERTS", "METER", "UNSURE"),
            [
                (
                    colour,
                    *(f"{part:.3f}" for part in (one.precision, one.recall, one.f1)),
                    *(one.named_by_experts, one.named_by_meter, f"{one.unsure:.1%}"),
                )
                for colour, one in agreement.colours.items()
            ],
        )


def _cells(figure: Figure) -> tuple[str, str, int]:
    if figure.value is None or figure.interval is None:
        return "-", "-", figure.count
    bounds = f"{figure.interval.low:.3f} to {figure.interval.high:.3f}"
    return f"{figure.value:.3f}", bounds, figure.count


def _problem_lines(problems: tuple[str, ...]) -> Iterator[str]:
    if problems:
        yield ""
        yield from problems[:SHOWN]
    if len(problems) > SHOWN:
        yield f"... and {len(problems) - SHOWN} more; --json lists them all."
