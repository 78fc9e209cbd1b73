"""What can go wrong before and while a LoRA is trained."""

from backend.errors import DermaFluxError


class FinetuningError(DermaFluxError):
    """A LoRA cannot be trained as asked, or its run cannot go on."""
