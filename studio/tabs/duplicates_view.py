"""Duplicates as HTML: searches that run or ran, and groups side by side."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from backend.corpus.decisions import PairView
from backend.corpus.duplicate_groups import DuplicateGroup
from backend.corpus.duplicates import Likeness
from backend.corpus.picture_cards import PictureCard
from backend.corpus.states import PairState
from backend.jobs.queue import JobView
from studio.markup import button, escape, one_line
from studio.tabs.generate_progress import job_card
from studio.tabs.picture_card import STATES, picture_html, state_html

BRIDGE = "duplicates-bridge"
UNDO = "duplicate-undo"
SHOWN_IMAGES, SHOWN_PAIRS = 12, 24
LIKENESS: Mapping[Likeness, str] = {
    Likeness.BYTES: "The same file",
    Likeness.PIXELS: "The same pixels",
    Likeness.NEAR: "Near-duplicate",
}
LABELS = {"confirm": "Confirm", "dismiss": "Dismiss", "reopen": "Take back"}
OFFERED: Mapping[PairState, tuple[str, ...]] = {
    PairState.SUGGESTED: ("confirm", "dismiss"),
    PairState.CONFIRMED: ("dismiss", "reopen"),
    PairState.DISMISSED: ("confirm", "reopen"),
}

NOTHING_FOUND = one_line("""
<div class="df-empty" tabindex="-1">
  <h2 class="df-section">No duplicates have been found yet</h2>
  <p>Choose above what to search, then press <strong>Find duplicates</strong>. Pairs of images that
  hold the same picture appear here side by side, for you to confirm or to dismiss.</p>
</div>
""")
NONE_OF_STATE: Mapping[PairState, str] = {
    PairState.SUGGESTED: "Everything that was found is decided: look under Confirmed or Dismissed.",
    PairState.CONFIRMED: "No group is confirmed as a whole yet: decide those under Suggested.",
    PairState.DISMISSED: "No pair was dismissed.",
}


@dataclass(frozen=True)
class SearchRun:
    """A search that runs or ran, its place in the queue, and what it had to say at its end."""

    job: JobView
    position: int | None
    finding: str


def pairs_digest(pairs: Sequence[PairView]) -> str:
    """Names pairs as they are now: once one of them is decided, the name is another."""
    said = "\n".join(f"{pair.ids} {pair.state} {pair.decided_at}" for pair in pairs)
    return hashlib.sha256(said.encode()).hexdigest()[:16]


def searches_html(runs: Sequence[SearchRun]) -> str:
    """The latest searches."""
    if not runs:
        return ""
    cards = "".join(
        job_card(
            run.job,
            run.position,
            f"<p>{escape(run.finding)}</p>" if run.finding else "",
            bridge=BRIDGE,
        )
        for run in runs
    )
    return f'<div class="df-runs">{cards}</div>'


def counts_html(groups: Mapping[PairState, int], pairs: Mapping[PairState, int]) -> str:
    """How many groups and pairs there are of each state."""
    if not any(pairs.values()):
        return ""
    said = " · ".join(
        f"{STATES[state]}: <strong>{groups[state]:,}</strong> "
        f"{'group' if groups[state] == 1 else 'groups'} "
        f"({pairs[state]:,} {'pair' if pairs[state] == 1 else 'pairs'})"
        for state in PairState
    )
    return f'<p role="status">{said}</p>'


def groups_html(groups: Sequence[DuplicateGroup], cards: Mapping[str, PictureCard]) -> str:
    """One page of groups."""
    return "".join(_group(group, cards) for group in groups)


def empty_html(state: PairState, found: int) -> str:
    """What stands where no group is; `found` pairs are known."""
    if not found:
        return NOTHING_FOUND
    return f'<div class="df-empty" tabindex="-1"><p>{NONE_OF_STATE[state]}</p></div>'


def pair_words(pair: PairView) -> str:
    """How two images of a pair are alike, and what lies between them."""
    return f"{LIKENESS[pair.likeness]}, score {pair.score:.3f}, {pair.transform}"


def pair_buttons(pair: PairView, bridge: str, value: str, names: str) -> str:
    """What can be decided about a pair; `names` tell it from its neighbours."""
    return "".join(
        button(
            LABELS[action],
            bridge=bridge,
            action=action,
            value=value,
            title=f"{LABELS[action]}: {names}",
        )
        for action in OFFERED[pair.state]
    )


def _group(group: DuplicateGroup, cards: Mapping[str, PictureCard]) -> str:
    outline, mark = group.outline, pairs_digest(group.pairs)
    images = outline.images
    title = f"{len(images):,} images, lowest score {outline.score:.3f}"
    shown = "".join(f"<li>{picture_html(cards[one])}</li>" for one in images[:SHOWN_IMAGES])
    more = len(images) - SHOWN_IMAGES
    rest = f'<p class="df-dim">and {more:,} more images: see the CSV</p>' if more > 0 else ""
    return one_line(f"""
    <article class="df-group" tabindex="0" data-group="{mark}" data-undo="{UNDO}"
      aria-label="Group of {title}">
      <header class="df-row"><h3 class="df-run-title">{title}</h3>{state_html(outline.state)}
      <span class="df-row df-group-actions">{_group_buttons(group, mark)}</span></header>
      <ul class="df-side-by-side">{shown}</ul>{rest}
      {_pairs(group, mark, cards)}
    </article>
    """)


def _group_buttons(group: DuplicateGroup, mark: str) -> str:
    """Decisions on all pairs; for a single pair they are those on it."""
    whole = " all" if len(group.pairs) > 1 else ""
    names = f"group of {len(group.outline.images):,} images, {group.outline.score:.3f}"
    return "".join(
        button(
            f"{LABELS[action]}{whole}",
            bridge=BRIDGE,
            action=action,
            value=mark,
            title=f"{LABELS[action]}{whole}: {names}",
        )
        for action in OFFERED[group.outline.state]
    )


def _pairs(group: DuplicateGroup, mark: str, cards: Mapping[str, PictureCard]) -> str:
    single = len(group.pairs) == 1
    rows = "".join(
        _pair(pair, "" if single else f"{mark}:{place}", cards)
        for place, pair in enumerate(group.pairs[:SHOWN_PAIRS])
    )
    more = len(group.pairs) - SHOWN_PAIRS
    rest = f'<p class="df-dim">and {more:,} more pairs</p>' if more > 0 else ""
    return f'<ul class="df-pairs" aria-label="Pairs of this group">{rows}</ul>{rest}'


def _pair(pair: PairView, value: str, cards: Mapping[str, PictureCard]) -> str:
    names = " and ".join(cards[one].name if one in cards else one for one in pair.ids)
    by = f" by {escape(pair.decided_by)}" if pair.decided_by else ""
    controls = ""
    if value:
        controls = (
            f"{state_html(pair.state)}{by}"
            f'<span class="df-row">{pair_buttons(pair, BRIDGE, value, names)}</span>'
        )
    elif by:
        controls = f'<span class="df-dim">Decided{by}</span>'
    return (
        f'<li data-pair="{value}"><span><strong>{escape(names)}</strong>: '
        f"{escape(pair_words(pair))}</span>{controls}</li>"
    )
