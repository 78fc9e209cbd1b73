"""A folder that is written aside and put in place whole, or not at all, and its archive."""

import shutil
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from backend.errors import DermaFluxError
from backend.files import explained_files, new_file

AfterFile = Callable[[int], None]


def aside_of(destination: Path) -> Path:
    """Where an export is written before it is put in place; a later attempt begins there anew."""
    return destination.with_name(f".{destination.name}.dermaflux-partial")


@contextmanager
def whole_folder(destination: Path, refusal: type[DermaFluxError]) -> Iterator[Path]:
    """An empty folder to be filled, which gets the name of the destination at the end.

    Whatever is raised inside leaves nothing behind.

    Raises:
        DermaFluxError: the `refusal`, where the destination holds something already.
        FileError: disk full, or the destination cannot be written.
    """
    aside = aside_of(destination)
    with explained_files(destination):
        _refuse_taken(destination, refusal)
        shutil.rmtree(aside, ignore_errors=True)
        aside.mkdir(parents=True)
        try:
            yield aside
            if destination.is_dir():
                destination.rmdir()
            aside.replace(destination)
        except BaseException:
            shutil.rmtree(aside, ignore_errors=True)
            raise


def pack(folder: Path, notice: bytes = b"", *, after: AfterFile | None = None) -> Path:
    """Turn an export into `<folder>.zip`; the folder is gone afterwards, whatever happens.

    `notice` is the comment of the archive; `after` is told how many files are in it.

    Raises:
        FileError: disk full or any other refusal of the file system.
    """
    archive = folder.with_name(f"{folder.name}.zip")
    aside = aside_of(archive)
    with explained_files(archive):
        try:
            aside.unlink(missing_ok=True)
            with new_file(aside) as stream, zipfile.ZipFile(stream, "w") as bundle:
                bundle.comment = notice
                files = sorted(file for file in folder.rglob("*") if file.is_file())
                for position, file in enumerate(files):
                    bundle.write(file, f"{folder.name}/{file.relative_to(folder).as_posix()}")
                    if after is not None:
                        after(position + 1)
            aside.replace(archive)
        finally:
            aside.unlink(missing_ok=True)
            shutil.rmtree(folder, ignore_errors=True)
    return archive


def _refuse_taken(destination: Path, refusal: type[DermaFluxError]) -> None:
    if destination.is_dir() and not any(destination.iterdir()):
        return
    if destination.exists():
        raise refusal(f"The folder {destination} is there already: choose a new name.")
