"""What a person may hear of captioning."""

from backend.errors import DermaFluxError


class CaptioningError(DermaFluxError):
    """Captions cannot be made, read or found."""
