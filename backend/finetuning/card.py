"""The model card of an exported LoRA: what it is made of, its terms, its curves and samples."""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from backend.files import copy_file, write_file
from backend.finetuning.config import TrainingConfig
from backend.finetuning.curves import Curve, draw_curves, smoothed
from backend.finetuning.plan import DatasetFacts, Plan
from backend.finetuning.run_folder import RunFolder, read_metrics
from backend.generation.lora.layouts import Family

LOSS, VALIDATION, ADHERENCE, SAMPLES = "loss.svg", "validation.svg", "adherence.svg", "samples"
INTRODUCTION = """\
A LoRA of rank {rank} for {base}, trained on pairs of skin lesion images and captions with DermaFlux
Studio.

**Every image made with it is synthetic. Not for diagnosis.** Keep the mark of synthetic images when
you pass them on, and try to find no patient in them."""
_HUB_LICENCES: Mapping[str, str] = {
    "apache-2.0": "apache-2.0",
    "cc-by-4.0": "cc-by-4.0",
    "cc-by-nc-4.0": "cc-by-nc-4.0",
    "cc-by-nc-sa-4.0": "cc-by-nc-sa-4.0",
    "cc-by-nc-sa-3.0": "cc-by-nc-sa-3.0",
    "cc0-1.0": "cc0-1.0",
    "creativeml openrail-m": "creativeml-openrail-m",
}
"""Names of the hub for licences, by our spelling in lower case."""
_PERMISSIVE = ("apache-2.0", "cc0-1.0")
_COLOURS = {"asymmetry": "#2a8594", "border": "#c9622b", "colours": "#6b5bb5"}
_USE = {
    Family.FLUX: """\
from diffusers import FluxPipeline

pipeline = FluxPipeline.from_pretrained({base}, torch_dtype=torch.bfloat16)
pipeline.load_lora_weights("lora.safetensors")
image = pipeline(caption, max_sequence_length={length}{guidance}).images[0]""",
    Family.SD1: """\
from diffusers import StableDiffusionPipeline

pipeline = StableDiffusionPipeline.from_pretrained({base})
pipeline.load_lora_weights("lora.safetensors")
image = pipeline(caption{guidance}).images[0]""",
}


def write_card(
    run: RunFolder, config: TrainingConfig, plan: Plan, step: int, *, averaged: bool
) -> None:
    """Write README.md, curves and samples beside the exported LoRA; raises FileError."""
    folder = run.card.parent
    lines = [line for line in read_metrics(run) if int(line.get("step", 0)) <= step]
    for name, drawing in _curves(lines).items():
        write_file(folder / name, drawing.encode())
    shown = _copy_samples(run, lines)
    card = _card(config, plan, lines, shown, step, averaged=averaged)
    write_file(run.card, card.encode())


def hub_licence(licences: Iterable[str]) -> str | None:
    """The hub's name for the strictest of several licences, where it has one; None for a mixture.

    Permissive licences give way to the one that is not; two that are not have no common name.
    """
    spelt = [licence.lower() for licence in licences]
    named = {_HUB_LICENCES.get(one) or _HUB_LICENCES.get(one.replace(" ", "-")) for one in spelt}
    binding = named - set(_PERMISSIVE)
    if len(binding) == 1:
        return binding.pop()
    return "apache-2.0" if not binding and named else None


def _card(
    config: TrainingConfig,
    plan: Plan,
    lines: Sequence[Mapping[str, Any]],
    shown: Sequence[tuple[str, str]],
    step: int,
    *,
    averaged: bool,
) -> str:
    title = config.title or f"LoRA for {plan.base.title}"
    parts = [
        _front_matter(title, plan),
        f"# {_line(title)}",
        INTRODUCTION.format(rank=plan.targets.rank, base=plan.base.title),
        "## Licence",
        _terms(plan),
        "## Use",
        _use(plan),
        "## Training data",
        _data(plan),
        "## Training",
        _training(config, plan, step, averaged=averaged),
        "## Figures",
        _figures(lines),
    ]
    if shown:
        parts += ["## Samples", "Made at the last sampling, at the fixed captions of the run."]
        parts += [f"![{_line(caption)}]({file})\n\n*{_line(caption)}*" for file, caption in shown]
    return "\n\n".join(parts) + "\n"


def _front_matter(title: str, plan: Plan) -> str:
    each = [plan.base.licence, *(dataset.licence for dataset in plan.data.datasets)]
    named = hub_licence(each)
    values: dict[str, object] = {"license": named or "other"}
    if named is None:
        values["license_name"] = "see-the-card"
    values |= {
        "base_model": plan.base.name,
        "library_name": "diffusers",
        "pipeline_tag": "text-to-image",
        "tags": ["lora", "dermatology", "synthetic", plan.base.family.value],
        "model_name": title,
    }
    written = [f"{name}: {json.dumps(value, ensure_ascii=False)}" for name, value in values.items()]
    return "\n".join(["---", *written, "---"])


def _terms(plan: Plan) -> str:
    words = [f"- Base model {plan.base.title}: {plan.base.licence}."]
    words += [f"- Images of {one.title}: {one.licence}." for one in plan.data.datasets]
    closing = "The terms of the base model and of every dataset bind whoever uses this LoRA."
    if any(_non_commercial(one.licence) for one in plan.data.datasets):
        closing += " **Not for commercial use**, since some of the data are not."
    return "\n".join([*words, "", closing])


def _use(plan: Plan) -> str:
    guidance = "" if plan.base.family is Family.FLUX else ", guidance_scale=7.5"
    name = json.dumps(plan.base.name, ensure_ascii=False)
    code = _USE[plan.base.family].format(base=name, length=plan.t5_length, guidance=guidance)
    length = (
        f" It was trained with a T5 length of {plan.t5_length} tokens: sample with the same."
        if plan.base.family is Family.FLUX
        else ""
    )
    return (
        "Put `lora.safetensors` (diffusers layout) onto the LoRA shelf of the studio, or:\n\n"
        f"```python\nimport torch\n{code}\n```\n\n"
        f"The base has the SHA-256 `{plan.base.hash}` over its tensors.{length}"
    )


def _data(plan: Plan) -> str:
    data = plan.data
    version = f", version {data.version}" if data.version else ""
    held_out = (
        f"{data.validation:,} held out; no patient, lesion or near-duplicate that is known as such "
        "is on both sides"
    )
    words = [f"{data.name}{version}, content `{data.hash}`:"]
    words.append(f"{data.training:,} pairs to learn from, {held_out}.")
    if data.for_layout:
        words.append(
            f"{data.for_layout:,} of those are seen under much noise alone: their layout is "
            "learnt, their texture is not."
        )
    for label, counts in (("Labels", data.labels), ("Captions", data.origins)):
        if counts:
            listed = ", ".join(f"{count:,} {name}" for name, count in sorted(counts.items()))
            words.append(f"{label}: {listed}.")
    if data.left_out:
        listed = "; ".join(f"{count:,} {reason}" for reason, count in data.left_out.items())
        words.append(f"Left out: {listed}.")
    if not data.datasets:
        return " ".join(words)
    rows = "\n".join(_row(one) for one in data.datasets)
    table = "| dataset | images | licence | citation |\n|---|---|---|---|\n"
    return f"{' '.join(words)}\n\n{table}{rows}"


def _row(dataset: DatasetFacts) -> str:
    cells = (dataset.title, f"{dataset.images:,}", dataset.licence, dataset.citation)
    return "| " + " | ".join(_line(cell).replace("|", "\\|") for cell in cells) + " |"


def _training(config: TrainingConfig, plan: Plan, step: int, *, averaged: bool) -> str:
    targets = plan.targets
    sides = ", ".join(map(str, config.resolutions))
    layout = ", fused" if targets.fused else ""
    images = config.batch * config.accumulate * config.processes
    facts = {
        "targets": f"{targets.targets}{layout}, {targets.parameters:,} parameters",
        "rank, alpha": f"{targets.rank}, {targets.alpha:g} (taken into the weights)",
        "steps": f"{step:,} of {plan.steps:,}, {images:,} images each",
        "weights": f"moving average, {config.ema_decay:g}" if averaged else "of the last step",
        "resolutions": f"{sides} px",
        "learning rate": f"{config.learning_rate:g}, {config.warmup} steps of warmup",
        "caption dropout": f"{config.caption_dropout:g}",
        "precision of the base": config.precision.value,
        "seed": str(config.seed),
        "libraries": ", ".join(f"{name} {version}" for name, version in plan.libraries.items()),
    }
    rows = "\n".join(f"| {name} | {_line(value)} |" for name, value in facts.items() if value)
    return f"| setting | value |\n|---|---|\n{rows}"


def _figures(lines: Sequence[Mapping[str, Any]]) -> str:
    validations = [line for line in lines if line.get("kind") == "validation"]
    words = [f"![Loss while training]({LOSS})"]
    if validations:
        first, last = validations[0], validations[-1]
        best = min(validations, key=lambda line: float(line["loss"]))
        words.append(f"![Loss on held-out images]({VALIDATION})")
        words.append(
            f"Loss on {int(last.get('images', 0)):,} held-out images, at fixed noise and 8 "
            f"equidistant timesteps: {first['loss']:.4f} at step {first['step']:,}, "
            f"{last['loss']:.4f} at step {last['step']:,}, lowest {best['loss']:.4f} at step "
            f"{best['step']:,}."
        )
    sampled = [line for line in lines if line.get("kind") == "samples" and line.get("agreement")]
    if sampled:
        last = sampled[-1]
        listed = ", ".join(
            f"{name} {float(value):.2f}"
            for name, value in last["agreement"].items()
            if value is not None
        )
        words.append(f"![Samples measured against their captions]({ADHERENCE})")
        words.append(
            f"Measured in the samples of step {last['step']:,}, share that agrees with the "
            f"caption: {listed}."
        )
    return "\n\n".join(words)


def _curves(lines: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    steps = _points((line for line in lines if line.get("kind") == "step"), "loss")
    held_out = _points((line for line in lines if line.get("kind") == "validation"), "loss")
    drawings = {
        LOSS: draw_curves(
            "Loss while training",
            [Curve("smoothed", smoothed(steps)), Curve("each step", steps, faint=True)],
        )
    }
    if held_out:
        drawings[VALIDATION] = draw_curves("Loss on held-out images", [Curve("", held_out)])
    sampled = [line for line in lines if line.get("kind") == "samples" and line.get("agreement")]
    if sampled:
        drawings[ADHERENCE] = draw_curves(
            "Samples measured against their captions",
            [
                Curve(
                    name,
                    [
                        (line["step"], float(line["agreement"][name]))
                        for line in sampled
                        if line["agreement"].get(name) is not None
                    ],
                    colour,
                    dashed=name == "border",
                )
                for name, colour in _COLOURS.items()
            ],
        )
    return drawings


def _points(lines: Iterable[Mapping[str, Any]], name: str) -> list[tuple[float, float]]:
    return [
        (float(line["step"]), float(line[name])) for line in lines if line.get(name) is not None
    ]


def _copy_samples(run: RunFolder, lines: Sequence[Mapping[str, Any]]) -> list[tuple[str, str]]:
    """The newest samples beside the card, each with its caption; files that are gone are left
    out."""
    newest = next((line for line in reversed(lines) if line.get("kind") == "samples"), None)
    shown = []
    for image in newest["images"] if newest else ():
        file = run.path / str(image["file"])
        if not file.is_file() or not _inside(file, run.samples):
            continue
        name = f"{SAMPLES}/{file.name}"
        copy_file(file, run.card.parent / name)
        shown.append((name, str(image["caption"])))
    return shown


def _inside(file: Path, folder: Path) -> bool:
    return folder.resolve() in file.resolve().parents


def _non_commercial(licence: str) -> bool:
    words = licence.lower()
    return "-nc" in words or "non-commercial" in words or "by nc" in words


def _line(words: str) -> str:
    """On one line, without what markdown would take for markup."""
    return " ".join(words.split()).replace("[", "(").replace("]", ")").replace("<", "&lt;")
