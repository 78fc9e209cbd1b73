"""What can go wrong when a phantom is asked for."""

from backend.errors import DermaFluxError


class PhantomError(DermaFluxError):
    """A phantom was asked for that cannot be drawn."""
