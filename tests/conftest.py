"""Real models, built once a session, that the tests of every room may load."""

from pathlib import Path

import pytest

from backend.settings import Settings
from tests.tiny_models import build_tiny_flux, build_tiny_stable_diffusion


@pytest.fixture(autouse=True)
def _no_embedded_loras(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A shelf without the LoRAs that come with the studio, unless a test puts one there."""
    folder = tmp_path / "embedded-loras"
    monkeypatch.setattr(Settings, "embedded_loras_dir", property(lambda _settings: folder))


@pytest.fixture(scope="session")
def tiny_flux(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A complete FLUX pipeline with tiny random weights, in the hub's layout; copy to change it."""
    return build_tiny_flux(tmp_path_factory.mktemp("models") / "tiny-flux")


@pytest.fixture(scope="session")
def tiny_sd(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A complete Stable Diffusion 1.x pipeline with tiny random weights; copy to change it."""
    return build_tiny_stable_diffusion(tmp_path_factory.mktemp("models") / "tiny-sd")
