"""A folder that looks like FLUX.1-dev to whoever reads headers only: full shapes, no bytes."""

import json
import shutil
from pathlib import Path

CARD = {"title": "Full-size FLUX", "sizes": [512, 768, 1024], "max_sequence_length": 512}
CONFIGS = {
    "transformer": {"num_attention_heads": 24, "attention_head_dim": 128},
    "vae": {"block_out_channels": [128, 256, 512, 512]},
}


def build_full_size(folder: Path, tiny: Path) -> Path:
    """The layout of `tiny` with weight files of FLUX.1's size, all of them holes."""
    shutil.copytree(tiny, folder)
    for component, shapes in _shapes().items():
        for file in (folder / component).glob("*.safetensors*"):
            file.unlink()
        name = "model" if component.startswith("text") else "diffusion_pytorch_model"
        _write_sparse(folder / component / f"{name}.safetensors", shapes)
    for component, values in CONFIGS.items():
        file = folder / component / "config.json"
        file.write_text(json.dumps(json.loads(file.read_text()) | values))
    (folder / "dermaflux.json").write_text(json.dumps(CARD))
    return folder


def _shapes() -> dict[str, dict[str, tuple[int, ...]]]:
    """Shapes of FLUX.1-dev's tensors, from the models themselves on torch's meta device."""
    import torch
    from diffusers import AutoencoderKL, FluxTransformer2DModel
    from transformers import CLIPTextConfig, CLIPTextModel, T5Config, T5EncoderModel

    from benchmarks.generate_gpu import TRANSFORMER, VAE

    t5 = T5Config(
        d_model=4096, d_kv=64, d_ff=10240, num_layers=24, num_heads=64,
        feed_forward_proj="gated-gelu",
    )  # fmt: skip
    clip = CLIPTextConfig(
        hidden_size=768, intermediate_size=3072, num_hidden_layers=12, num_attention_heads=12
    )
    with torch.device("meta"):
        models = {
            "transformer": FluxTransformer2DModel(**TRANSFORMER),
            "vae": AutoencoderKL(**VAE),
            "text_encoder": CLIPTextModel(clip),
            "text_encoder_2": T5EncoderModel(t5),
        }
    return {
        component: {name: tuple(tensor.shape) for name, tensor in model.named_parameters()}
        for component, model in models.items()
    }


def _write_sparse(file: Path, shapes: dict[str, tuple[int, ...]]) -> None:
    header, place = {}, 0
    for name, shape in shapes.items():
        size = 2
        for side in shape:
            size *= side
        header[name] = {
            "dtype": "BF16",
            "shape": list(shape),
            "data_offsets": [place, place + size],
        }
        place += size
    data = json.dumps(header).encode()
    with file.open("wb") as stream:
        stream.write(len(data).to_bytes(8, "little") + data)
        stream.truncate(8 + len(data) + place)
