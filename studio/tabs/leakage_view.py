"""Leakage between two sets as HTML: comparisons, the finding, and pairs side by side."""

from collections.abc import Mapping, Sequence

from backend.corpus.decisions import PairView
from backend.corpus.duplicates import DuplicatePair
from backend.corpus.leakage_search import LeakageReport, sided
from backend.corpus.picture_cards import PictureCard
from studio.markup import escape, facts_html, one_line
from studio.tabs.duplicates_view import LIKENESS, pair_buttons, pairs_digest
from studio.tabs.picture_card import picture_html, state_html
from studio.tabs.report_cards import ReportedRun, reported_card

BRIDGE = "leakage-bridge"
UNDO = "leakage-undo"
LISTED = 50

NO_REPORT = one_line("""
<div class="df-empty">
  <h2 class="df-section">No two sets have been compared yet</h2>
  <p>Choose two sets above that should share nothing, such as training and test, real and synthetic
  or a re-pack and its original, then press <strong>Compare</strong>.</p>
</div>
""")


def comparisons_html(runs: Sequence[ReportedRun], opened: str | None) -> str:
    """The latest comparisons; the report of `opened` is on the page."""
    cards = "".join(_comparison(run, opened) for run in runs)
    return f'<div class="df-runs">{cards}</div>' if cards else ""


def finding_html(title: str, report: LeakageReport) -> str:
    """What two sets share, in a sentence and in numbers."""
    leakage = report.leakage
    facts = {
        "Images in both": f"{len(leakage.same):,}",
        "Shared patients": f"{len(leakage.patients):,}",
        "Shared lesions": f"{len(leakage.lesions):,}",
        "Identical pairs": f"{len(leakage.exact):,}",
        "Near-duplicates": f"{len(leakage.near):,}",
        "Dismissed pairs": f"{report.dismissed:,}",
        "Not readable": f"{len(report.unreadable):,}",
    }
    kind = "df-undo" if leakage.clean else "df-message"
    return one_line(f"""
    <h3 class="df-run-title">{escape(title)}</h3>
    <p class="{kind}" role="status" data-clean="{str(leakage.clean).lower()}">
    {escape(leakage.summary)}</p>
    <dl class="df-facts">{facts_html(facts)}</dl>
    {_listed("Shared patients", leakage.patients)}{_listed("Shared lesions", leakage.lesions)}
    {_listed("Images that could not be read", tuple(report.unreadable.values()))}
    """)


def same_html(report: LeakageReport, cards: Mapping[str, PictureCard]) -> str:
    """The first images that are in both sets."""
    shown = [cards[one] for one in report.leakage.same if one in cards]
    if not shown:
        return ""
    items = "".join(f"<li>{picture_html(card)}</li>" for card in shown)
    more = len(report.leakage.same) - len(shown)
    rest = f'<p class="df-dim">and {more:,} more: see the CSV</p>' if more else ""
    heading = '<h3 class="df-run-title">In both sets</h3>'
    return f'{heading}<ul class="df-side-by-side">{items}</ul>{rest}'


def pairs_html(
    report: LeakageReport,
    pairs: Sequence[DuplicatePair],
    judged: Mapping[tuple[str, str], PairView],
    cards: Mapping[str, PictureCard],
) -> str:
    """One page of pairs, the image of the first set on the left."""
    return "".join(_pair(report, pair, judged.get(pair.ids), cards) for pair in pairs)


def _comparison(run: ReportedRun, opened: str | None) -> str:
    return reported_card(run, opened, words="Show report", action="open_report", bridge=BRIDGE)


def _pair(
    report: LeakageReport,
    pair: DuplicatePair,
    view: PairView | None,
    cards: Mapping[str, PictureCard],
) -> str:
    left, right = sided(report, pair.ids)
    names = f"{cards[left].name} and {cards[right].name}"
    title = f"{LIKENESS[pair.likeness]}, score {pair.score:.3f}, {_between(pair, left)}"
    controls, mark = "", ""
    if view is not None:
        mark = pairs_digest([view])
        controls = f"{state_html(view.state)}<span class='df-row df-group-actions'>"
        controls += f"{pair_buttons(view, BRIDGE, mark, names)}</span>"
    return one_line(f"""
    <article class="df-group" tabindex="0" data-group="{mark}" data-undo="{UNDO}"
      aria-label="{escape(names)}">
      <header class="df-row"><h3 class="df-run-title">{escape(title)}</h3>{controls}</header>
      <ul class="df-side-by-side">
        <li>{picture_html(cards[left], report.leakage.first)}</li>
        <li>{picture_html(cards[right], report.leakage.second)}</li>
      </ul>
    </article>
    """)


def _between(pair: DuplicatePair, left: str) -> str:
    """The transform in words, with its direction where that matters."""
    turned = any(word in pair.transform for word in ("clockwise", "colours"))
    return (
        f"from right to left {pair.transform}" if turned and left != pair.first else pair.transform
    )


def _listed(title: str, values: Sequence[str]) -> str:
    if not values:
        return ""
    items = "".join(f"<li>{escape(value)}</li>" for value in values[:LISTED])
    more = len(values) - LISTED
    rest = f"<li>and {more:,} more</li>" if more > 0 else ""
    return (
        f'<details class="df-listed"><summary>{title} ({len(values):,})</summary>'
        f"<ul>{items}{rest}</ul></details>"
    )
