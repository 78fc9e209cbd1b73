"""Networks of timm with two classes, from nothing or from weights that lie on this machine."""

import json
from pathlib import Path
from typing import Any

import timm
import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from backend.evaluation.errors import EvaluationError
from backend.evaluation.recipes import EMBEDDED, NO_WEIGHTS, Recipe
from backend.settings import REPOSITORY

CLASSES = 2
HUB_WEIGHTS, HUB_CONFIG = "model.safetensors", "config.json"
EMBEDDED_WEIGHTS = {
    "tf_efficientnet_lite0": REPOSITORY / "assets" / "features" / "efficientnet_lite0.safetensors"
}
_UNFIT = (RuntimeError, KeyError, ValueError, OSError, AssertionError, TypeError)
PICKLES = frozenset({".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle", ".tar"})


class Normalised(nn.Module):
    """A network that takes pixels: uint8 (B, H, W, 3) become what it was pretrained on."""

    mean: Tensor
    std: Tensor

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        config: dict[str, Any] = getattr(network, "pretrained_cfg", {})
        for name, default in (("mean", 0.5), ("std", 0.5)):
            values = torch.tensor(config.get(name) or (default,) * 3).view(1, 3, 1, 1)
            self.register_buffer(name, values, persistent=False)

    def forward(self, pixels: Tensor) -> Tensor:
        """Logits (B, 2): benign, malignant."""
        images = pixels.permute(0, 3, 1, 2).float() / 255
        logits: Tensor = self.network((images - self.mean) / self.std)
        return logits


def build_classifier(recipe: Recipe) -> Normalised:
    """The network of a recipe; torch's random numbers decide what is not loaded.

    Raises:
        EvaluationError: timm has no such architecture, or its weights cannot be used.
    """
    if not timm.is_model(recipe.architecture):
        raise EvaluationError(
            f"timm has no architecture '{recipe.architecture}': "
            "`python -m training.classifier --list` shows those that there are."
        )
    weights = weights_file(recipe)
    loading: dict[str, Any] = {"pretrained": False}
    if weights is not None:
        loading = {"pretrained": True, "pretrained_cfg_overlay": {"file": str(weights)}}
    try:
        network = timm.create_model(
            recipe.architecture, num_classes=CLASSES, **loading, **_size_arguments(recipe)
        )
    except (*_UNFIT, SafetensorError) as error:
        source = f" with the weights {weights.name}" if weights else ""
        raise EvaluationError(
            f"The network {recipe.architecture} cannot be built at {recipe.side} px{source}: "
            "check that the weights are of this architecture and that it takes this size."
        ) from error
    return Normalised(network)


def weights_file(recipe: Recipe) -> Path | None:
    """The safetensors file that a recipe starts from; None where it starts from nothing.

    Raises:
        EvaluationError: it is not there, a pickle, or of another architecture.
    """
    if recipe.weights == NO_WEIGHTS:
        return None
    if recipe.weights == EMBEDDED:
        embedded = EMBEDDED_WEIGHTS.get(recipe.architecture)
        if embedded is None:
            raise EvaluationError(
                f"No weights of {recipe.architecture} come with the studio: name a safetensors "
                f"file, or train from nothing with the weights '{NO_WEIGHTS}'."
            )
        return _required(embedded)
    path = Path(recipe.weights).expanduser()
    if path.is_dir():
        _require_architecture(path, recipe.architecture)
        path = path / HUB_WEIGHTS
    if path.suffix.lower() in PICKLES:
        raise EvaluationError(
            f"{path.name} is a pickle, which can run any code when it is opened: take the weights "
            "as safetensors."
        )
    if path.suffix != ".safetensors":
        raise EvaluationError(f"{path.name} is no safetensors file: take the weights as one.")
    return _required(path)


def _required(path: Path) -> Path:
    if not path.is_file():
        raise EvaluationError(f"The weights {path.name} are not there: check the path.")
    return path


def _require_architecture(folder: Path, architecture: str) -> None:
    try:
        found = json.loads((folder / HUB_CONFIG).read_text()).get("architecture")
    except (OSError, ValueError, AttributeError) as error:
        raise EvaluationError(
            f"The folder {folder.name} has no {HUB_CONFIG} of timm: take the whole folder."
        ) from error
    if found != architecture:
        raise EvaluationError(
            f"The folder {folder.name} holds weights of {found}, not of {architecture}."
        )


def _size_arguments(recipe: Recipe) -> dict[str, Any]:
    """Transformers are built for a size; convolutions take any."""
    config = timm.get_pretrained_cfg(recipe.architecture)
    fixed = config is not None and config.fixed_input_size
    return {"img_size": recipe.side} if fixed else {}
