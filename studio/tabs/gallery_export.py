"""Images taken away: an image folder with metadata.jsonl, zipped, behind a link."""

from backend.generation.export import export_zip
from backend.generation.selection import Selection, count_drafts, count_selected, left_out
from studio.context import StudioContext
from studio.markup import escape, file_url, one_line

KIB, MIB = 1024, 1024 * 1024


def export_link(studio: StudioContext, selection: Selection) -> str:
    """Write the archive and offer it; the download starts by itself.

    Raises GenerationError for an empty selection, and FileError where the disk refuses.
    """
    path = export_zip(studio.database, studio.settings, selection)
    drafts = count_drafts(studio.database, selection)
    images = count_selected(studio.database, selection) - drafts
    count = "1 image" if images == 1 else f"{images:,} images"
    return one_line(f"""
    <p class="df-undo" role="status">{count} with metadata.jsonl, marked synthetic:
      <a href="{file_url(path)}" download="{escape(path.name)}" data-download>
      {escape(path.name)}</a> ({_size(path.stat().st_size)}) {left_out(drafts)}</p>
    """)


def _size(size: int) -> str:
    return f"{size / MIB:.1f} MB" if size >= MIB else f"{max(1, round(size / KIB))} kB"
