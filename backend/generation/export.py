"""A selection of the gallery to take away: an image folder with `metadata.jsonl`, marked.

The layout is the image folder of the `datasets` library
(https://huggingface.co/docs/datasets/image_dataset), which most trainers read.
"""

import json
import shutil
import zipfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from backend.abc.attributes import LesionAttributes
from backend.files import copy_file, explained_files, write_file
from backend.generation.errors import GenerationError
from backend.generation.gallery import ImageView, get_image
from backend.generation.provenance import TRAINED_ALGORITHMIC_MEDIA, Provenance, read_png
from backend.settings import Settings
from backend.store.database import Database

METADATA = "metadata.jsonl"
README = """\
{count} synthetic images of skin lesions, made by DermaFlux Studio on {day}.

No patient is shown. Every image was computed by a model from the caption beside it in
{metadata}. Not for diagnosis.

Every PNG carries its request (text key "dermaflux") and the XMP property
Iptc4xmpExt:DigitalSourceType = {source}
Keep both when you pass the images on.
"""


def export_image_folder(
    db: Database, settings: Settings, ids: Sequence[str], destination: Path
) -> Path:
    """Copy the images byte for byte into a new folder with `metadata.jsonl` and README.txt.

    The folder appears under its name only once it is complete.

    Raises:
        GenerationError: nothing is selected, an image is gone, or the destination is taken.
        ForeignImageError: a file has lost its mark.
        FileError: disk full, or the destination cannot be written.
    """
    if not ids:
        raise GenerationError("No image is selected: select the images to export.")
    if destination.exists():
        raise GenerationError(f"The folder {destination} is there already: choose a new name.")
    images = [get_image(db, settings, image_id) for image_id in dict.fromkeys(ids)]
    partial = destination.with_name(f"{destination.name}.partial")
    with explained_files(destination):
        if partial.exists():
            shutil.rmtree(partial)
        partial.mkdir(parents=True)
        try:
            _fill(partial, images)
            partial.replace(destination)
        except BaseException:
            shutil.rmtree(partial, ignore_errors=True)
            raise
    return destination


def export_zip(db: Database, settings: Settings, ids: Sequence[str]) -> Path:
    """The same export as one .zip in the exports folder of the workspace.

    Raises:
        GenerationError, ForeignImageError, FileError: as `export_image_folder`.
    """
    moment = datetime.now(UTC).strftime("%Y%m%d-%H%M%S-%f")
    folder = settings.exports_dir / f"dermaflux-synthetic-{moment}"
    export_image_folder(db, settings, ids, folder)
    archive = folder.with_suffix(".zip")
    partial = archive.with_name(f"{archive.name}.partial")
    with explained_files(archive):
        try:
            with zipfile.ZipFile(partial, "w", zipfile.ZIP_STORED) as bundle:
                for file in sorted(folder.iterdir()):
                    bundle.write(file, f"{folder.name}/{file.name}")
            partial.replace(archive)
        finally:
            partial.unlink(missing_ok=True)
            shutil.rmtree(folder, ignore_errors=True)
    return archive


def _fill(folder: Path, images: Sequence[ImageView]) -> None:
    lines = []
    for image in images:
        copy_file(image.path, folder / image.path.name)
        provenance = read_png(folder / image.path.name)
        lines.append(json.dumps(_metadata(image, provenance), ensure_ascii=False))
    write_file(folder / METADATA, ("\n".join(lines) + "\n").encode())
    readme = README.format(
        count=len(images),
        day=datetime.now(UTC).date().isoformat(),
        metadata=METADATA,
        source=TRAINED_ALGORITHMIC_MEDIA,
    )
    write_file(folder / "README.txt", readme.encode())


def _metadata(image: ImageView, provenance: Provenance) -> dict[str, object]:
    request = image.request
    return {
        "file_name": image.path.name,
        "text": image.caption,
        "synthetic": provenance.synthetic,
        **_values(image.requested, ""),
        **_values(image.measured, "measured_"),
        "model": image.model,
        "model_hash": provenance.model_hash,
        "seed": image.seed,
        "steps": request.steps,
        "guidance_scale": request.guidance_scale,
        "width": image.width,
        "height": image.height,
        "pixel_sha256": image.pixel_hash,
    }


def _values(attributes: LesionAttributes, prefix: str) -> dict[str, object]:
    """Measured attributes never include what cannot be measured, such as a diagnosis."""
    values = attributes.model_dump(mode="json")
    measurable = ("asymmetry", "border", "edge", "colours", "pattern", "skin_tone")
    return {f"{prefix}{name}": values[name] for name in (measurable if prefix else values)}
