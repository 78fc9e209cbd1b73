"""Features of the embedded network, copies of training images, and the command over both."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps
from typer.testing import CliRunner

from backend.abc.attributes import Asymmetry, Border
from backend.abc.grammar import CaptionStyle, write_caption
from backend.abc.sampling import sample_split
from backend.cli import build_app
from backend.corpus.pictures import pictures_in
from backend.evaluation.captioned import measure_adherence, stated_in
from backend.evaluation.errors import EvaluationError
from backend.evaluation.features import EMBEDDED, FeatureNetwork, NetworkRecord
from backend.evaluation.memorisation import find_copies, nearest_real
from backend.generation.provenance import build_provenance, write_png
from backend.generation.request import make_request
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
    assert value["adherence"] is None
    near = {Path(one["generated"]).name: one for one in value["nearest"]}
    assert len(near) == COUNT + 3
    assert Path(near["mirrored.png"]["real"]).name == "01.png"
    text = CliRunner().invoke(build_app(), options).stdout
    assert f"Memorised: 3 of {COUNT + 3} images repeat a training image." in text
    assert "No captions" in text


def captioned(folder: Path, *, wrongly: bool = False) -> Path:
    """Phantoms with `metadata.jsonl`; `wrongly` says of each what is true of the next."""
    folder.mkdir()
    truths = [sample_split(np.random.default_rng(n), held_out=False) for n in range(COUNT)]
    lines = []
    for number, truth in enumerate(truths):
        phantom = render(truth, size=128, seed=number)
        Image.fromarray(phantom.image).save(folder / f"{number:02d}.png")
        said = truths[(number + wrongly) % COUNT]
        text = write_caption(said, style=CaptionStyle.PLAIN, seed=number)
        lines.append(json.dumps({"file_name": f"{number:02d}.png", "text": text}))
    (folder / "metadata.jsonl").write_text("\n".join([*lines, ""]), "utf-8")
    return folder


def files_in(folder: Path) -> list[Path]:
    return [picture.path for picture in pictures_in(folder)]


def test_captions_of_a_folder_are_held_against_what_its_images_show(tmp_path: Path) -> None:
    rightly, wrongly = captioned(tmp_path / "a"), captioned(tmp_path / "b", wrongly=True)
    told = measure_adherence(rightly, files_in(rightly))
    mixed = measure_adherence(wrongly, files_in(wrongly))
    assert told is not None
    assert mixed is not None
    assert told.images == COUNT
    assert set(told.scores) == {"colours", "border", "asymmetry", "skin_tone", "edge"}
    assert told.scores["colours"] > 0.9 > mixed.scores["colours"]
    assert told.scores["border"] > mixed.scores["border"]
    low, high = told.intervals["colours"]
    assert low <= told.scores["colours"] <= high


def test_captions_are_those_of_our_own_pngs_where_there_are_no_others(
    sets: tuple[Path, Path], tmp_path: Path
) -> None:
    assert stated_in(sets[0], files_in(sets[0])) == {}
    provenance = build_provenance(
        make_request({"caption": "A symmetric lesion with an irregular border.", "seed": 1}),
        model_hash="0" * 64,
        scheduler="FlowMatchEulerDiscreteScheduler",
        precision="bf16",
        device="cpu",
        threads=1,
        libraries={},
    )
    write_png(tmp_path / "own.png", np.zeros((32, 32, 3), np.uint8), provenance)
    ((file, lesion),) = stated_in(tmp_path, files_in(tmp_path)).items()
    assert file.name == "own.png"
    assert (lesion.asymmetry, lesion.border) == (Asymmetry.SYMMETRIC, Border.IRREGULAR)


@pytest.mark.parametrize(
    "content", [b"\xff\xfe\x00", b"no json", b"[1]", b"{}", b'{"file_name": 3, "text": "x"}', b"7"]
)
def test_broken_metadata_gets_a_sentence(content: bytes, tmp_path: Path) -> None:
    folder = captioned(tmp_path / "set")
    (folder / "metadata.jsonl").write_bytes(content)
    with pytest.raises(EvaluationError, match=r"metadata\.jsonl"):
        measure_adherence(folder, files_in(folder))
