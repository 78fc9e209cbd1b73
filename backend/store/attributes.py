"""Between LesionAttributes and the columns that hold them."""

from collections.abc import Iterable
from typing import Any

from backend.abc.attributes import Colour, LesionAttributes
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
COLOUR_BITS = {
    Colour.WHITE: 1,
    Colour.RED: 2,
    Colour.LIGHT_BROWN: 4,
    Colour.DARK_BROWN: 8,
    Colour.BLUE_GRAY: 16,
    Colour.BLACK: 32,
}
"""Stored in databases: a colour keeps its bit for ever."""
MEASURED = ("asymmetry", "border", "edge", "pattern", "skin_tone")


def colour_mask(colours: Iterable[Colour]) -> int:
    """The colours as one number, a bit for each."""
    return sum({COLOUR_BITS[colour] for colour in colours})


def image_columns(requested: LesionAttributes, measured: LesionAttributes) -> dict[str, Any]:
    """Keyword arguments for an Image: asked for and measured, colours as masks."""
    return {
        **stated_columns(requested),
        **measured_columns(measured),
        "colour_mask": colour_mask(requested.colours),
        "measured_colour_mask": colour_mask(measured.colours),
    }


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
