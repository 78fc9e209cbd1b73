"""Captioning as HTML: jobs, versions with what was found in them, and the question before a yes."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from backend.captioning import archive, measured
from backend.captioning.findings import Check
from backend.captioning.records import CaptionCount
from backend.captioning.server.hosts import Place
from backend.captioning.task import OPENAI, TRANSFORMERS
from backend.captioning.versions import CaptionerVersion
from backend.jobs.queue import JobView
from studio.markup import button, escape, facts_html, one_line
from studio.tabs.generate_progress import job_card

BRIDGE = "captions-bridge"
CAPTIONERS: Mapping[str, str] = {
    measured.NAME: "Measured",
    TRANSFORMERS: "Model here",
    OPENAI: "Server",
    archive.NAME: "File",
}
NO_CORPUS = one_line("""
<div class="df-empty"><h3 class="df-section">There are no images to caption</h3>
<p>Import a dataset first; its images can then be described here.</p>
<p><button type="button" class="df-button" data-goes="corpus-import">Open Import</button></p></div>
""")
NO_VERSIONS = one_line("""
<div class="df-empty"><p>No image has a caption yet. Choose above who describes the images, then
press <strong>Start captioning</strong>: it goes on when this page is closed.</p></div>
""")


@dataclass(frozen=True)
class VersionRow:
    """A version with what it has written so far."""

    version: CaptionerVersion
    count: CaptionCount
    findings: Mapping[Check, int]


def runs_html(runs: Sequence[tuple[JobView, int | None]], label: str) -> str:
    """The latest jobs, each with its place in the queue."""
    cards = "".join(job_card(job, position, bridge=BRIDGE) for job, position in runs)
    return f'<section class="df-runs" aria-label="{label}">{cards}</section>' if cards else ""


def version_words(version: CaptionerVersion) -> str:
    """A version by name, for lists."""
    return f"{CAPTIONERS.get(version.captioner, version.captioner)}: {version.version}"


def versions_html(rows: Sequence[VersionRow]) -> str:
    """One row a version, with the way to what is behind it and to its review."""
    if not rows:
        return NO_VERSIONS
    body = "".join(map(_version, rows))
    return one_line(f"""
    <div class="df-scroll" tabindex="0" role="region" aria-label="Versions of captions">
    <table class="df-table df-captioned"><thead><tr><th scope="col">Captioner and version</th>
    <th scope="col" class="df-number">Captions</th><th scope="col" class="df-number">Unsure</th>
    <th scope="col" class="df-number">Flagged</th><th scope="col">What was found</th>
    <th scope="col">Review</th></tr></thead><tbody>{body}</tbody></table></div>
    """)


def question_html(place: Place, base_url: str, images: int) -> str:
    """What sending the images would mean, and the button that asks once more and sends."""
    where = f"{place.host} ({place.outside[0]})"
    noun = "image" if images == 1 else "images"
    sentence = (
        f"The server {where} is not in the local network: {images:,} {noun} of the corpus would "
        "leave the building, and whoever runs that server can keep them."
    )
    send = button(
        "Send the images…",
        bridge=BRIDGE,
        action="send",
        value=base_url,
        confirm=f"{sentence} Have you the right to send them there?",
        yes="Yes, send them",
        no="Keep them here",
    )
    return (
        f'<div class="df-message" role="status"><p>{escape(sentence)} Nothing was sent.</p>'
        f'<div class="df-row">{send}</div></div>'
    )


def _version(row: VersionRow) -> str:
    version, count = row.version, row.count
    name = escape(CAPTIONERS.get(version.captioner, version.captioner))
    return (
        f'<tr data-version="{escape(version.reference)}">'
        f'<th scope="row">{name}<span class="df-dim">{escape(version.version)}</span>'
        f"{_behind(version)}</th>"
        f'<td class="df-number" data-is="Captions">{count.captions:,}</td>'
        f'<td class="df-number" data-is="Unsure">{count.unsure:,}</td>'
        f'<td class="df-number" data-is="Flagged">{count.flagged:,}</td>'
        f"<td>{_findings(row.findings)}</td><td>{_review(row)}</td></tr>"
    )


def _behind(version: CaptionerVersion) -> str:
    """Model, settings and prompt, folded away."""
    facts: dict[str, object] = {"Model": version.model or "not recorded"}
    if version.identity and version.captioner in (TRANSFORMERS, OPENAI):
        facts["Identity"] = version.identity
    facts |= {name.replace("_", " ").capitalize(): one for name, one in version.settings.items()}
    summary, said = "Show what is behind it", "It follows no prompt."
    if version.prompt:
        summary, said = "Show prompt", version.prompt
    label = f'{summary}<span class="df-sr"> of {escape(version_words(version))}</span>'
    return (
        f'<details class="df-listed"><summary>{label}</summary>'
        f'<p>{escape(said)}</p><dl class="df-behind">{facts_html(facts)}</dl></details>'
    )


def _findings(findings: Mapping[Check, int]) -> str:
    if not findings:
        return "Nothing"
    items = "".join(f"<li>{check.words}: {count:,}</li>" for check, count in findings.items())
    return f'<ul class="df-found">{items}</ul>'


def _review(row: VersionRow) -> str:
    """The way to a review set of what is flagged, filled in; nothing where nothing is."""
    if not row.count.flagged:
        return ""
    wanted = json.dumps({"captioner": row.version.captioner, "prompt": row.version.version})
    words = escape(f"Review what is flagged of {version_words(row.version)}")
    return (
        f'<button type="button" class="df-button" data-goes="review" data-make="{escape(wanted)}" '
        f'aria-label="{words}">Review what is flagged</button>'
    )
