"""An export is whole, byte for byte, and says in every place that it is synthetic."""

import errno
import json
import os
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from backend.abc.sampling import sample_attributes
from backend.files import FileError
from backend.generation import gallery
from backend.generation.errors import ForeignImageError, GenerationError
from backend.generation.export import export_image_folder, new_export_folder, pack
from backend.generation.gallery import get_image
from backend.generation.provenance import read_png
from backend.settings import Settings
from backend.store.database import Database
from tests.service.pictures import fill_gallery

LESIONS = [sample_attributes(np.random.default_rng(seed)) for seed in range(3)]


@pytest.fixture
def ids(settings: Settings, database: Database) -> list[str]:
    """Three images of random lesions."""
    return fill_gallery(settings, database, LESIONS)


def zipped(settings: Settings, database: Database, ids: list[str]) -> Path:
    """An export as the page's jobs pack it."""
    return pack(export_image_folder(database, settings, ids, new_export_folder(settings)))


def test_images_are_copied_byte_for_byte_beside_metadata_that_tells_all(
    settings: Settings, database: Database, ids: list[str], tmp_path: Path
) -> None:
    chosen = [ids[2], ids[0], ids[2]]
    folder = export_image_folder(database, settings, chosen, tmp_path / "out" / "set")
    rows = [json.loads(line) for line in (folder / "metadata.jsonl").read_text().splitlines()]
    assert [row["file_name"] for row in rows] == [f"{ids[2]}.png", f"{ids[0]}.png"]
    for row in rows:
        image = get_image(database, settings, row["file_name"].removesuffix(".png"))
        assert (folder / row["file_name"]).read_bytes() == image.path.read_bytes()
        assert row["synthetic"] is True
        assert (row["text"], row["seed"], row["model"]) == (image.caption, image.seed, "starter")
        assert row["model_hash"] == "ab" * 32
        for name, value in image.requested.model_dump(mode="json").items():
            assert row[name] == value
        assert row["measured_border"] == image.measured.border
        assert "measured_diagnosis" not in row
    readme = (folder / "README.txt").read_text()
    assert "2 synthetic images" in readme
    assert "Not for diagnosis" in readme
    assert len(list(folder.iterdir())) == 5


def test_an_archive_holds_the_same_folder_and_leaves_only_itself(
    settings: Settings, database: Database, ids: list[str]
) -> None:
    first, second = (zipped(settings, database, ids) for _ in range(2))
    assert sorted(settings.exports_dir.iterdir()) == sorted([first, second])
    with zipfile.ZipFile(first) as archive:
        assert archive.testzip() is None
        names = {Path(name).name for name in archive.namelist()}
        assert names == {
            "metadata.jsonl",
            "manifest.json",
            "README.txt",
            *(f"{name}.png" for name in ids),
        }
        png = next(name for name in archive.namelist() if name.endswith(".png"))
        assert read_png(archive.read(png)).synthetic


def test_nothing_selected_or_a_taken_name_is_said(
    settings: Settings, database: Database, ids: list[str], tmp_path: Path
) -> None:
    with pytest.raises(GenerationError, match="No image is selected"):
        export_image_folder(database, settings, [], tmp_path / "out")
    with pytest.raises(GenerationError, match="is there already"):
        export_image_folder(database, settings, ids, tmp_path)
    with pytest.raises(GenerationError, match="There is no image gone"):
        export_image_folder(database, settings, ["gone"], tmp_path / "out")


def test_a_file_that_lost_its_mark_is_not_exported(
    settings: Settings, database: Database, ids: list[str], tmp_path: Path
) -> None:
    path = get_image(database, settings, ids[1]).path
    with Image.open(path) as image:
        pixels = image.copy()
    pixels.info = {}
    pixels.save(path)
    with pytest.raises(ForeignImageError):
        export_image_folder(database, settings, ids, tmp_path / "out")
    assert not any(tmp_path.glob("out*"))


def test_a_full_disk_leaves_no_half_export(
    settings: Settings,
    database: Database,
    ids: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def full(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(FileError, match="The disk is full"):
        export_image_folder(database, settings, ids, tmp_path / "out")
    with pytest.raises(FileError, match="The disk is full"):
        zipped(settings, database, ids)
    assert not any(tmp_path.glob("out*"))
    assert list(settings.exports_dir.iterdir()) == []


def test_a_deleted_file_is_said(
    settings: Settings, database: Database, ids: list[str], tmp_path: Path
) -> None:
    gallery.delete(database, ids[:1])
    get_image(database, settings, ids[0]).path.unlink()
    with pytest.raises(FileError, match="no longer in the workspace"):
        export_image_folder(database, settings, ids, tmp_path / "out")
