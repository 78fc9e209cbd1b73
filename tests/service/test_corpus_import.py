"""An import catalogues what can be read, names all else, and leaves the same however it went."""

import os
import random
import signal
import stat
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import h5py
import numpy as np
import psutil
import pytest

from backend.corpus.catalogue import catalogue_lines, count_left_out, list_left_out
from backend.corpus.exclusions import Reason
from backend.corpus.importing import make_task, plan_task, submit_import
from backend.corpus.queries import count_corpus, iterate_corpus, query_corpus
from backend.corpus.standard import byte_hash
from backend.files import temporary_name
from backend.images import pixel_hash, read_image
from backend.jobs.processes import this_process
from backend.jobs.queue import claim_next, get_job, retry
from backend.jobs.states import JobState
from backend.jobs.worker import Worker
from backend.settings import Settings
from backend.store.database import Database, open_database
from tests.broken_files import encoded, picture
from tests.service.imports import import_folder
from tests.service.studio import partial_files, wait_for

ROOT = Path(__file__).parents[2]
HAM10000 = ROOT.parent / "shared" / "data" / "ham10000"


def whole(database: Database) -> str:
    return "".join(catalogue_lines(database))


def write_classes(folder: Path, count: int, side: int = 48) -> None:
    for number in range(count):
        label = ("melanoma", "nevus")[number % 2]
        (folder / label).mkdir(parents=True, exist_ok=True)
        (folder / label / f"{number:04d}.jpg").write_bytes(encoded(picture(number, side)))


def files_of(settings: Settings) -> dict[str, bytes]:
    files = (file for file in settings.corpus_dir.rglob("*") if file.is_file())
    return {file.relative_to(settings.workspace).as_posix(): file.read_bytes() for file in files}


def test_an_import_catalogues_images_with_their_facts_and_copies(
    settings: Settings, any_database: Database, tmp_path: Path
) -> None:
    (tmp_path / "ham").mkdir()
    (tmp_path / "ham" / "labels.csv").write_text(
        "file,image_id,lesion_id,dx,age,sex,localization\n"
        "images/ISIC_1.jpg,ISIC_1,HAM_7,mel,55.0,female,trunk\n"
        "images/ISIC_2.jpg,ISIC_2,HAM_8,nv,,,unknown\n"
    )
    (tmp_path / "ham" / "images").mkdir()
    for number in (1, 2):
        file = tmp_path / "ham" / "images" / f"ISIC_{number}.jpg"
        file.write_bytes(encoded(picture(number, 300)))
    import_folder(settings, any_database, tmp_path / "ham", "ham10000", side=512)
    melanoma, nevus = sorted(iterate_corpus(any_database, settings), key=lambda one: one.source_id)
    assert (melanoma.lesion, melanoma.diagnosis, melanoma.diagnosis_given) == (
        *("HAM_7", "melanoma", "mel"),
    )
    assert (melanoma.label, melanoma.age, melanoma.sex, melanoma.site) == (
        *("malignant", 55, "female", "torso"),
    )
    assert (nevus.label, nevus.age, nevus.sex, nevus.site) == ("benign", None, "", "")
    assert read_image(melanoma.file).shape == (512, 512, 3)
    assert read_image(melanoma.thumbnail).shape == (256, 256, 3)
    original = read_image(tmp_path / "ham" / "images" / "ISIC_1.jpg")
    assert (melanoma.width, melanoma.pixel_hash) == (300, pixel_hash(original))


def test_an_import_that_is_run_again_changes_nothing(
    settings: Settings, database: Database, tmp_path: Path
) -> None:
    write_classes(tmp_path / "set", 40)
    (tmp_path / "set" / "nevus" / "broken.jpg").write_bytes(b"no picture")
    import_folder(settings, database, tmp_path / "set")
    rows, files = whole(database), files_of(settings)
    moments = {name: (settings.workspace / name).stat().st_mtime_ns for name in files}
    import_folder(settings, database, tmp_path / "set")
    assert whole(database) == rows
    assert {name: (settings.workspace / name).stat().st_mtime_ns for name in files} == moments
    assert partial_files(settings) == []


def test_what_changed_in_the_folder_changes_in_the_catalogue(
    settings: Settings, database: Database, tmp_path: Path
) -> None:
    write_classes(tmp_path / "set", 4)
    import_folder(settings, database, tmp_path / "set")
    before = {one.source_id: one for one in iterate_corpus(database, settings)}
    (tmp_path / "set" / "nevus" / "0001.jpg").write_bytes(encoded(picture(99)))
    (tmp_path / "set" / "nevus" / "0003.jpg").write_bytes(b"")
    (tmp_path / "set" / "melanoma" / "0000.jpg").rename(tmp_path / "set" / "nevus" / "0000.jpg")
    import_folder(settings, database, tmp_path / "set")
    after = {one.source_id: one for one in iterate_corpus(database, settings)}
    assert before["nevus/0001"].pixel_hash != after["nevus/0001"].pixel_hash
    assert "nevus/0003" not in after
    assert after["nevus/0000"].label == "benign"
    assert count_corpus(database) == len(after)


def test_a_lost_copy_is_made_again(settings: Settings, database: Database, tmp_path: Path) -> None:
    write_classes(tmp_path / "set", 2)
    import_folder(settings, database, tmp_path / "set")
    rows, files = whole(database), files_of(settings)
    query_corpus(database, settings)[0].file.unlink()
    import_folder(settings, database, tmp_path / "set")
    assert (whole(database), files_of(settings)) == (rows, files)


def start_import(settings: Settings, folder: Path) -> subprocess.Popen[bytes]:
    command = [*("corpus", "import", "folder", str(folder), "--side", "64", "--processes", "2")]
    return subprocess.Popen(
        [sys.executable, "-m", "backend", *command],
        cwd=ROOT,
        env=os.environ | settings.environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def test_an_import_killed_at_random_and_run_again_ends_with_the_same_bytes(
    settings: Settings, database: Database, tmp_path: Path
) -> None:
    write_classes(tmp_path / "set", 400, side=320)
    (tmp_path / "set" / "nevus" / "broken.jpg").write_bytes(b"no picture")
    killed = 0
    for _ in range(2):
        process = start_import(settings, tmp_path / "set")
        known = count_corpus(database)
        wait_for(lambda: count_corpus(database) > known or process.poll() is not None)  # noqa: B023
        time.sleep(random.uniform(0, 0.2))
        killed += process.poll() is None
        helpers = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(signal.SIGKILL)
        process.wait()
        psutil.wait_procs(helpers)
    assert killed
    import_folder(settings, database, tmp_path / "set", processes=2)
    other = Settings(workspace=tmp_path / "other")
    undisturbed = open_database(other)
    import_folder(other, undisturbed, tmp_path / "set")
    assert whole(database) == whole(undisturbed)
    assert files_of(settings) == files_of(other)
    assert partial_files(settings) == []
    undisturbed.close()


DYING = """
import os, sys
from pathlib import Path
from backend.corpus import copying
from backend.corpus.places import Item
from backend.corpus.pool import CopyPool
from backend.corpus.recipe import Recipe

read = copying.standard_copy

def dying(data, name, recipe):
    if name.endswith("fatal.jpg"):
        os.abort()
    return read(data, name, recipe)

copying.standard_copy = dying
if __name__ == "__main__":
    root, workspace = Path(sys.argv[1]), Path(sys.argv[2])
    bench = copying.Bench(root, workspace, "corpus", workspace, Recipe(side=64))
    files = sorted(file.relative_to(root).as_posix() for file in root.rglob("*.jpg"))
    chunk = [copying.Original(Item(file)) for file in files]
    with CopyPool(bench, 2) as pool:
        for results in pool.copy([chunk, chunk[:2]]):
            print([type(one).__name__ for one in results])
"""


def test_a_decoder_that_dies_costs_its_image_alone(settings: Settings, tmp_path: Path) -> None:
    write_classes(tmp_path / "set", 6)
    (tmp_path / "set" / "nevus" / "fatal.jpg").write_bytes(encoded(picture(6)))
    script = tmp_path / "dying.py"
    script.write_text(DYING)
    done = subprocess.run(
        [sys.executable, str(script), str(tmp_path / "set"), str(settings.workspace)],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=240,
    )
    chunks = [["Copied"] * 6 + ["LeftOut"], ["Copied"] * 2]
    assert done.stdout.splitlines() == list(map(str, chunks)), done.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full on this system")
def test_a_full_disk_ends_an_import_with_a_sentence_and_a_retry_ends_it_well(
    settings: Settings, database: Database, tmp_path: Path
) -> None:
    write_classes(tmp_path / "set", 3)
    task = plan_task("folder", tmp_path / "set", side=64, processes=1)
    job_id = submit_import(database, task)
    digest = byte_hash((tmp_path / "set" / "nevus" / "0001.jpg").read_bytes())
    aside = temporary_name(f"corpus-{task.recipe.name}-{digest[:2]}-{digest}.jpg")
    (settings.jobs_dir / job_id).mkdir(parents=True)
    (settings.jobs_dir / job_id / aside).symlink_to("/dev/full")
    worker = Worker(settings, database)
    for state, words, count in (
        (JobState.FAILED, f"The disk is full: {digest}.jpg was not written", 0),
        (JobState.DONE, "", 3),
    ):
        job = claim_next(database, this_process())
        assert job is not None
        assert worker.run_job(job) is state
        assert (get_job(database, job_id).error or "").startswith(words)
        assert count_corpus(database) == count
        assert partial_files(settings) == []
        if state is JobState.FAILED:
            retry(database, job_id)


def test_a_zip_is_read_in_place_and_what_is_unsafe_in_it_is_named(
    settings: Settings, database: Database, tmp_path: Path
) -> None:
    (tmp_path / "set").mkdir()
    with zipfile.ZipFile(tmp_path / "set" / "download.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("set/nevus/one.jpg", encoded(picture(1)))
        archive.writestr("../nevus/escaped.jpg", encoded(picture(2)))
        archive.writestr("/nevus/absolute.jpg", encoded(picture(3)))
        archive.writestr("nevus/bomb.jpg", bytes(80 * 2**20))
        link = zipfile.ZipInfo("nevus/link.jpg")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, "/etc/passwd")
    (tmp_path / "set" / "broken.zip").write_bytes(b"PK\3\4 and no more")
    import_folder(settings, database, tmp_path / "set")
    assert [one.source_id for one in query_corpus(database, settings)] == ["nevus/one"]
    refused = {one.place: one.detail for _, one in list_left_out(database, reason=Reason.REFUSED)}
    assert {place.rsplit("/", 1)[-1]: words for place, words in refused.items()} == {
        "escaped.jpg": "'..' in its name in a zip",
        "absolute.jpg": "an absolute name in a zip",
        "bomb.jpg": "a zip bomb",
        "link.jpg": "a link in a zip",
        "broken.zip": "this zip is damaged: get a fresh copy",
    }
    assert not (tmp_path / "nevus").exists()


def test_pictures_in_an_hdf5_file_are_imported_and_broken_entries_named(
    settings: Settings, database: Database, tmp_path: Path
) -> None:
    (tmp_path / "set").mkdir()
    names = ("ISIC_1", "ISIC_2", "ISIC_3", "ISIC_4", "ISIC_5")
    rows = "".join(f"{name},{place % 2},IP_1,TBP\n" for place, name in enumerate(names))
    (tmp_path / "set" / "train-metadata.csv").write_text(
        "isic_id,target,patient_id,tbp_tile_type\n" + rows
    )
    with h5py.File(tmp_path / "set" / "train-image.hdf5", "w") as file:
        file["ISIC_1"] = np.void(encoded(picture(1)))
        file["ISIC_2"] = np.frombuffer(encoded(picture(2)), np.uint8)
        file["ISIC_3"] = b"no picture"
        file["ISIC_4"] = 3.5
        file["ISIC_5"] = h5py.ExternalLink("/etc/passwd", "x")
    (tmp_path / "set" / "other.hdf5").write_bytes(b"no HDF5")
    import_folder(settings, database, tmp_path / "set", "isic2024")
    images = query_corpus(database, settings)
    assert {(one.source_id, one.label) for one in images} == {
        ("ISIC_1", "benign"),
        ("ISIC_2", "malignant"),
    }
    assert {(one.place, one.reason) for _, one in list_left_out(database)} == {
        ("train-image.hdf5!/ISIC_3", Reason.BROKEN),
        ("train-image.hdf5!/ISIC_4", Reason.BROKEN),
        ("train-image.hdf5!/ISIC_5", Reason.REFUSED),
        ("ISIC_5", Reason.NO_IMAGE),
        ("other.hdf5", Reason.REFUSED),
    }


def test_links_and_names_that_are_no_text_are_refused(
    settings: Settings, database: Database, tmp_path: Path
) -> None:
    folder = tmp_path / "set" / "nevus"
    folder.mkdir(parents=True)
    (tmp_path / "secret.jpg").write_bytes(encoded(picture(1)))
    (folder / "link.jpg").symlink_to(tmp_path / "secret.jpg")
    Path(os.fsdecode(bytes(folder) + b"/\xff.jpg")).write_bytes(encoded(picture(2)))
    import_folder(settings, database, tmp_path / "set")
    assert count_left_out(database) == {Reason.REFUSED: 2}


def test_a_queued_import_waits_for_a_worker(database: Database, tmp_path: Path) -> None:
    write_classes(tmp_path / "set", 1)
    job = get_job(database, submit_import(database, plan_task("folder", tmp_path / "set")))
    assert job.title == "Import of Image folder from set"
    assert make_task(job.payload).recipe.side == 512


@pytest.mark.skipif(not HAM10000.is_dir(), reason="the real images are not on this machine")
def test_the_real_images_are_all_catalogued(settings: Settings, database: Database) -> None:
    import_folder(settings, database, HAM10000, "ham10000")
    assert count_corpus(database) == 2100
    assert count_left_out(database) == {}
