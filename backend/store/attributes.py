"""Between LesionAttributes and the columns that hold them."""

from typing import Any

from backend.abc.attributes import LesionAttributes
from backend.store.tables import Caption, ColourSource, Image, StatedColumns

STATED = (
    "asymmetry",
    "border",
    "edge",
    "pattern",
    "label",
    "diagnosis",
    "modality",
    "skin_tone",
    "site",
    "diameter_mm",
)
MEASURED = ("asymmetry", "border", "edge", "pattern", "skin_tone")


def stated_columns(attributes: LesionAttributes) -> dict[str, Any]:
    """Keyword arguments for a row with StatedColumns; colours are rows of their own."""
    return {name: getattr(attributes, name) for name in STATED}


def measured_columns(attributes: LesionAttributes) -> dict[str, Any]:
    """Keyword arguments for the `measured_*` columns of an Image."""
    return {f"measured_{name}": getattr(attributes, name) for name in MEASURED}


def requested_attributes(row: Image | Caption) -> LesionAttributes:
    """What an image or a caption was asked to show."""
    if isinstance(row, Caption):
        return _attributes(row, tuple(entry.colour for entry in row.colours))
    return _attributes(row, _image_colours(row, ColourSource.REQUESTED))


def measured_attributes(image: Image) -> LesionAttributes:
    """What was found in the pixels of an image."""
    values = {name: getattr(image, f"measured_{name}") for name in MEASURED}
    return LesionAttributes(**values, colours=_image_colours(image, ColourSource.MEASURED))


def _attributes(row: StatedColumns, colours: tuple[Any, ...]) -> LesionAttributes:
    return LesionAttributes(**{name: getattr(row, name) for name in STATED}, colours=colours)


def _image_colours(image: Image, source: ColourSource) -> tuple[Any, ...]:
    return tuple(entry.colour for entry in image.colours if entry.source is source)
