"""`replay`: an image made again, and whether every pixel is the same."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from backend.cli.output import JsonOption, emit
from backend.cli.progress import CommandError, run_to_its_end
from backend.cli.workspace import open_workspace


def register(app: typer.Typer) -> None:
    """Add `replay`."""
    app.command("replay")(replay)


def replay(
    file: Annotated[Path, typer.Argument(help="A PNG that this studio made.")],
    as_json: JsonOption = False,
) -> None:
    """Make an image again from what its PNG says, and compare every pixel.

    Only images of the exact profile can be repeated; others are refused with the reason. Ends with
    exit code 1 where pixels differ, and says what was not the same.
    """
    from backend.generation.gallery import GalleryFilter, query_images
    from backend.generation.provenance import read_png
    from backend.generation.running import KIND, job_title, prepare_request
    from backend.generation.speed.replay import differences, replay_request
    from backend.images import pixel_hash, read_image

    provenance = read_png(file)
    expected = pixel_hash(read_image(file))
    with open_workspace() as (settings, database):
        request = prepare_request(database, settings, replay_request(provenance))
        job = run_to_its_end(
            settings,
            database,
            kind=KIND,
            payload=request.model_dump(mode="json"),
            title=job_title(request),
            total=request.steps,
        )
        (image,) = query_images(database, settings, GalleryFilter(job_id=job.id))
        changed = differences(provenance, read_png(image.path))
    if image.pixel_hash != expected:
        raise CommandError(
            f"The pixels of {image.path} differ from those of {file}. Not the same: "
            f"{', '.join(changed) or 'nothing that the file records'}."
        )
    value = {"file": image.path, "id": image.id, "identical": True, "pixel_sha256": expected}
    emit(value, as_json, f"Every pixel is the same: {image.path}")
