"""Whether the packages are here that metrics are also written with, where somebody asks for it."""

from importlib.util import find_spec

from backend.finetuning.config import TrainingConfig
from backend.finetuning.errors import FinetuningError


def require_mirrors(config: TrainingConfig) -> None:
    """Go on only if TensorBoard and trackio are installed where the run is to write for them.

    Raises:
        FinetuningError: one is not.
    """
    for package, wanted in (("tensorboard", config.tensorboard), ("trackio", config.trackio)):
        if wanted and find_spec(package) is None:
            raise FinetuningError(
                f"The package {package} is not installed: run `pip install {package}`, or let the "
                "run write its own metrics alone."
            )
