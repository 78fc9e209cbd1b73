"""What a person may hear of an evaluation."""

from backend.errors import DermaFluxError


class EvaluationError(DermaFluxError):
    """Predictions cannot be read, or cannot carry the figure that was asked for."""
