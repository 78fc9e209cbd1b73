"""What the web shell refuses, for the person who started it."""

from backend.errors import DermaFluxError


class StudioError(DermaFluxError):
    """The studio cannot be served as it is set."""
