"""Synthetic sets as HTML: designed captions, builds with live counts, and the card of a set."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backend.abc.attributes import Label, LesionAttributes
from backend.generation.building.card import README, SHEET
from backend.generation.building.ledger import REJECTIONS, BuildCounts
from backend.generation.building.task import label_words
from backend.generation.design.table import CaptionTable
from backend.jobs.queue import JobView
from backend.store.tables import Verdict
from studio.markup import button, escape, facts_html, file_url, one_line
from studio.tabs.generate_progress import job_card
from studio.tabs.sweep_view import BRIDGE
from studio.wording import NOT_SAID, compared_fields

PREVIEWED = 12
RULES: Mapping[Verdict, str] = {
    Verdict.NO_LESION: "No lesion",
    Verdict.UNSURE: "Unsure mask",
    Verdict.DUPLICATE: "Near-duplicate",
}

NO_SETS = one_line("""
<div class="df-empty"><p>No synthetic set yet. Name one above, design its captions, look at them,
then build it: it goes on when this page is closed.</p></div>
""")


@dataclass(frozen=True)
class SetRun:
    """A set that is built or being built; `described` says whether there is a card."""

    job: JobView
    position: int | None
    counts: Mapping[Label | None, BuildCounts]
    described: bool


def captions_html(table: CaptionTable, per_class: int, best_of: int) -> str:
    """The designed captions as a table, and how many images they become."""
    counts = table.counts()
    sizes = ", ".join(f"{count:,} {label_words(label)}" for label, count in counts.items())
    rows = "".join(
        f'<tr><th scope="row">{label_words(row.label).capitalize()}</th>'
        f"<td>{escape(row.caption)}</td><td>{_asked(row.attributes)}</td></tr>"
        for row in table.rows[:PREVIEWED]
    )
    more = len(table.rows) - PREVIEWED
    rest = f'<p class="df-dim">and {more:,} more</p>' if more > 0 else ""
    images = per_class * len(counts)
    return one_line(f"""
    <div role="status"><p><strong>{len(table.rows):,} captions</strong>: {sizes}. They become
    {images:,} images, from {images * best_of:,} candidates and more where the rules reject.
    {_use(counts, per_class)}</p>
    {_table("Designed captions", ("Class", "Caption", "Asked for"), rows)}{rest}</div>
    """)


def _use(counts: Mapping[Label | None, int], per_class: int) -> str:
    """What becomes of captions that do not come out even with the images."""
    most, least = max(counts.values()), min(counts.values())
    if most > per_class:
        return (
            f"Only the first {per_class:,} captions of a class are used: build more images, or "
            "choose the Latin hypercube, which spreads few captions over all values."
        )
    return "Captions are used again in turn." if least < per_class else ""


def sets_html(runs: Sequence[SetRun], older: int) -> str:
    """The latest sets with their counts; `older` are left out."""
    if not runs:
        return NO_SETS
    rest = f'<p class="df-dim">{older:,} older sets: see Jobs.</p>' if older else ""
    return f'<div class="df-runs">{"".join(map(_card, runs))}</div>{rest}'


def set_card_html(job: JobView, card: Any, folder: Path) -> str:
    """The card of a set: what it is, how it was made, how well it keeps to its captions.

    `card` is what `read_card` gives.
    """
    sheet = file_url(folder / SHEET, str((folder / SHEET).stat().st_mtime_ns))
    name = escape(str(card["name"]))
    return one_line(f"""
    <section class="df-set-card" data-set="{job.id}" aria-label="Card of the set {name}">
      <h2 class="df-section" tabindex="-1">{name}</h2>
      <p class="df-mark">Synthetic. Not for diagnosis.</p>
      <img class="df-figure" src="{sheet}" alt="Sample sheet of the set {name}, synthetic images">
      <dl class="df-facts">{_facts(card)}</dl>
      {_adherence(card["adherence"])}
      <div class="df-row df-foot">
        <a class="df-button" href="{file_url(folder / README)}" download="{job.id}-README.md">
        Download card</a>
        <a class="df-button" href="{sheet}" download="{job.id}-samples.png">Download sheet</a>
        {button("Close card", bridge=BRIDGE, action="close_set", value=job.id)}
      </div>
    </section>
    """)


def _card(run: SetRun) -> str:
    controls = ""
    if run.described:
        title = f"Show card: {run.job.title}"
        controls = button(
            "Show card", bridge=BRIDGE, action="open_set", value=run.job.id, title=title
        )
    if any(counts.kept for counts in run.counts.values()):
        title = f"Show its images: {run.job.title}"
        controls += button(
            "Show its images", bridge=BRIDGE, action="images", value=run.job.id, title=title
        )
    return job_card(run.job, run.position, _counts(run) if run.counts else "", controls)


def _counts(run: SetRun) -> str:
    rows = "".join(
        f'<tr><th scope="row">{label_words(label).capitalize()}</th><td>{count.kept:,}</td>'
        f"<td>{count.made:,}</td>"
        + "".join(f"<td>{count.rejected[rule]:,}</td>" for rule in REJECTIONS)
        + "</tr>"
        for label, count in run.counts.items()
    )
    header = ("Class", "Kept", "Candidates", *(RULES[rule] for rule in REJECTIONS))
    return _table(f"Counts of {run.job.title}", header, rows)


def _facts(card: Any) -> str:
    build, model = card["build"], card["model"]
    kept = Counter({label: facts["kept"] for label, facts in card["classes"].items()})
    loras = [f"{use['name']} × {use['weight']:g}" for use in build.get("loras", ())]
    facts = {
        "Images": f"{card['images']:,}",
        "Classes": ", ".join(f"{count:,} {label}" for label, count in kept.items()),
        "Model": f"{model['title']} ({model['licence']})",
        "Negative caption": build.get("negative_caption") or "none",
        "LoRAs": ", ".join(loras) or "none",
        "Best of": build["best_of"],
        "Seed": build["seed"],
        "Made": card["created"],
    }
    return facts_html(facts)


def _adherence(adherence: Any) -> str:
    """Measured against requested; the gain is over the first candidates that fitted the rules."""
    rows = "".join(
        f'<tr><th scope="row">{name.replace("_", " ").capitalize()}</th>'
        f"<td>{_score(facts['score'])}</td><td>{_interval(facts['interval'])}</td>"
        f"<td>{_score(facts['first'])}</td></tr>"
        for name, facts in adherence["scores"].items()
    )
    gain = ""
    if adherence["gain"] is not None:
        gain = (
            f"<p>Agreement of an image {_score(adherence['agreement'])} on average; gained by "
            f"choosing the best: {_score(adherence['gain'])} "
            f"({_interval(adherence['gain_interval'])}).</p>"
        )
    header = ("Attribute", "Score", "95 % interval", "First candidates")
    return _table("Adherence: measured against asked for", header, rows) + gain


def _score(value: float | None) -> str:
    return "none" if value is None else f"{value:.3f}"


def _interval(bounds: Any) -> str:
    return f"{bounds['low']:.3f} to {bounds['high']:.3f}" if bounds else "none"


def _asked(attributes: LesionAttributes) -> str:
    said = compared_fields(attributes).items()
    return ", ".join(f"{name}: {words}" for name, words in said if words != NOT_SAID)


def _table(title: str, header: Iterable[str], rows: str) -> str:
    heads = "".join(f'<th scope="col">{name}</th>' for name in header)
    return one_line(f"""
    <div class="df-scroll" tabindex="0" role="region" aria-label="{escape(title)}">
    <table class="df-table"><caption>{escape(title)}</caption><thead><tr>{heads}</tr></thead>
    <tbody>{rows}</tbody></table></div>
    """)
