"""The models that are here and those that can be had, as HTML."""

from collections.abc import Mapping, Sequence

from backend.files import size_words
from backend.generation.download.running import KIND, Offer, terms
from backend.generation.models import ModelEntry, Origin
from backend.generation.single_file.running import KIND as CONVERT
from backend.jobs.queue import JobView
from backend.jobs.states import JobState
from studio.markup import button, escape, facts_html, one_line
from studio.tabs.generate_progress import job_controls, progress_bar, progress_text, state_badge

BRIDGE = "models-bridge"


def models_html(
    entries: Sequence[ModelEntry], offers: Sequence[Offer], jobs: Mapping[str, JobView]
) -> str:
    """Both lists; `jobs` is the newest download or check of each by name."""
    here = "".join(_entry(entry, jobs.get(entry.name)) for entry in entries)
    listed = {entry.name for entry in entries}
    here += "".join(
        _making(name, job)
        for name, job in jobs.items()
        if job.kind == CONVERT and name not in listed and job.state is not JobState.DONE
    )
    had = "".join(_offer(offer, jobs.get(offer.name)) for offer in offers)
    return one_line(f"""
    <section aria-labelledby="models-here"><h3 class="df-section" id="models-here">On this machine
    </h3><ul class="df-library">{here}</ul></section>
    <section aria-labelledby="models-had"><h3 class="df-section" id="models-had">To be had</h3>
    {f'<ul class="df-library">{had}</ul>' if offers else NOTHING_TO_HAVE}</section>
    """)


NOTHING_TO_HAVE = '<p class="df-dim">Every model and LoRA that the studio knows of is here.</p>'


def _entry(entry: ModelEntry, job: JobView | None) -> str:
    facts = {
        "Family": entry.kind.full_name,
        "Size": size_words(entry.bytes),
        "Licence": entry.licence,
        "Listed": entry.origin.value,
        "Images": ", ".join(f"{side} px" for side in entry.sizes),
        "State": entry.problem or "can be used",
    }
    controls = [] if entry.problem else [_button("Check", "check", entry)]
    if entry.origin in (Origin.WORKSPACE, Origin.REGISTERED):
        what = "Its files are deleted." if entry.origin is Origin.WORKSPACE else "Its files stay."
        controls.append(
            _button("Remove", "remove", entry, f"Remove the model {entry.title}? {what}")
        )
    return _item(entry, facts, controls, job)


def _making(name: str, job: JobView) -> str:
    """A model that is being made of a single file, or was not finished."""
    return f'<li data-model="{escape(name)}"><p><strong>{escape(name)}</strong></p>{_job(job)}</li>'


def _offer(offer: Offer, job: JobView | None) -> str:
    facts = {
        "Kind": f"{offer.family_name} {offer.kind}",
        "Size": f"about {size_words(offer.source.bytes)}",
        "Licence": offer.licence,
        "From": f"{offer.source.repo} on the hub",
        "Gated": "yes: needs a token" if offer.source.gated else "not known to be",
    }
    if job is not None and not job.state.ended:
        return _item(offer, facts, [], job)
    download = button(
        "Download",
        bridge=BRIDGE,
        action="download",
        value=offer.name,
        title=f"Download: {offer.title}",
        confirm=f"{terms(offer)} Download it now?",
        yes="Download",
        no="Not now",
    )
    return _item(offer, facts, [download], job)


def _item(
    model: ModelEntry | Offer,
    facts: Mapping[str, str],
    controls: Sequence[str],
    job: JobView | None,
) -> str:
    name = f' <span class="df-dim">{escape(model.name)}</span>' if model.name != model.title else ""
    return (
        f'<li data-model="{escape(model.name)}"><p><strong>{escape(model.title)}</strong>{name}'
        f'</p><p>{escape(model.description)}</p><dl class="df-facts">{facts_html(facts)}</dl>'
        f'{_job(job)}<div class="df-row">{"".join(controls)}</div></li>'
    )


def _job(job: JobView | None) -> str:
    """How the newest download or check stands."""
    if job is None or (job.kind in (KIND, CONVERT) and job.state is JobState.DONE):
        return ""
    return (
        f'<div data-job="{job.id}" data-state="{job.state}"><p>{escape(job.title)} '
        f"{state_badge(job.state)}</p>{progress_bar(job)}"
        f'<p class="df-dim">{escape(progress_text(job))}</p>'
        f'<div class="df-row">{job_controls(job, BRIDGE)}</div></div>'
    )


def _button(label: str, action: str, entry: ModelEntry, question: str = "") -> str:
    return button(
        label,
        bridge=BRIDGE,
        action=action,
        value=entry.name,
        title=f"{label}: {entry.title}",
        confirm=question,
    )
