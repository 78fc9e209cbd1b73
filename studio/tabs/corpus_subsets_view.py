"""Named subsets of the corpus as HTML, and what a new one would hold."""

from collections.abc import Mapping, Sequence

from backend.abc.attributes import Label
from backend.corpus.describing import recipe_words
from backend.corpus.subsets import SubsetView
from studio.markup import button, escape, one_line

BRIDGE = "corpus-subsets-bridge"
NO_SUBSETS = one_line("""
<div class="df-empty"><p>No subset yet. Training and evaluation refer to images by the name of a
subset: choose where its images come from, give it a name, and press <strong>Make subset</strong>.
</p></div>
""")


def subsets_html(subsets: Sequence[SubsetView]) -> str:
    """All subsets by name."""
    entries = "".join(map(_entry, subsets))
    return f'<ul class="df-library">{entries}</ul>' if entries else NO_SUBSETS


def preview_html(counts: Mapping[Label, int], words: str) -> str:
    """What a subset would hold, before it is made."""
    return (
        f'<p role="status">From {escape(words)}: <strong>{sum(counts.values()):,} images</strong>, '
        f"{label_words(counts)}.</p>"
    )


def label_words(counts: Mapping[Label, int]) -> str:
    """Counts by label."""
    return ", ".join(f"{counts.get(label, 0):,} {label}" for label in Label)


def _entry(subset: SubsetView) -> str:
    name = escape(subset.name)
    made = subset.recipe.get("images") or {}
    counts = label_words({Label(label): count for label, count in made.items()})
    labels = f": {counts}" if made else ""
    controls = (
        _button("Browse", "browse", subset),
        _button("Export", "export", subset),
        button(
            "Remove",
            bridge=BRIDGE,
            action="remove_subset",
            value=subset.name,
            title=f"Remove: {subset.name}",
            confirm=f"Remove the subset {subset.name}? Its images stay in the corpus; what refers "
            "to it by name no longer finds it.",
        ),
    )
    return (
        f'<li data-subset="{name}"><p><strong>{name}</strong> {subset.images:,} images{labels}'
        f'<br><span class="df-dim">{escape(recipe_words(subset.recipe))}. Made '
        f"{subset.created_at:%Y-%m-%d %H:%M} UTC.</span></p>"
        f'<div class="df-row">{"".join(controls)}</div></li>'
    )


def _button(label: str, action: str, subset: SubsetView) -> str:
    return button(
        label, bridge=BRIDGE, action=action, value=subset.name, title=f"{label}: {subset.name}"
    )
