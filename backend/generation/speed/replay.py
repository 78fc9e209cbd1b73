"""An image made again, pixel by pixel, or the reason why that cannot be."""

from backend.generation.errors import GenerationError
from backend.generation.profile import Profile
from backend.generation.provenance import Provenance
from backend.generation.request import GenerationRequest


def replay_request(provenance: Provenance) -> GenerationRequest:
    """The request that gives the pixels of an image again on its device, with its libraries.

    Raises:
        GenerationError: the image was not made with the exact profile.
    """
    if provenance.profile is not Profile.EXACT:
        raise GenerationError(not_repeatable(provenance.profile))
    return provenance.request.model_copy(update={"profile": Profile.EXACT})


def not_repeatable(profile: Profile) -> str:
    """Why an image of this profile cannot be made again pixel by pixel, in a sentence."""
    return (
        f"This image was made with the profile {profile}, whose pixels differ a little from run to "
        "run or from device to device, so it cannot be repeated exactly: keep its file, or make "
        "it anew with exact."
    )


def differences(first: Provenance, second: Provenance) -> list[str]:
    """What was not the same when an image was made again, in words."""
    facts = {
        "the weights of the model": (first.model_hash, second.model_hash),
        "the weights of the classifier": (first.classifier_hash, second.classifier_hash),
        "the device": (first.device, second.device),
        "the precision": (first.precision, second.precision),
        "the number of threads": (first.threads, second.threads),
        "the scheduler": (first.scheduler, second.scheduler),
    }
    names = sorted({*first.libraries, *second.libraries})
    facts |= {name: (first.libraries.get(name), second.libraries.get(name)) for name in names}
    return [f"{name} ({was} then, {now} now)" for name, (was, now) in facts.items() if was != now]
