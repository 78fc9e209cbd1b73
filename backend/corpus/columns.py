"""The columns of the tables of a download, for a person to choose from."""

import os
import zipfile
from collections import deque
from collections.abc import Iterator
from pathlib import Path

from backend.corpus.errors import CorpusError
from backend.corpus.matching import peek_tables
from backend.corpus.places import ZIP_SUFFIX, Item, base_of, require_root, scan
from backend.corpus.tables import SUFFIXES

MAX_ENTRIES = 50_000
"""Files and folders that are passed on the way; tables lie near the top of a download."""
MAX_TABLES = 20


def list_columns(root: Path) -> dict[str, tuple[str, ...]]:
    """The header of each table near the top of a folder, or in a zip, by its place.

    Raises:
        CorpusError: there is no such folder or zip, or no table was found in it.
    """
    require_root(root)
    items = scan(root)[0] if zipfile.is_zipfile(root) else list(_near_the_top(root))
    tables = [item for item in items if item.inner.suffix.casefold() in SUFFIXES][:MAX_TABLES]
    found = {peek.item.place: peek.header for peek in peek_tables(base_of(root), tables)}
    if not found:
        raise CorpusError(
            f"No table lies near the top of {root}: put its CSV or Parquet file there, or write "
            "the names of its columns."
        )
    return found


def _near_the_top(root: Path) -> Iterator[Item]:
    """Files, those of a folder before those below it, until MAX_ENTRIES were passed."""
    folders = deque([root])
    passed = 0
    try:
        while folders and passed < MAX_ENTRIES:
            with os.scandir(folders.popleft()) as entries:
                for entry in sorted(entries, key=lambda entry: entry.name):
                    passed += 1
                    if entry.is_dir(follow_symlinks=False):
                        folders.append(Path(entry.path))
                    elif entry.is_file(follow_symlinks=False) and not entry.name.endswith(
                        ZIP_SUFFIX
                    ):
                        yield Item(Path(entry.path).relative_to(root).as_posix())
    except OSError as error:
        reason = error.strerror or "unknown reason"
        raise CorpusError(f"The folder {root} cannot be read: {reason}.") from error
