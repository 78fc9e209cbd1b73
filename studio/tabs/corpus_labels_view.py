"""Labels of a dataset as HTML: the mapping with its choices, its effect, its history."""

import time
from collections.abc import Sequence

from backend.corpus.label_effects import DiagnosisEffect, LabelEffect, SubsetEffect
from backend.corpus.label_rules import RuleVersion
from backend.corpus.labels import LabelRule, diagnosis_words
from backend.corpus.rule_editing import Choice, change_words, choice_of, choice_words
from backend.jobs.queue import JobView
from studio.markup import button, escape, one_line
from studio.tabs.generate_progress import job_controls, progress_bar, progress_text, state_badge

BRIDGE = "labels-bridge"

NO_DATASETS = one_line("""
<div class="df-empty"><p>No dataset is in the catalogue yet. Import one first: what each of its
diagnoses counts as is then shown and changed here.</p></div>
""")


def mapping_html(
    effect: LabelEffect, rule: LabelRule, *, editable: bool, anew: bool = False
) -> str:
    """The diagnoses of a dataset, each with its images and what `rule` says of it.

    `anew` makes the page draw it again where only what was chosen there differs.
    """
    rows = "".join(_mapping_row(one, rule, editable) for one in effect.diagnoses)
    drawn = f' data-drawn="{time.monotonic_ns()}"' if anew else ""
    return one_line(f"""
    <div class="df-scroll" tabindex="0" role="region" aria-label="Labels of diagnoses"{drawn}>
    <table class="df-table df-labels">
    <caption>{escape(effect.dataset)}: version {effect.base}, {effect.before.words}</caption>
    <thead><tr><th scope="col">Diagnosis</th><th scope="col">Images now</th>
    <th scope="col">Counts as</th></tr></thead><tbody>{rows}</tbody></table></div>
    """)


def edits_html(before: RuleVersion, rule: LabelRule, newest: RuleVersion) -> str:
    """What was chosen but not applied, and whether somebody else was faster."""
    words = change_words(before.rule, rule)
    if not words:
        return ""
    late = ""
    if newest.version != before.version:
        who = newest.author or "Somebody else"
        late = (
            f"<p>{escape(who)} changed these labels to version {newest.version} meanwhile. Discard "
            "your changes to see them.</p>"
        )
    return (
        f'<div class="df-message" role="status"><p>Not applied yet: {escape(words)}.</p>{late}'
        "</div>"
    )


def effect_html(effect: LabelEffect) -> str:
    """Counts now and then, by diagnosis and in all, and what named subsets hold of them."""
    changed = [one for one in effect.diagnoses if one.before != one.after]
    rows = "".join(_effect_row(one) for one in changed)
    subsets = "".join(_subset(one) for one in effect.subsets)
    kept = (
        f"<p>Named subsets stay as they are; their labels follow:</p><ul>{subsets}</ul>"
        if subsets
        else "<p>No named subset holds any of these images.</p>"
    )
    if not changed:
        rows = '<tr><td colspan="4">No image would get another label.</td></tr>'
        kept = ""
    return one_line(f"""
    <section class="df-label-effect" aria-label="Effect" role="status">
    <h3 class="df-sub">Effect: {effect.moved:,} of {effect.before.total:,} images change</h3>
    <div class="df-scroll" tabindex="0" role="region" aria-label="Effect on the counts">
    <table class="df-table df-effects"><thead><tr><th scope="col">Diagnosis</th>
    <th scope="col">Images</th><th scope="col">Now</th><th scope="col">Then</th></tr></thead>
    <tbody>{rows}</tbody><tfoot><tr><th scope="row">All of {escape(effect.dataset)}</th>
    <td>{effect.before.total:,}</td><td>{effect.before.words}</td>
    <td>{effect.after.words}</td></tr></tfoot></table></div>{kept}</section>
    """)


def apply_html(effect: LabelEffect) -> str:
    """The button that applies what was shown, after a question."""
    question = (
        f"Apply these labels to {effect.dataset}? {effect.moved:,} images change: then "
        f"{effect.after.words}. Dropped images are kept, and the history can restore this."
    )
    return button(
        "Apply",
        bridge=BRIDGE,
        action="apply",
        value=effect.dataset,
        kind="df-primary",
        confirm=question,
        yes="Apply",
        no="Not yet",
    )


def job_html(job: JobView | None, position: int | None) -> str:
    """The job that changes labels, unless it has done so."""
    if job is None:
        return ""
    return one_line(f"""
    <article class="df-run" data-job="{job.id}" data-state="{job.state}">
      <header><h3 class="df-run-title">{escape(job.title)}</h3>{state_badge(job.state)}</header>
      {progress_bar(job)}
      <p class="df-run-text">{escape(progress_text(job, position))}</p>
      <div class="df-row">{job_controls(job, BRIDGE)}</div>
    </article>
    """)


def history_html(versions: Sequence[RuleVersion], *, editable: bool) -> str:
    """All versions, newest first, each with what it changed and a way back to it."""
    pairs = zip([versions[0], *versions], versions, strict=False)
    entries = [_version(old, one, versions, editable) for old, one in pairs]
    return f'<ol class="df-library df-versions" reversed>{"".join(reversed(entries))}</ol>'


def _mapping_row(one: DiagnosisEffect, rule: LabelRule, editable: bool) -> str:
    name = diagnosis_words(one.diagnosis)
    chosen = choice_of(rule, one.diagnosis)
    options = "".join(
        f'<option value="{choice}"{" selected" if choice is chosen else ""}>'
        f"{choice_words(choice, by_target=rule.by_target)}</option>"
        for choice in Choice
    )
    return (
        f'<tr data-diagnosis="{escape(one.diagnosis)}"><th scope="row">{escape(name)}</th>'
        f"<td>{one.before.words}</td>"
        f'<td><select class="df-select" data-bridge="{BRIDGE}" data-action="choose" '
        f'data-value="{escape(one.diagnosis)}" aria-label="{escape(name)} counts as"'
        f"{'' if editable else ' disabled'}>{options}</select></td></tr>"
    )


def _effect_row(one: DiagnosisEffect) -> str:
    return (
        f'<tr data-diagnosis="{escape(one.diagnosis)}">'
        f'<th scope="row">{escape(diagnosis_words(one.diagnosis))}</th>'
        f"<td>{one.before.total:,}</td><td>{one.before.words}</td>"
        f"<td>{one.after.words}</td></tr>"
    )


def _subset(one: SubsetEffect) -> str:
    return f"<li><strong>{escape(one.name)}</strong>: {escape(one.words)}</li>"


def _version(
    old: RuleVersion, one: RuleVersion, versions: Sequence[RuleVersion], editable: bool
) -> str:
    newest = versions[-1]
    equal = next(other for other in versions if other.hash == one.hash)
    said = change_words(old.rule, one.rule) or one.note
    same = f" (the same as version {equal.version})" if equal is not one else ""
    who = f" by {one.author}" if one.author else ""
    note = f"<p>{escape(one.note)}</p>" if one.note and one.note != said else ""
    in_force = ' <span class="df-state df-state-done">In force</span>' if one is newest else ""
    restore = button(
        "Restore",
        bridge=BRIDGE,
        action="restore",
        value=str(one.version),
        title=f"Show what restoring version {one.version} would do",
    )
    control = f'<div class="df-row">{restore}</div>'
    return (
        f'<li data-version="{one.version}"><p><strong>Version {one.version}</strong>{in_force} '
        f'<span class="df-dim">{one.created_at:%Y-%m-%d %H:%M} UTC{escape(who)}</span></p>'
        f"<p>{escape(said)}{same}</p>{note}"
        f"{control if editable and one.hash != newest.hash else ''}</li>"
    )
