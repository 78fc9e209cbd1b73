"""Two captioners beside each other as HTML: agreement, lengths, findings, and where they differ."""

from collections.abc import Mapping, Sequence

from backend.captioning.comparing import ComparisonReport, Difference
from backend.captioning.comparison import AttributeAgreement, Comparison, Described
from backend.captioning.findings import Check
from backend.corpus.picture_cards import PictureCard
from studio.markup import escape, one_line
from studio.tabs.captions_view import BRIDGE, version_words
from studio.tabs.picture_card import picture_html
from studio.tabs.report_cards import ReportedRun, reported_card

A, B = "A", "B"
NOT_ENOUGH = one_line("""
<div class="df-empty"><p>Two versions of captions can be compared as soon as there are two: caption
the same images with another captioner, or with another prompt.</p></div>
""")


def comparisons_html(runs: Sequence[ReportedRun], opened: str | None) -> str:
    """The latest comparisons; the report of `opened` is on the page."""
    cards = "".join(_run(run, opened) for run in runs)
    return f'<section class="df-runs" aria-label="Comparisons">{cards}</section>' if cards else ""


def report_html(report: ComparisonReport) -> str:
    """The figures of a comparison."""
    found = report.comparison
    noun = "image differs" if report.differing == 1 else "images differ"
    return one_line(f"""
    <p class="df-undo" role="status">{found.both:,} of {found.images:,} images are described by
    both, of {found.patients:,} patients or lesions; {report.differing:,} {noun}.</p>
    <ul class="df-sides"><li><strong>{A}</strong> {escape(version_words(found.first.version))}</li>
    <li><strong>{B}</strong> {escape(version_words(found.second.version))}</li></ul>
    {_agreement(found)}{_lengths(found)}{_findings(found)}
    """)


def differences_html(found: Sequence[Difference], cards: Mapping[str, PictureCard]) -> str:
    """One page of images that are described differently."""
    if not found:
        return '<p class="df-note">Where both state an attribute, both state the same.</p>'
    return "".join(_difference(one, cards[one.image_id]) for one in found)


def _run(run: ReportedRun, opened: str | None) -> str:
    return reported_card(
        run, opened, words="Show comparison", action="open_comparison", bridge=BRIDGE
    )


def _agreement(found: Comparison) -> str:
    rows = "".join(map(_attribute, found.attributes))
    return _table(
        "Agreement, with 95 % intervals from resampling patients",
        ("Attribute", "Both state it", "Alike", "Cohen’s kappa", f"Only {A}", f"Only {B}"),
        rows,
    )


def _attribute(one: AttributeAgreement) -> str:
    agreement = one.agreement
    cells = (
        f"{agreement.images:,}",
        _figure(agreement.raw, agreement.raw_interval),
        _figure(agreement.kappa, agreement.kappa_interval),
        f"{one.only_first:,}",
        f"{one.only_second:,}",
    )
    return _row(_plain(one.attribute).capitalize(), cells)


def _lengths(found: Comparison) -> str:
    sides = [(A, found.first), (B, found.second)]
    rows = "".join(_row(name, _length(one)) for name, one in sides)
    heads = ("Captioner", "Captions", "Unsure", "Words, mean", "Median", "Shortest", "Longest")
    return _table("Lengths", heads, rows)


def _length(one: Described) -> tuple[str, ...]:
    counts = f"{one.captions:,}", f"{one.unsure:,}"
    if one.length is None:
        return (*counts, "–", "–", "–", "–")
    words = one.length
    return (
        *counts,
        *(f"{words.mean:.1f}", f"{words.median:g}", f"{words.shortest:,}", f"{words.longest:,}"),
    )


def _findings(found: Comparison) -> str:
    rows = []
    for check in Check:
        counts = [one.findings.get(check, 0) for one in (found.first, found.second)]
        if any(counts):
            rows.append(_row(check.words, [f"{count:,}" for count in counts]))
    if not rows:
        return '<p class="df-note">The checks found nothing in the captions of either.</p>'
    return _table("Captions that a check speaks against", ("Check", A, B), "".join(rows))


def _table(title: str, heads: Sequence[str], rows: str) -> str:
    """A table under its title, which stays in sight where a narrow page scrolls the table."""
    first, *others = heads
    numbers = "".join(f'<th scope="col" class="df-number">{one}</th>' for one in others)
    return one_line(f"""
    <h4 class="df-sub">{title}</h4>
    <div class="df-scroll" tabindex="0" role="region" aria-label="{title}">
    <table class="df-table df-compared" aria-label="{title}">
    <thead><tr><th scope="col">{first}</th>{numbers}</tr></thead>
    <tbody>{rows}</tbody></table></div>
    """)


def _row(name: str, cells: Sequence[str]) -> str:
    numbers = "".join(f'<td class="df-number">{cell}</td>' for cell in cells)
    return f'<tr><th scope="row">{escape(name)}</th>{numbers}</tr>'


def _difference(one: Difference, card: PictureCard) -> str:
    said = "".join(
        f"<li>{_plain(attribute).capitalize()}: {A} {_plain(first)}, {B} {_plain(second)}</li>"
        for attribute, first, second in one.said
    )
    return one_line(f"""
    <article class="df-difference" data-image="{escape(one.image_id)}"
      aria-label="{escape(card.name)}">{picture_html(card)}
      <div class="df-texts"><ul class="df-found">{said}</ul>
      <h4>{A}</h4><p>{escape(one.first_caption)}</p>
      <h4>{B}</h4><p>{escape(one.second_caption)}</p></div>
    </article>
    """)


def _figure(value: float | None, interval: tuple[float, float] | None) -> str:
    if value is None:
        return "–"
    return f"{value:.2f}" + (f" ({interval[0]:.2f} to {interval[1]:.2f})" if interval else "")


def _plain(value: str) -> str:
    return escape(value.replace("_", " "))
