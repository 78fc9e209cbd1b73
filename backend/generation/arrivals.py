"""A finished image enters the gallery: files first, then the row that makes it visible."""

from dataclasses import dataclass
from statistics import fmean

from backend.abc.attributes import LesionAttributes
from backend.abc.measure import Measurement, measure
from backend.files import write_file
from backend.generation.provenance import SYNTHETIC_XMP, Provenance, write_png
from backend.images import Pixels, encode_thumbnail, pixel_hash
from backend.settings import Settings
from backend.store.attributes import image_columns
from backend.store.database import Database
from backend.store.tables import ColourSource, Image, ImageColour


@dataclass(frozen=True)
class Arrival:
    """An image as it left the model: pixels (H, W, 3) and where they come from."""

    job_id: str
    position: int
    pixels: Pixels
    provenance: Provenance

    @property
    def image_id(self) -> str:
        """The id of its row, and the name of its files."""
        return f"{self.job_id}-{self.position:04d}"


def keep_image(
    settings: Settings,
    db: Database,
    arrival: Arrival,
    measurement: Measurement | None = None,
) -> None:
    """Measure the pixels unless that is done, write the PNG and its thumbnail, and add the row.

    A crash before the last step leaves files that the retry of the job writes again.

    Raises:
        FileError: disk full, or the workspace cannot be written.
        StoreError: the database cannot be written.
    """
    row = _row(arrival, measurement or measure(arrival.pixels))
    folder, name = arrival.job_id, arrival.image_id
    file = settings.images_dir / folder / f"{name}.png"
    thumbnail = settings.thumbnails_dir / folder / f"{name}.webp"
    row.bytes = write_png(file, arrival.pixels, arrival.provenance)
    write_file(thumbnail, encode_thumbnail(arrival.pixels, xmp=SYNTHETIC_XMP.encode()))
    row.file = file.relative_to(settings.workspace).as_posix()
    row.thumbnail = thumbnail.relative_to(settings.workspace).as_posix()
    with db.session() as session:
        session.add(row)


def _row(arrival: Arrival, measurement: Measurement) -> Image:
    request = arrival.provenance.request
    requested = request.attributes or LesionAttributes()
    height, width = arrival.pixels.shape[:2]
    return Image(
        id=arrival.image_id,
        job_id=arrival.job_id,
        position=arrival.position,
        width=width,
        height=height,
        pixel_hash=pixel_hash(arrival.pixels),
        caption=request.caption,
        model=request.model,
        seed=request.seed,
        request=request.model_dump(mode="json"),
        profile=arrival.provenance.profile,
        **image_columns(requested, measurement.attributes),
        measured_confidence=_mean_confidence(measurement),
        found=measurement.found,
        colours=[
            *_colours(ColourSource.REQUESTED, requested),
            *_colours(ColourSource.MEASURED, measurement.attributes),
        ],
    )


def _mean_confidence(measurement: Measurement) -> float | None:
    return fmean(measurement.confidence.values()) if measurement.found else None


def _colours(source: ColourSource, attributes: LesionAttributes) -> list[ImageColour]:
    return [
        ImageColour(source=source, colour=colour, rank=rank)
        for rank, colour in enumerate(attributes.colours)
    ]
