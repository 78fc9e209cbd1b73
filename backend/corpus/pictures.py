"""What duplicates, splits and leakage need to know of an image."""

from dataclasses import dataclass
from pathlib import Path

from backend.corpus.errors import CorpusError
from backend.store.tables import FILE_LENGTH

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".bmp"})


@dataclass(frozen=True)
class Picture:
    """An image file; patient and lesion are None where nobody knows them.

    Ids of patients and lesions are compared as they are: two datasets that count their patients
    from 1 must name themselves in the id.
    """

    image_id: str
    path: Path
    patient_id: str | None = None
    lesion_id: str | None = None


def pictures_in(folder: Path) -> list[Picture]:
    """Every image file below a folder, by path, which is also its id.

    Raises:
        CorpusError: there is no such folder, it holds no image, or a path is too long.
    """
    root = folder.expanduser().absolute()
    if not root.is_dir():
        raise CorpusError(f"There is no folder {folder}: check its name.")
    try:
        paths = sorted(path for path in root.rglob("*") if path.suffix.lower() in SUFFIXES)
        paths = [path for path in paths if path.is_file()]
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise CorpusError(f"The folder {folder} cannot be read: {reason}.") from error
    if not paths:
        raise CorpusError(f"The folder {folder} holds no image: name a folder of images.")
    too_long = next((path for path in paths if len(str(path)) > FILE_LENGTH), None)
    if too_long is not None:
        raise CorpusError(
            f"The path of {too_long.name} has more than {FILE_LENGTH} characters: "
            "move the folder to a shorter one."
        )
    return [Picture(image_id=str(path), path=path) for path in paths]
