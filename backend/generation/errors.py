"""What can go wrong on the way from a caption to an image."""

from backend.errors import DermaFluxError


class GenerationError(DermaFluxError):
    """An image cannot be made, found or exported."""


class RequestError(GenerationError):
    """A field of a request is missing or out of range."""


class ModelError(GenerationError):
    """A model is unknown, incomplete, damaged or of a kind that is not loaded."""


class LoraError(GenerationError):
    """A LoRA is unknown, damaged, of a kind that is not read, or made for another model."""


class ForeignImageError(GenerationError):
    """An image carries no request of this studio, or one that cannot be read."""


class TooLargeError(GenerationError):
    """The image or the model would not fit into the memory of the device."""


class DownloadError(GenerationError):
    """A model could not be brought from the hub."""


class TokenError(DownloadError):
    """The hub wants a token, or refused the one it got."""
