"""How strongly the classifier of a model acts in the images of a request."""

from backend.generation.errors import RequestError
from backend.generation.models import ModelEntry
from backend.generation.request import GenerationRequest


def attribute_guidance(entry: ModelEntry, request: GenerationRequest) -> float | None:
    """As asked, else fully where the model has a classifier for images of this size and no LoRA
    acts; None where it has none at all.

    A LoRA draws other images than those that the classifier learnt from: led by it, they keep more
    to their captions and look less like what the LoRA was made for.

    Raises:
        RequestError: it is asked for where no classifier can act.
    """
    asked, side = request.attribute_guidance, entry.guided_side
    fits = side is not None and request.width == request.height == side
    if asked and not fits:
        where = f"at {side} x {side} pixels only" if side else "in no size"
        raise RequestError(
            f"{entry.title} has attribute guidance {where}: leave it empty, or choose "
            + ("that size." if side else "another model.")
        )
    if side is None:
        return None
    if asked is not None:
        return asked
    return 1.0 if fits and not request.loras else 0.0
