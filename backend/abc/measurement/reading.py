"""Everything the meter reads off one image before any decision is made."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from backend.abc.measurement.asymmetry import asymmetry_indices
from backend.abc.measurement.border import border_indices
from backend.abc.measurement.colour import Palette, colour_indices
from backend.abc.measurement.edge import edge_indices
from backend.abc.measurement.frame import Frame, field_of_view, to_lab, to_working_size
from backend.abc.measurement.hair import hair_mask, remove_hair
from backend.abc.measurement.outline import trace_outline
from backend.abc.measurement.photograph import photograph_indices
from backend.abc.measurement.segmentation import Segmentation, segment
from backend.abc.measurement.skin import skin_indices


@dataclass(frozen=True)
class Reading:
    """A hairless image at working size and the lesion found on it, if there is one."""

    frame: Frame
    lesion: Segmentation | None


def read_image(image: NDArray[np.uint8]) -> Reading:
    """Bring a checked image to working size, take its hair away and look for the lesion."""
    rgb = to_working_size(image)
    rgb = remove_hair(rgb, hair_mask(rgb))
    lab = to_lab(rgb)
    field = field_of_view(lab)
    return Reading(Frame(rgb, lab, field), segment(lab, field))


def indices_of(frame: Frame, lesion: Segmentation, palette: Palette) -> dict[str, float]:
    """All measured numbers by the names that the literature gives them."""
    outline = trace_outline(lesion.membership)
    relative = frame.lab - lesion.skin
    return {
        "area_fraction": float(lesion.mask.sum() / lesion.mask.size),
        "segmentation_quality": lesion.quality,
        "cut_by_frame": lesion.cut,
        **asymmetry_indices(outline, relative),
        **border_indices(outline),
        **edge_indices(lesion.membership, lesion.distance, outline.centroid),
        **colour_indices(frame.lab, lesion.skin, lesion.mask, palette),
        **photograph_indices(frame, lesion),
        **skin_indices(frame.lab, lesion.mask, frame.field),
    }
