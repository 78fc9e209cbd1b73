"""What a run measured, read from its metrics file into curves that can be drawn."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from backend.finetuning.run_folder import RunFolder, read_metrics

SMOOTHING = 0.97
LATELY = 50
"""So many steps are what "now" means for the share of time."""
LONGEST_CURVE = 800
PHASES: Mapping[str, str] = {
    "data": "Reading images",
    "text": "Encoding captions",
    "forward_backward": "Forward and backward",
    "optimizer": "Optimiser",
}
PER_STEP = ("loss", "learning_rate", "grad_norm", "lora_norm", "images_per_second")


@dataclass(frozen=True)
class Curve:
    """Values at optimiser steps, in their order."""

    steps: tuple[int, ...] = ()
    values: tuple[float, ...] = ()

    @property
    def last(self) -> float | None:
        """The newest value."""
        return self.values[-1] if self.values else None

    @property
    def lowest(self) -> tuple[int, float] | None:
        """The step with the smallest value, and that value."""
        if not self.values:
            return None
        place = min(range(len(self.values)), key=self.values.__getitem__)
        return self.steps[place], self.values[place]

    def thinned(self, longest: int = LONGEST_CURVE) -> "Curve":
        """At most about so many points, evenly chosen, the last one kept."""
        if len(self.steps) <= longest:
            return self
        stride = -(-len(self.steps) // longest)
        offset = (len(self.steps) - 1) % stride
        return Curve(self.steps[offset::stride], self.values[offset::stride])


@dataclass(frozen=True)
class Sample:
    """One image that was made while training, and how its measured ABC agrees with its caption."""

    file: Path
    caption: str
    agreement: Mapping[str, float]


@dataclass(frozen=True)
class Event:
    """What happened, in a sentence."""

    step: int
    level: str
    text: str


@dataclass(frozen=True)
class RunMetrics:
    """Everything that a run measured so far.

    `validation` holds curves by what they are of: "overall", then those by timestep, by bucket and
    by class. `shares` is the share of time of each phase lately, 0 to 1. `skipped` counts steps
    whose loss was no number.
    """

    per_step: Mapping[str, Curve] = field(default_factory=dict)
    smoothed: Curve = field(default_factory=Curve)
    validation: Mapping[str, Mapping[str, Curve]] = field(default_factory=dict)
    agreement: Mapping[str, Curve] = field(default_factory=dict)
    samples: Mapping[int, Sequence[Sample]] = field(default_factory=dict)
    events: Sequence[Event] = ()
    shares: Mapping[str, float] = field(default_factory=dict)
    skipped: int = 0

    @property
    def overall(self) -> Curve:
        """The validation loss over all held-out images."""
        return self.validation.get("overall", {}).get("all images", Curve())


def measure_run(run: RunFolder) -> RunMetrics:
    """Read the metrics of a run; lines that are not understood are left out."""
    lines: dict[str, list[dict[str, Any]]] = {
        kind: [] for kind in ("step", "validation", "samples", "event")
    }
    for line in read_metrics(run):
        if isinstance(line, dict) and line.get("kind") in lines and _is_step(line.get("step")):
            lines[str(line["kind"])].append(line)
    steps = lines["step"]
    per_step = {name: _curve(steps, name) for name in PER_STEP}
    return RunMetrics(
        per_step=per_step,
        smoothed=_smoothed(per_step["loss"]),
        validation=_validation(lines["validation"]),
        agreement=_nested(lines["samples"], "agreement"),
        samples=_samples(run, lines["samples"]),
        events=tuple(
            Event(line["step"], str(line.get("level", "info")), str(line.get("text", "")))
            for line in lines["event"]
        ),
        shares=_shares(steps[-LATELY:]),
        skipped=max((int(line.get("skipped") or 0) for line in steps[-1:]), default=0),
    )


def _is_step(value: object) -> bool:
    return isinstance(value, int) and value >= 0


def _curve(lines: Iterable[Mapping[str, Any]], name: str) -> Curve:
    points = [
        (line["step"], float(line[name]))
        for line in lines
        if isinstance(line.get(name), int | float)
    ]
    return Curve(tuple(step for step, _ in points), tuple(value for _, value in points))


def _smoothed(loss: Curve) -> Curve:
    """An exponential moving average that is not pulled towards zero at its begin."""
    values, mean, weight = [], 0.0, 0.0
    for value in loss.values:
        if value == value:  # not NaN
            mean = SMOOTHING * mean + (1 - SMOOTHING) * value
            weight = SMOOTHING * weight + (1 - SMOOTHING)
        values.append(mean / weight if weight else value)
    return Curve(loss.steps, tuple(values))


def _validation(lines: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, Curve]]:
    if not lines:
        return {}
    parts = {name: _nested(lines, f"by_{name}") for name in ("timestep", "bucket", "class")}
    return {"overall": {"all images": _curve(lines, "loss")}} | parts


def _nested(lines: Sequence[Mapping[str, Any]], name: str) -> dict[str, Curve]:
    """A curve for each key of the object `name` in the lines."""
    keys: dict[str, None] = {}
    for line in lines:
        if isinstance(line.get(name), dict):
            keys |= dict.fromkeys(map(str, line[name]))
    return {
        key: _curve(
            [
                {"step": line["step"], key: line[name].get(key)}
                for line in lines
                if isinstance(line.get(name), dict)
            ],
            key,
        )
        for key in keys
    }


def _samples(run: RunFolder, lines: Sequence[Mapping[str, Any]]) -> dict[int, tuple[Sample, ...]]:
    """The images of each step that are there; none outside of the folder of samples."""
    found: dict[int, tuple[Sample, ...]] = {}
    for line in lines:
        images = [one for one in line.get("images", ()) if isinstance(one, dict)]
        found[line["step"]] = tuple(
            Sample(file, str(one.get("caption", "")), dict(one.get("agreement") or {}))
            for one in images
            if (file := run.path / str(one.get("file", "")))
            .resolve()
            .is_relative_to(run.samples.resolve())
        )
    return found


def _shares(lines: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    seconds = dict.fromkeys(PHASES, 0.0)
    for line in lines:
        for name, spent in (line.get("seconds") or {}).items():
            if name in seconds and isinstance(spent, int | float):
                seconds[name] += float(spent)
    whole = sum(seconds.values())
    return {name: spent / whole for name, spent in seconds.items()} if whole else {}
