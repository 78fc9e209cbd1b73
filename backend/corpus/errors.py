"""What can be wrong with a collection of images as a whole."""

from backend.errors import DermaFluxError


class CorpusError(DermaFluxError):
    """A dataset cannot be read, imported or found in the catalogue."""
