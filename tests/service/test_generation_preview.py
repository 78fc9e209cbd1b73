"""The look at an image in the making: right mathematics, and like the image it becomes."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backend.generation.models import ModelEntry, find_model
from backend.generation.pipelines import choose_device, encode_caption, load_model, render
from backend.generation.preview import LatentPreview, estimate_clean, fit_preview, unpack_latents
from backend.images import Pixels
from backend.settings import Settings
from tests.service.studio import CAPTION, tiny_request

torch = pytest.importorskip("torch")

sigmas = st.floats(0.01, 0.99)


@settings(max_examples=50, deadline=None)
@given(sigmas, sigmas, st.integers(0, 1000))
def test_on_a_straight_path_the_estimate_is_the_clean_image(
    first: float, second: float, seed: int
) -> None:
    before, sigma = max(first, second) + 0.01, min(first, second)
    generator = torch.Generator().manual_seed(seed)
    clean, noise = (torch.randn(1, 16, 64, generator=generator).double() for _ in range(2))
    at = [(1 - value) * clean + value * noise for value in (before, sigma)]
    assert torch.allclose(estimate_clean(at[0], at[1], before, sigma), clean, atol=1e-8)


@pytest.mark.parametrize(("height", "width"), [(64, 64), (96, 160)])
def test_latents_are_unpacked_as_the_pipeline_does(height: int, width: int) -> None:
    from diffusers import FluxPipeline

    packed = torch.randn(1, (height // 16) * (width // 16), 64)
    expected = FluxPipeline._unpack_latents(packed, height, width, 8)[0]
    assert torch.equal(unpack_latents(packed, height, width), expected)


def test_colours_beyond_the_range_are_clipped() -> None:
    weight = torch.zeros(17, 3)
    weight[-1] = torch.tensor([5.0, -5.0, 0.0])
    pixels = LatentPreview(weight).project(torch.randn(16, 2, 3))
    assert pixels.shape == (2, 3, 3)
    assert pixels.reshape(-1, 3).tolist() == [[255, 0, 128]] * 6


def test_the_fit_is_the_same_each_time_and_leaves_the_noise_of_others_alone(
    tiny_flux: Path,
) -> None:
    from diffusers import AutoencoderKL

    vae = AutoencoderKL.from_pretrained(tiny_flux / "vae", dtype=torch.float32)
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    first, second = fit_preview(vae), fit_preview(vae)
    assert torch.equal(torch.rand(3), expected)
    assert torch.equal(first.weight, second.weight)


@pytest.fixture
def starter(tmp_path: Path) -> tuple[Settings, ModelEntry]:
    """The embedded model."""
    here = Settings(workspace=tmp_path, device="cpu", threads=1)
    entry = find_model(here, "starter")
    if entry.problem is not None:
        pytest.skip(f"no starter model: {entry.problem}")
    return here, entry


def test_halfway_the_preview_looks_like_the_image_it_becomes(
    starter: tuple[Settings, ModelEntry],
) -> None:
    here, entry = starter
    model = load_model(here, entry, choose_device(here))
    request = tiny_request(
        caption=CAPTION, model="starter", steps=entry.steps, width=128, height=128
    )
    seen: list[Pixels] = []
    previous = None

    def look(index: int, latents: "torch.Tensor", sigmas: "torch.Tensor") -> None:
        nonlocal previous
        if previous is not None:
            before, now = float(sigmas[index]), float(sigmas[index + 1])
            clean = estimate_clean(previous, latents, before, now)
            seen.append(model.preview.project(unpack_latents(clean, 128, 128)))
        previous = latents

    image = render(model, request, encode_caption(model, request), look)
    small = image.reshape(16, 8, 16, 8, 3).mean(axis=(1, 3))
    for preview in (seen[len(seen) // 2], seen[-1]):
        assert np.abs(preview.astype(float) - small).mean() < 20
        assert np.corrcoef(preview.ravel(), small.ravel())[0, 1] > 0.8
