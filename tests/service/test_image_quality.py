"""Features of the embedded network, copies of training images, and the command over both."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps
from typer.testing import CliRunner

from backend.abc.sampling import sample_split
from backend.cli import build_app
from backend.corpus.pictures import pictures_in
from backend.evaluation.errors import EvaluationError
from backend.evaluation.features import EMBEDDED, FeatureNetwork, NetworkRecord
from backend.evaluation.memorisation import find_copies, nearest_real
from backend.phantom import render
from backend.settings import Settings

COUNT = 12


@pytest.fixture(scope="module")
def network() -> FeatureNetwork:
    """The embedded one."""
    return FeatureNetwork()


@pytest.fixture(scope="module")
def sets(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Drawn lesions to train on, and generated ones: the last three repeat the first three."""
    home = tmp_path_factory.mktemp("sets")
    train, made = home / "train", home / "made"
    for folder, seed in ((train, 10), (made, 500)):
        folder.mkdir()
        for number in range(COUNT):
            attributes = sample_split(np.random.default_rng(seed + number), held_out=False)
            pixels = render(attributes, size=96, seed=seed + number).image
            Image.fromarray(pixels).save(folder / f"{number:02d}.png")
    first, second, third = (Image.open(train / f"{number:02d}.png") for number in range(3))
    first.save(made / "recompressed.jpg", quality=60)
    ImageOps.mirror(second).save(made / "mirrored.png")
    third.crop((4, 2, 94, 92)).resize((96, 96)).save(made / "cropped.png")
    return train, made


def test_features_are_the_same_again_and_differ_between_images(
    network: FeatureNetwork, sets: tuple[Path, Path]
) -> None:
    files = [picture.path for picture in pictures_in(sets[0])][:3]
    heard: list[int] = []
    once = network.embed(files, progress=heard.append)
    assert once.shape == (3, 1280)
    assert heard == [3]
    np.testing.assert_array_equal(once, network.embed(files))
    assert np.abs(once[0] - once[1]).max() > 0.1


def test_fewer_pixels_first_show_less_detail(
    network: FeatureNetwork, sets: tuple[Path, Path]
) -> None:
    files = [pictures_in(sets[0])[0].path]
    assert np.abs(network.embed(files) - network.embed(files, side=32)).max() > 0.01


def test_what_is_no_image_gets_a_sentence(network: FeatureNetwork, tmp_path: Path) -> None:
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no image")
    with pytest.raises(EvaluationError, match=r"broken\.png cannot be read"):
        network.embed([broken])
    with pytest.raises(EvaluationError, match="no images to look at"):
        network.embed([])


def test_weights_that_are_missing_or_damaged_get_a_sentence(tmp_path: Path) -> None:
    damaged = tmp_path / "damaged.safetensors"
    damaged.write_bytes(b"\0" * 40)
    for weights in (damaged, tmp_path / "gone.safetensors"):
        record = NetworkRecord("Own", EMBEDDED.architecture, weights, 224, 127.0, 128.0)
        with pytest.raises(EvaluationError, match="missing, damaged or of another network"):
            FeatureNetwork(record)


def test_copies_are_found_however_they_were_changed_and_nothing_else(
    sets: tuple[Path, Path], tmp_path: Path
) -> None:
    train, made = map(pictures_in, sets)
    copies = find_copies(made, train, tmp_path / "prints.sqlite")
    assert {(copy.generated.name, copy.real.name) for copy in copies} == {
        ("recompressed.jpg", "00.png"),
        ("mirrored.png", "01.png"),
        ("cropped.png", "02.png"),
    }


def test_the_nearest_neighbour_of_a_copy_is_its_source(
    network: FeatureNetwork, sets: tuple[Path, Path]
) -> None:
    train, made = ([picture.path for picture in pictures_in(folder)] for folder in sets)
    found = nearest_real(network.embed(made), network.embed(train), made, train)
    named = {neighbour.generated.name: neighbour for neighbour in found}
    assert named["recompressed.jpg"].real.name == "00.png"
    assert named["mirrored.png"].real.name == "01.png"
    assert len(found) == len(made)


def test_nearer_than_lesions_are_to_each_other_is_unusual() -> None:
    real = np.random.default_rng(0).normal(size=(50, 20)).astype(np.float32)
    files = [Path(f"{number}.png") for number in range(50)]
    twins = np.concatenate([real, real[:1] + 0.01])
    copied, other = nearest_real(
        np.stack([real[3] * 2, -real[3]]),
        twins,
        files[:2],
        [*files, Path("twin.png")],
        lesions=[*(path.stem for path in files), "0"],
    )
    assert (copied.real, copied.usual) == (files[3], False)
    assert copied.likeness == pytest.approx(1)
    assert other.usual


def test_the_command_prints_figures_and_names_copies(
    sets: tuple[Path, Path], settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in settings.environment().items():
        monkeypatch.setenv(name, value)
    train, made = map(str, sets)
    options = ["evaluate", "images", "--real", train, "--generated", made, "--train", train]
    result = CliRunner().invoke(build_app(), [*options, "--json"])
    assert result.exit_code == 0, result.exception
    (value,) = json.loads(result.stdout)
    assert value["network"] == EMBEDDED.name
    assert (value["generated"], value["real"], len(value["copies"])) == (COUNT + 3, COUNT, 3)
    assert value["frechet"] > 0
    text = CliRunner().invoke(build_app(), options).stdout
    assert f"Memorised: 3 of {COUNT + 3} images repeat a training image." in text
