"""Features of images: what a fixed, named network makes of each, for distances between sets.

The embedded network is EfficientNet-Lite0 (Tan & Le 2019; its Lite variant has no squeeze and
excitation) trained on ImageNet. Distances in its features are comparable among themselves, not with
those in Inception's that papers print; figures are therefore always shown with its name.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from backend.errors import DermaFluxError
from backend.evaluation.errors import EvaluationError
from backend.images import open_image
from backend.settings import REPOSITORY

if TYPE_CHECKING:
    import torch

Features = NDArray[np.float32]
"""(N, D)"""
BATCH = 16


@dataclass(frozen=True)
class NetworkRecord:
    """A feature network by name: timm's architecture, its weights, the side it looks at in pixels.

    A channel of an image (0 to 255) is taken as (value - mean) / scale.
    """

    name: str
    architecture: str
    weights: Path
    side: int
    mean: float
    scale: float


EMBEDDED = NetworkRecord(
    name="EfficientNet-Lite0, ImageNet",
    architecture="tf_efficientnet_lite0",
    weights=REPOSITORY / "assets" / "features" / "efficientnet_lite0.safetensors",
    side=224,
    mean=127.0,
    scale=128.0,
)


class FeatureNetwork:
    """Holds a network in memory, in fp32 on the CPU or the GPU that is there."""

    def __init__(self, record: NetworkRecord = EMBEDDED) -> None:
        import torch

        self.record = record
        self._device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self._network = _load(record).to(self._device)

    def embed(
        self,
        images: Sequence[Path],
        *,
        side: int | None = None,
        progress: Callable[[int], None] | None = None,
    ) -> Features:
        """Features (N, D) of image files, those of the global average pool.

        `side` first brings each image to that many pixels, so that sets of different sizes show
        equal detail. `progress` is told how many are done, and may raise to stop.

        Raises:
            EvaluationError: a file is no image, or there are none.
        """
        import torch

        parts: list[Features] = []
        for first in range(0, len(images), BATCH):
            files = images[first : first + BATCH]
            pixels = np.stack([_pixels(file, side, self.record.side) for file in files])
            with torch.inference_mode():
                parts.append(self._forward(pixels).cpu().numpy())
            if progress is not None:
                progress(sum(map(len, parts)))
        if not parts:
            raise EvaluationError("There are no images to look at: choose a folder that has some.")
        return np.concatenate(parts)

    def _forward(self, pixels: NDArray[np.uint8]) -> "torch.Tensor":
        """Features (B, D) of pixels (B, H, W, 3)."""
        import torch

        batch = torch.from_numpy(pixels).to(self._device).permute(0, 3, 1, 2).float()
        batch = (batch - self.record.mean) / self.record.scale
        maps = self._network.forward_features(batch)
        features: torch.Tensor = self._network.forward_head(maps, pre_logits=True)
        return features.float()


def _load(record: NetworkRecord) -> Any:
    import timm
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        tensors = load_file(record.weights)
        network = timm.create_model(record.architecture, pretrained=False)
        network.load_state_dict(tensors)
    except (OSError, SafetensorError, RuntimeError) as error:
        raise EvaluationError(
            f"The weights of the feature network {record.name} cannot be used: "
            f"{record.weights.name} is missing, damaged or of another network. Get it anew."
        ) from error
    return network.float().eval()


def _pixels(file: Path, side: int | None, wanted: int) -> NDArray[np.uint8]:
    """Pixels (S, S, 3) of the middle square, resized by Pillow, which takes all pixels in."""
    try:
        image = open_image(file)
    except DermaFluxError as error:
        raise EvaluationError(f"The image {file.name} cannot be read: {error}") from error
    edge = min(image.size)
    left, top = (image.width - edge) // 2, (image.height - edge) // 2
    image = image.crop((left, top, left + edge, top + edge))
    if side is not None and side < edge:
        image = image.resize((side, side), Image.Resampling.LANCZOS)
    return np.asarray(image.resize((wanted, wanted), Image.Resampling.BICUBIC))
