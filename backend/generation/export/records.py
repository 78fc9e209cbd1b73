"""One image on its way out: the untouched PNG, and the row that tells about it."""

from dataclasses import dataclass

from backend.abc.attributes import LesionAttributes
from backend.exports.rows import Row
from backend.files import read_file
from backend.generation.gallery import ImageView
from backend.generation.provenance import Provenance, read_png

MEASURABLE = ("asymmetry", "border", "edge", "colours", "pattern", "skin_tone")
"""A diagnosis, for one, is never measured."""


@dataclass(frozen=True)
class ExportRecord:
    """An image with the bytes of its PNG, which carry the mark and the request."""

    image: ImageView
    png: bytes
    provenance: Provenance

    def row(self, file_name: str) -> Row:
        """What is told about the image, as plain values; the mark is among them."""
        image, request = self.image, self.image.request
        return {
            "file_name": file_name,
            "text": image.caption,
            "synthetic": self.provenance.synthetic,
            **_values(image.requested, ""),
            **_values(image.measured, "measured_"),
            "model": image.model,
            "model_hash": self.provenance.model_hash,
            "loras": [str(lora) for lora in self.provenance.loras],
            "seed": image.seed,
            "steps": request.steps,
            "guidance_scale": request.guidance_scale,
            "attribute_guidance": request.attribute_guidance or 0.0,
            "width": image.width,
            "height": image.height,
            "pixel_sha256": image.pixel_hash,
        }


def read_record(image: ImageView) -> ExportRecord:
    """The image with its file.

    Raises:
        FileError: the file is gone.
        ForeignImageError: the file is damaged, or has lost its mark.
    """
    png = read_file(image.path)
    return ExportRecord(image, png, read_png(png))


def _values(attributes: LesionAttributes, prefix: str) -> Row:
    values = attributes.model_dump(mode="json")
    return {f"{prefix}{name}": values[name] for name in (MEASURABLE if prefix else values)}
