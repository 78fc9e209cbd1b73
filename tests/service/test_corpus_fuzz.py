"""Of a thousand files that nobody can read every one is named, and what can be read is read."""

import os
import random
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from backend.corpus.catalogue import catalogue_lines, list_left_out
from backend.corpus.errors import CorpusError
from backend.corpus.exclusions import LeftOut
from backend.corpus.places import open_item, scan
from backend.corpus.queries import count_corpus, iterate_corpus
from backend.images import read_image
from backend.settings import Settings
from backend.store.database import Database
from tests.broken_files import (
    PERSON,
    broken_dicom,
    broken_pictures,
    deflated_bomb,
    encoded,
    odd_pictures,
    picture,
    write_broken_hdf5,
    write_broken_zip,
    write_damaged_zip,
    write_zip_bomb,
)
from tests.service.imports import import_folder

PICTURES, DICOM, MEMBERS, ENTRIES, LINKS = 569, 160, 180, 80, 4
"""How many of each kind; with a few that come once they are a thousand."""
NAMED = 1_000
NOBODY = 65_534


def left_out(database: Database) -> dict[str, LeftOut]:
    return {one.place: one for _, one in list_left_out(database, limit=None)}


def write_broken(root: Path, rng: random.Random) -> set[str]:
    """A thousand broken files of all kinds below a folder; returns the places they have."""
    folder = root / "nevus"
    folder.mkdir(parents=True)
    places = set()
    for kinds, count, mark in ((broken_pictures, PICTURES, "p"), (broken_dicom, DICOM, "d")):
        for number, (name, data) in zip(range(count), kinds(rng), strict=False):
            place = f"nevus/{mark}{number:04d}-{name}"
            (root / place).write_bytes(data)
            places.add(place)
    for number in range(LINKS):
        place = f"nevus/link{number}.jpg"
        (root / place).symlink_to(("/etc/passwd", "nowhere", "..", "link0.jpg")[number])
        places.add(place)
    (root / "nevus" / "deflated-bomb.dcm").write_bytes(deflated_bomb())
    os.mkfifo(root / "nevus" / "endless.jpg")
    members = write_broken_zip(root / "members.zip", rng, MEMBERS)
    places |= {f"members.zip!/{name}" for name in members}
    places.add(f"bomb.zip!/{write_zip_bomb(root / 'bomb.zip')}")
    places.add(f"turned.ZIP!/{write_damaged_zip(root / 'turned.ZIP', rng)}")
    entries = write_broken_hdf5(root / "nevus.hdf5", rng, ENTRIES)
    places |= {f"nevus.hdf5!/{name}" for name in entries}
    whole = (root / "nevus.hdf5").read_bytes()
    (root / "cut.h5").write_bytes(whole[: len(whole) // 2])
    (root / "none.hdf5").write_bytes(rng.randbytes(2_000))
    (root / "none.zip").write_bytes(b"PK\3\4" + rng.randbytes(500))
    once = {"nevus/endless.jpg", "nevus/deflated-bomb.dcm", "cut.h5", "none.hdf5", "none.zip"}
    return places | once


def test_of_a_thousand_broken_files_every_one_is_named_and_the_import_goes_on(
    settings: Settings, database: Database, tmp_path: Path
) -> None:
    broken = write_broken(tmp_path / "set", random.Random(4))
    assert len(broken) == NAMED
    odd = odd_pictures()
    for name, data in odd.items():
        (tmp_path / "set" / "nevus" / f"odd-{name}").write_bytes(data)
    import_folder(settings, database, tmp_path / "set", processes=2)
    named = left_out(database)
    assert set(named) == broken
    assert all(one.detail and "\n" not in one.detail for one in named.values())
    assert PERSON not in "".join(catalogue_lines(database))
    read = {
        one.source_id.removeprefix("nevus/odd-"): one for one in iterate_corpus(database, settings)
    }
    assert set(read) == {name.rsplit(".", 1)[0] for name in odd}


def test_what_is_odd_has_the_pixels_of_its_picture(
    settings: Settings, database: Database, tmp_path: Path
) -> None:
    folder = tmp_path / "set" / "nevus"
    folder.mkdir(parents=True)
    for name, data in odd_pictures().items():
        (folder / name).write_bytes(data)
    import_folder(settings, database, tmp_path / "set", side=48, encoding="png")
    pixels = {
        one.source_id.removeprefix("nevus/"): read_image(one.file).astype(int)
        for one in iterate_corpus(database, settings)
    }
    for name, seed in (("pages", 6), ("moving", 6), ("plain", 9), ("rgba", 2), ("deflated", 11)):
        assert np.array_equal(pixels[name], np.asarray(picture(seed))), name
    for name, seed in (("jpeg-inside", 10), ("sixteen-colours", 12), ("UPPER", 5), ("cmyk", 3)):
        assert np.abs(pixels[name] - np.asarray(picture(seed))).mean() < 12, name
    colours = np.unique(pixels["palette-inside"].reshape(-1, 3), axis=0)
    assert np.array_equal(colours, [[200, 100, 50]])


@pytest.mark.parametrize("seed", range(3))
def test_whatever_bytes_are_turned_a_file_is_read_or_named(
    settings: Settings, database: Database, tmp_path: Path, seed: int
) -> None:
    rng = random.Random(seed)
    folder = tmp_path / "set" / "nevus"
    folder.mkdir(parents=True)
    sound = list(odd_pictures().items())
    for number in range(100):
        name, data = rng.choice(sound)
        turned = bytearray(data)
        for _ in range(rng.randrange(1, 30)):
            turned[rng.randrange(len(turned))] = rng.randrange(256)
        (folder / f"{number:03d}{Path(name).suffix}").write_bytes(turned)
    (folder / "sound.jpg").write_bytes(encoded(picture(1)))
    import_folder(settings, database, tmp_path / "set", processes=2)
    assert count_corpus(database) + len(left_out(database)) == 101
    assert count_corpus(database) >= 1


def test_a_folder_and_a_file_that_may_not_be_read_are_named() -> None:
    with tempfile.TemporaryDirectory() as outside, _as_nobody(Path(outside)) as root:
        (root / "nevus").mkdir()
        (root / "nevus" / "sound.jpg").write_bytes(encoded(picture(1)))
        (root / "nevus" / "locked.jpg").write_bytes(encoded(picture(1)))
        (root / "nevus" / "locked.jpg").chmod(0)
        (root / "shut").mkdir(mode=0)
        items, refused = scan(root)
        assert [(one.place, one.why) for one in refused] == [
            ("shut", "this folder cannot be read: permission denied")
        ]
        assert [item.path for item in items] == ["nevus/locked.jpg", "nevus/sound.jpg"]
        with pytest.raises(CorpusError, match=r"locked\.jpg cannot be read: Permission denied"):
            open_item(root, items[0]).__enter__()


@contextmanager
def _as_nobody(outside: Path) -> Iterator[Path]:
    """A folder of one's own; root, who may read everything, is a common user in it meanwhile."""
    root = outside / "set"
    root.mkdir()
    if os.geteuid():
        yield root
        return
    outside.chmod(0o755)
    os.chown(root, NOBODY, NOBODY)
    os.seteuid(NOBODY)
    try:
        yield root
    finally:
        os.seteuid(0)
