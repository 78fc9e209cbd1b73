"""Real models, built once a session, that the tests of every room may load."""

from pathlib import Path

import pytest

from tests.tiny_models import build_tiny_flux


@pytest.fixture(scope="session")
def tiny_flux(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A complete FLUX pipeline with tiny random weights, in the hub's layout; copy to change it."""
    return build_tiny_flux(tmp_path_factory.mktemp("models") / "tiny-flux")
