"""Named sets of images on the page: listed, opened, removed."""

from backend.generation.image_sets import SetView, list_sets
from backend.store.database import Database
from studio.markup import button, escape, one_line
from studio.tabs.gallery_view import BRIDGE, count_words

NO_SETS = one_line("""
<div class="df-empty"><p>No set yet. Select images, write a name and press <strong>Add to
set</strong>: a set names images of the gallery and copies none.</p></div>
""")


def sets_html(database: Database) -> str:
    """All sets by name."""
    entries = "".join(_entry(view) for view in list_sets(database))
    return f'<ul class="df-library">{entries}</ul>' if entries else NO_SETS


def _entry(view: SetView) -> str:
    name = escape(view.name)
    note = f' <span class="df-dim">{escape(view.note)}</span>' if view.note else ""
    show = button(
        "Open", bridge=BRIDGE, action="open_set", value=view.name, title=f"Open set: {view.name}"
    )
    remove = button(
        "Remove",
        bridge=BRIDGE,
        action="remove_set",
        value=view.name,
        title=f"Remove set: {view.name}",
        confirm=f"Remove the set {view.name}? Its images stay in the gallery.",
    )
    return (
        f'<li data-set="{name}"><p><strong>{name}</strong> {count_words(view.images)}{note}</p>'
        f'<div class="df-row">{show}{remove}</div></li>'
    )
