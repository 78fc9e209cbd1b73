"""LoRA training as HTML: the data and the plan before the start, runs, samples, a comparison."""

from collections.abc import Collection, Mapping, Sequence

from backend.abc.attributes import Label
from backend.files import size_words
from backend.finetuning.metrics import PHASES, Curve, RunMetrics, Sample
from backend.finetuning.plan import Item, Plan, pairs_words
from backend.finetuning.reviewed import ReviewState
from backend.finetuning.run_folder import Wish
from backend.finetuning.runs import Comparison, RunState, RunView, setting_words
from backend.review.states import Origin
from studio.markup import button, escape, facts_html, file_url, one_line
from studio.tabs.generate_progress import duration
from studio.tabs.train_knobs import LABELS

BRIDGE, USE_BRIDGE = "train-bridge", "train-use-bridge"
LATEST_EVENTS = 6
STATES: Mapping[RunState, tuple[str, str]] = {
    RunState.PLANNED: ("Planned", "queued"),
    RunState.QUEUED: ("Waiting", "queued"),
    RunState.CACHING: ("Preparing", "running"),
    RunState.TRAINING: ("Training", "running"),
    RunState.STOPPED: ("Stopped", "cancelled"),
    RunState.INTERRUPTED: ("Interrupted", "interrupted"),
    RunState.DONE: ("Done", "done"),
    RunState.FAILED: ("Failed", "failed"),
}
"""How a state is called, and which of the colours of a job it has."""
WISHES: Mapping[Wish, tuple[str, str]] = {
    Wish.STOP_NOW: ("Stop now", "Stops after this step, with a checkpoint"),
    Wish.STOP_AFTER_CHECKPOINT: ("Stop after checkpoint", "Stops once the next checkpoint is kept"),
    Wish.SAVE_NOW: ("Save now", "Keeps a checkpoint and goes on"),
    Wish.SAMPLE_NOW: ("Sample now", "Makes samples and goes on"),
}
WISHED: Mapping[Wish, str] = {
    Wish.STOP_NOW: "stops after this step",
    Wish.STOP_AFTER_CHECKPOINT: "stops after the next checkpoint",
    Wish.SAVE_NOW: "a checkpoint is on its way",
    Wish.SAMPLE_NOW: "samples are on their way",
}
ORIGINS: Mapping[Origin, str] = {
    Origin.APPROVED: "Approved as they were",
    Origin.EDITED: "Edited by a reviewer",
    Origin.ADJUDICATED: "Adjudicated",
    Origin.IMPORTED: "Imported, not reviewed here",
}

NO_CAPTIONS = one_line("""
<div class="df-empty"><h2 class="df-section">No approved captions yet</h2>
<p>A LoRA learns from images whose captions somebody approved. Judge some in Review, then make a
caption set of them.</p>
<p><button type="button" class="df-button" data-goes="review">Go to Review</button></p></div>
""")
NO_RUNS = one_line("""
<div class="df-empty"><h2 class="df-section">No training yet</h2>
<p>Choose captions, a base and a preset, look at the plan, then press <strong>Start</strong>. A run
goes on when this page is closed, and can be stopped and resumed at any time.</p></div>
""")
NO_MATCH = '<div class="df-empty"><p>No run matches: change what the list is narrowed to.</p></div>'
NO_SAMPLES = '<p class="df-note">No samples yet: they come at intervals, or by Sample now.</p>'


def problem_html(sentence: str) -> str:
    """What stands in the way."""
    return f'<p class="df-message" role="status">{escape(sentence)}</p>'


def review_html(state: ReviewState) -> str:
    """What the captions went through, by the label of their images."""
    rows = "".join(
        f'<tr><th scope="row">{ORIGINS[origin]}</th>{_counted(by_label)}</tr>'
        for origin, by_label in state.counts.items()
    )
    total = {label: sum(one.get(label, 0) for one in state.counts.values()) for label in Label}
    notes = []
    if state.outside:
        notes.append(f"{state.outside:,} are not in the subset.")
    if state.missing:
        notes.append(f"{state.missing:,} have no image in the corpus any more.")
    heads = "".join(f'<th scope="col" class="df-number">{one.capitalize()}</th>' for one in Label)
    note = f'<p class="df-dim">{" ".join(notes)}</p>' if notes else ""
    return one_line(f"""
    <table class="df-table" data-pairs="{state.usable}"><caption>Version {state.version.version}:
    {state.usable:,} pairs</caption><thead><tr><th scope="col">Captions</th>{heads}
    <th scope="col" class="df-number">All</th></tr></thead><tbody>{rows}
    <tr class="df-total"><th scope="row">All</th>{_counted(total)}</tr></tbody></table>{note}
    """)


def plan_html(plan: Plan) -> str:
    """What a run is made of and what it takes, with what was assumed."""
    estimate, data, targets = plan.estimate, plan.data, plan.targets
    facts = {
        "Pairs": pairs_words(data),
        "Steps": f"{plan.steps:,}",
        "Time": f"about {duration(estimate.seconds)}",
        "LoRA": f"{targets.parameters:,} parameters",
        "File": f"{_bytes(targets.bytes_bf16)} in bf16, {_bytes(targets.bytes_fp32)} in fp32",
        "Memory": f"{_bytes(estimate.memory_bytes)} on {estimate.device}",
        "Disk": _bytes(estimate.disk_bytes),
    }
    warnings = "".join(f"<li>{escape(one)}</li>" for one in plan.warnings)
    left_out = "".join(
        f"<li>{number:,}: {escape(reason)}</li>" for reason, number in data.left_out.items()
    )
    buckets = ", ".join(f"{name}: {number:,}" for name, number in data.buckets.items())
    parts = [
        f'<ul class="df-message df-warnings">{warnings}</ul>' if warnings else "",
        f'<dl class="df-facts">{facts_html(facts)}</dl>',
        _items("Memory", estimate.memory),
        _items("Memory beside the GPU", estimate.host),
        _items("Disk", estimate.disk),
        f"<p>Sizes: {escape(buckets)}.</p>" if buckets else "",
        f"<h3 class='df-sub'>Left out</h3><ul>{left_out}</ul>" if left_out else "",
        _assumed(estimate.assumptions),
    ]
    return one_line(f'<section class="df-plan" aria-label="Plan">{"".join(parts)}</section>')


def runs_html(views: Sequence[RunView], opened: str | None, picked: Collection[str]) -> str:
    """One row a run, with a box to compare it and a button to open it."""
    rows = "".join(_row(view, view.id == opened, view.id in picked) for view in views)
    return one_line(f"""
    <div class="df-scroll" tabindex="0" role="region" aria-label="Training runs">
    <table class="df-table df-trainings"><thead><tr><th scope="col">Compare</th>
    <th scope="col">Run</th><th scope="col">State and progress</th>
    <th scope="col">Actions</th></tr></thead><tbody>{rows}</tbody></table></div>
    """)


def run_html(view: RunView) -> str:
    """How a run stands, and what was asked of it."""
    error = problem_html(view.error) if view.error else ""
    wished = ", ".join(WISHED[one] for one in Wish if one in view.wished)
    asked = f'<p class="df-undo" role="status">Asked: {wished}.</p>' if wished else ""
    return one_line(f"""
    <article class="df-run" data-run="{escape(view.id)}" data-state="{view.state}">
    <header><h2 class="df-run-title">{escape(view.title)}</h2>{_badge(view.state)}</header>
    {_bar(view)}<p class="df-run-text">{escape(progress_words(view))}</p>{error}{asked}</article>
    """)


def figures_html(view: RunView, measured: RunMetrics) -> str:
    """The numbers of now."""
    figures = _figures(view, measured)
    return f'<dl class="df-facts">{facts_html(figures)}</dl>' if figures else ""


def progress_words(view: RunView) -> str:
    """What a run is at, how fast, and how long it will take."""
    status, job = view.status, view.job
    if view.state is RunState.QUEUED:
        place = view.position or 1
        return "Waiting: next in the queue" if place == 1 else f"Waiting: {place} in the queue"
    if status is None:
        return "Starting" if view.state.open else "Not begun"
    steps = f"step {status.step:,} of {status.steps:,}" if status.steps else ""
    if not view.state.open:
        kept = (
            f"checkpoint of step {status.checkpoint_step:,} kept"
            if status.checkpoint_step is not None
            else ""
        )
        return _joined(steps, kept) or "Not begun"
    if job is not None and job.cancel_requested:
        return _joined("Stopping after this step", steps)
    phase: str = status.phase.value
    if view.state is RunState.CACHING and status.total:
        phase = f"{phase}, {status.done:,} of {status.total:,}"
    rate = f"{status.images_per_second:,.2g} images per second" if status.images_per_second else ""
    left = f"{duration(status.seconds_left)} left" if status.seconds_left else ""
    return _joined(phase, steps, rate, left, status.message)


def samples_html(step: int, samples: Sequence[Sample]) -> str:
    """The samples of one step with their captions and what was measured."""
    cards = "".join(_sample(step, number, one) for number, one in enumerate(samples, 1))
    return f'<ul class="df-cards df-samples" aria-label="Samples">{cards}</ul>'


def log_html(text: str) -> str:
    """The end of what the program printed."""
    body = escape(text).replace("\n", "<br>") or "The program has printed nothing yet."
    return (
        '<div class="df-log-lines df-newest-below" tabindex="0" role="region" '
        f'aria-label="Log of the program"><div>{body}</div></div>'
    )


def settings_html(view: RunView) -> str:
    """Every setting of a run."""
    if view.config is None:
        return ""
    rows = "".join(
        f'<tr><th scope="row">{escape(LABELS.get(name, name))}</th><td>{escape(value)}</td></tr>'
        for name, value in setting_words(view.config).items()
    )
    return (
        '<details><summary>Settings</summary><div class="df-scroll" tabindex="0" role="region" '
        f'aria-label="Settings"><table class="df-table"><tbody>{rows}</tbody></table></div>'
        "</details>"
    )


def planned_html(plan: Plan | None) -> str:
    """The plan of a run that was started, folded away."""
    return "" if plan is None else f"<details><summary>Plan</summary>{plan_html(plan)}</details>"


def events_html(measured: RunMetrics) -> str:
    """What happened, the newest first."""
    events = list(measured.events)[: -LATEST_EVENTS - 1 : -1]
    if not events:
        return ""
    listed = "".join(
        f'<li><span class="df-dim">step {event.step:,}</span> {escape(event.text)}</li>'
        for event in events
    )
    return f'<ul class="df-events" aria-label="Events">{listed}</ul>'


def comparison_html(comparison: Comparison) -> str:
    """In which settings runs differ, and how each ended up."""
    names = "".join(f'<th scope="col">{escape(view.title)}</th>' for view in comparison.runs)
    results = {
        "State": [STATES[view.state][0] for view in comparison.runs],
        "Steps": [f"{view.status.step:,}" if view.status else "none" for view in comparison.runs],
        "Smoothed loss": [_value(curve.last) for curve in comparison.smoothed],
        "Lowest validation loss": [
            f"{best[1]:.4g} after {best[0]:,} images" if (best := curve.lowest) else "none"
            for curve in comparison.validation
        ],
    }
    rows = "".join(
        _line(LABELS.get(one.setting, one.setting), one.values) for one in comparison.differences
    )
    same = "" if rows else _line("Settings", ["the same"] * len(comparison.runs))
    ends = "".join(_line(name, values) for name, values in results.items())
    return one_line(f"""
    <div class="df-scroll" tabindex="0" role="region" aria-label="Comparison of runs">
    <table class="df-table df-compared"><caption>What differs, and how they went</caption>
    <thead><tr><th scope="col">Setting</th>{names}</tr></thead>
    <tbody>{rows}{same}{ends}</tbody></table></div>
    """)


def _line(name: str, values: Sequence[str]) -> str:
    cells = "".join(f"<td>{escape(value)}</td>" for value in values)
    return f'<tr><th scope="row">{escape(name)}</th>{cells}</tr>'


def _row(view: RunView, is_open: bool, picked: bool) -> str:
    name, config = escape(view.title), view.config
    facts = _joined(
        f"{view.begun_at:%Y-%m-%d %H:%M}",
        config.base if config else "",
        (config.data.caption_set or "a folder") if config else "",
    )
    pick = (
        f'<label class="df-compare-pick"><input type="checkbox" data-bridge="{BRIDGE}" '
        f'data-action="pick" data-value="{escape(view.id)}"{" checked" if picked else ""}>'
        f'<span class="df-sr">Compare {name}</span></label>'
    )
    show = button(
        "Open",
        bridge=BRIDGE,
        action="open",
        value=view.id,
        title=f"Open: {view.title}",
        pressed=is_open,
    )
    return (
        f'<tr data-training="{escape(view.id)}" data-state="{view.state}"><td>{pick}</td>'
        f'<th scope="row">{name}<span class="df-dim">{escape(facts)}</span></th>'
        f'<td class="df-training-progress">{_badge(view.state)}{_bar(view)}'
        f'<span class="df-dim">{escape(progress_words(view))}</span></td>'
        f'<td><div class="df-row">{show}</div></td></tr>'
    )


def controls_html(view: RunView, shelf: str | None) -> str:
    """What can be asked of a run; apart from its progress, which must not take a button away."""
    parts = []
    if view.state.open:
        wanted = list(WISHES) if view.state is not RunState.QUEUED else [Wish.STOP_NOW]
        stopping = view.job is not None and view.job.cancel_requested
        parts += [_wish(view, one) for one in wanted if one not in view.wished and not stopping]
    if view.state.can_resume and view.config is not None:
        begun = view.status is not None and view.status.checkpoint_step is not None
        words = "Resume" if begun else ("Start" if view.state is RunState.PLANNED else "Retry")
        parts.append(_button(view, words, "resume", kind="df-primary"))
    if view.folder.lora.is_file():
        parts.append(
            button(
                "Send LoRA to Generate",
                bridge=USE_BRIDGE,
                action="use",
                value=view.id,
                kind="df-primary",
                title=f"Send LoRA to Generate: {view.title}",
            )
        )
        if shelf:
            parts.append(f'<span class="df-dim">On the shelf as {escape(shelf)}</span>')
    if view.config is not None:
        parts.append(_button(view, "Use its settings", "settings"))
    if not view.state.open:
        question = (
            f"Remove the run {view.title} with its checkpoints, samples and figures? This cannot "
            "be undone. A LoRA on the shelf stays."
        )
        parts.append(_button(view, "Remove", "remove", confirm=question))
    return f'<div class="df-row">{"".join(parts)}</div>'


def _wish(view: RunView, one: Wish) -> str:
    words, title = WISHES[one]
    return button(
        words, bridge=BRIDGE, action=one.value, value=view.id, title=f"{words}: {title.lower()}"
    )


def _button(view: RunView, words: str, action: str, *, kind: str = "", confirm: str = "") -> str:
    title = f"{words}: {view.title}"
    return button(
        words,
        bridge=BRIDGE,
        action=action,
        value=view.id,
        kind=kind,
        title=title,
        confirm=confirm,
    )


def _figures(view: RunView, measured: RunMetrics) -> dict[str, object]:
    """The numbers of now; those that are not known are left out."""
    status, steps = view.status, measured.per_step
    best = measured.overall.lowest
    facts: dict[str, object | None] = {
        "Loss": _known(steps.get("loss")),
        "Smoothed": _value(measured.smoothed.last) if measured.smoothed.values else None,
        "Validation": _value(measured.overall.last) if best else None,
        "Lowest validation": f"{best[1]:.4g} at step {best[0]:,}" if best else None,
        "Learning rate": _known(steps.get("learning_rate")),
        "Gradient norm": _known(steps.get("grad_norm")),
        "LoRA norm": _known(steps.get("lora_norm")),
        "Images per second": _known(steps.get("images_per_second")),
        "Peak memory": _bytes(status.peak_memory) if status and status.peak_memory else None,
        "Skipped steps": measured.skipped or None,
        "Checkpoint": f"step {status.checkpoint_step:,}"
        if status and status.checkpoint_step is not None
        else None,
        "Share of time": ", ".join(
            f"{PHASES[name].lower()} {share:.0%}" for name, share in measured.shares.items()
        )
        or None,
    }
    return {name: value for name, value in facts.items() if value is not None}


def _known(curve: Curve | None) -> str | None:
    return None if curve is None or curve.last is None else _value(curve.last)


def _value(value: float | None) -> str:
    return "none" if value is None else f"{value:.4g}"


def _bytes(size: int) -> str:
    return f"{size / 1e3:,.0f} kB" if size < 1e6 else size_words(size)


def _badge(state: RunState) -> str:
    words, colour = STATES[state]
    return f'<span class="df-state df-state-{colour}">{words}</span>'


def _bar(view: RunView) -> str:
    percent = round(100 * view.fraction)
    return (
        f'<div class="df-bar" role="progressbar" aria-valuemin="0" aria-valuemax="100" '
        f'aria-valuenow="{percent}" aria-label="Progress of {escape(view.title)}">'
        f'<span style="width:{percent}%"></span></div>'
    )


def _joined(*parts: str) -> str:
    said = " · ".join(part for part in parts if part)
    return said[:1].upper() + said[1:]


def _sample(step: int, number: int, sample: Sample) -> str:
    agreement = ", ".join(f"{name} {share:.0%}" for name, share in sample.agreement.items())
    return (
        f'<li class="df-card"><img src="{file_url(sample.file, str(step))}" '
        f'alt="Sample {number} of step {step:,}" loading="lazy">'
        f'<p class="df-sample-caption">{escape(sample.caption)}</p>'
        f'<p class="df-card-note">{escape(agreement) or "not measured"}</p></li>'
    )


def _counted(by_label: Mapping[Label, int]) -> str:
    numbers = [by_label.get(label, 0) for label in Label]
    return "".join(f'<td class="df-number">{one:,}</td>' for one in [*numbers, sum(numbers)])


def _items(title: str, items: Sequence[Item]) -> str:
    if not items:
        return ""
    rows = "".join(
        f'<tr><th scope="row">{escape(item.what)}</th>'
        f'<td class="df-number">{_bytes(item.bytes)}</td></tr>'
        for item in items
    )
    total = _bytes(sum(item.bytes for item in items))
    return (
        f'<table class="df-table"><caption>{title}</caption><tbody>{rows}<tr class="df-total">'
        f'<th scope="row">Together</th><td class="df-number">{total}</td></tr></tbody></table>'
    )


def _assumed(assumptions: Sequence[str]) -> str:
    listed = "".join(f"<li>{escape(one)}</li>" for one in assumptions)
    return f"<h3 class='df-sub'>Assumed</h3><ul>{listed}</ul>" if listed else ""
