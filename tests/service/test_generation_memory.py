"""Memory is estimated before an image is begun, and the estimate is neither blind nor timid."""

import subprocess
import sys
from pathlib import Path

import pytest

from backend.generation.errors import TooLargeError
from backend.generation.memory import (
    activation_bytes,
    available_host_memory,
    check_fits,
    plain_memory_errors,
)
from backend.generation.models import ModelEntry, usable_model
from backend.generation.speed.plans import EXACT, resident_bytes
from backend.settings import Settings
from tests.service.studio import tiny_request

ROOT = Path(__file__).parents[2]


@pytest.fixture
def entry(settings: Settings, tiny_flux: Path) -> ModelEntry:
    """The tiny FLUX by its folder."""
    here = settings.model_copy(update={"model_folders": (tiny_flux,)})
    return usable_model(here, tiny_flux.name)


def check(
    entry: ModelEntry, side: int, available: int, *, loaded: bool = True, added_weights: int = 0
) -> None:
    check_fits(
        entry,
        tiny_request(width=side, height=side),
        available=available,
        bytes_per_weight=4,
        device="cpu",
        weights=0 if loaded else resident_bytes(entry, EXACT, 4) + 4 * added_weights,
    )


def test_a_size_beyond_memory_is_refused_with_the_largest_that_fits(entry: ModelEntry) -> None:
    room = activation_bytes(entry, 512, 512, 32, 4)
    check(entry, 512, room)
    with pytest.raises(TooLargeError, match="the largest square that fits is 512 x 512") as caught:
        check(entry, 2048, room)
    assert "2048 x 2048 pixels by Tiny FLUX needs about" in str(caught.value)


def test_a_model_beyond_memory_is_refused_unless_it_is_loaded(entry: ModelEntry) -> None:
    room = activation_bytes(entry, 64, 64, 32, 4)
    check(entry, 64, room)
    check(entry, 64, room + resident_bytes(entry, EXACT, 4), loaded=False)
    with pytest.raises(TooLargeError, match="choose a smaller model"):
        check(entry, 64, room, loaded=False)


def test_the_weights_of_loras_count_as_well(entry: ModelEntry) -> None:
    room = activation_bytes(entry, 64, 64, 32, 4) + resident_bytes(entry, EXACT, 4)
    check(entry, 64, room + 400, loaded=False, added_weights=100)
    with pytest.raises(TooLargeError, match="choose a smaller model"):
        check(entry, 64, room + 399, loaded=False, added_weights=100)


def test_weights_count_by_the_precision_they_are_loaded_in(entry: ModelEntry) -> None:
    stored = sum(file.stat().st_size for file in entry.folder.rglob("*.safetensors"))
    assert resident_bytes(entry, EXACT, 4) == 2 * resident_bytes(entry, EXACT, 2)
    assert 0.8 * stored < resident_bytes(entry, EXACT, 2) <= stored


def test_this_machine_has_memory_left() -> None:
    assert available_host_memory() > 0


def test_what_the_allocator_of_torch_says_is_a_memory_error() -> None:
    import torch

    with pytest.raises(MemoryError), plain_memory_errors():
        torch.empty(2**60, dtype=torch.uint8)


def test_other_errors_pass_unchanged() -> None:
    with pytest.raises(RuntimeError, match="shape") as caught, plain_memory_errors():
        raise RuntimeError("shape mismatch")
    assert type(caught.value) is RuntimeError


PEAK = """
import re, sys
from pathlib import Path
from backend.generation.models import usable_model
from backend.generation.pipelines import choose_device, encode_caption, load_model, render
from backend.settings import Settings
from tests.service.studio import tiny_request

folder = Path(sys.argv[1])
settings = Settings(workspace=folder.parent, device="cpu", threads=1, model_folders=(folder,))
model = load_model(settings, usable_model(settings, folder.name), choose_device(settings))

def peak(side):
    request = tiny_request(width=side, height=side, steps=1)
    render(model, request, encode_caption(model, request), lambda *_: None)
    # Not ru_maxrss, which a process inherits from the one that started it.
    return int(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]) * 1024

print(peak(64), peak(1536))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the peak is read from Linux's /proc")
def test_the_estimate_is_near_what_an_image_takes(entry: ModelEntry) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PEAK, str(entry.folder)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    small, large = (int(value) for value in done.stdout.split())
    estimate = activation_bytes(entry, 1536, 1536, 32, 4)
    assert 0.5 * estimate < large - small < 1.25 * estimate
