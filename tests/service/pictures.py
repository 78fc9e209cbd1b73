"""Images in the gallery without a model: phantoms stand in for what a pipeline would make."""

from typing import Any

from backend.abc.attributes import LesionAttributes
from backend.abc.grammar import CaptionStyle, write_caption
from backend.generation.arrivals import Arrival, keep_image
from backend.generation.profile import Profile
from backend.generation.provenance import build_provenance
from backend.generation.request import GenerationRequest
from backend.phantom import render
from backend.settings import Settings
from backend.store.database import Database


def arrival(
    attributes: LesionAttributes,
    *,
    job_id: str = "JOB",
    position: int = 0,
    model: str = "starter",
    profile: Profile = Profile.EXACT,
) -> Arrival:
    """A phantom of these attributes as if it had just left the model."""
    request = GenerationRequest(
        caption=write_caption(attributes, style=CaptionStyle.PLAIN, seed=position),
        attributes=attributes,
        model=model,
        seed=position,
        width=64,
        height=64,
    )
    provenance = build_provenance(
        request,
        model_hash="ab" * 32,
        scheduler="FlowMatchEulerDiscreteScheduler",
        precision="float32",
        device="cpu",
        threads=1,
        libraries={"torch": "0"},
        profile=profile,
    )
    pixels = render(attributes, size=64, seed=position).image
    return Arrival(job_id, position, pixels, provenance)


def fill_gallery(
    settings: Settings, database: Database, lesions: list[LesionAttributes], **options: Any
) -> list[str]:
    """Put one image for each lesion into the gallery; returns their ids, oldest first."""
    ids = []
    for position, attributes in enumerate(lesions):
        made = arrival(attributes, position=position, **options)
        keep_image(settings, database, made)
        ids.append(made.image_id)
    return ids
