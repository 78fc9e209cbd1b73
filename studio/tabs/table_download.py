"""A table for other programs, written into the workspace and handed to the browser at once."""

import hashlib
from collections.abc import Iterable

from backend.files import write_file
from backend.permissions import Deed
from studio.context import StudioContext
from studio.markup import escape, file_url, one_line
from studio.permissions import permit

NAMED_BY = 12


def offer_table(studio: StudioContext, name: str, lines: Iterable[str]) -> str:
    """Write lines of CSV under a name that tells their content, and the HTML that downloads it.

    Raises AccountError where the person may not, FileError where it cannot be written.
    """
    permit(studio, Deed.EXPORT)
    data = "".join(lines).encode()
    file = studio.settings.exports_dir / f"{name}-{hashlib.sha256(data).hexdigest()[:NAMED_BY]}.csv"
    write_file(file, data)
    rows = max(0, data.count(b"\n") - 1)
    return one_line(f"""
    <p class="df-undo" role="status">The table has {rows:,} lines:
    <a class="df-button" href="{file_url(file)}" download="{escape(file.name)}" data-download>
    Download {escape(name)}.csv</a></p>
    """)
