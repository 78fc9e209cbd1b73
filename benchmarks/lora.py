"""What a LoRA of real images gains: the starter alone and with it, against images held out.

    python -m benchmarks.lora --work FOLDER --download HAM10000 [--steps 1200] [--json] [--until X]
    python -m benchmarks.lora --work FOLDER --name NAME --ship SHELF_NAME

HAM10000 is imported, captioned by the measured captioner and divided by lesion; the preset
starter-cpu learns from 1,600 of the pairs, and with --phantoms under much noise from phantoms,
which hold the layout of combinations that real images lack; the starter alone and with the LoRA
then make an image for the caption of each of 400 held-out images, from the same noise, led by no
classifier. Printed:
Frechet distances to the held-out images in the features of the embedded network, beside those of as
many real images that were learnt from and of what the autoencoder makes of real ones; the loss on
validation images; the adherence of both.

Every stage leaves its files in FOLDER and is left out where they are there; one that was cut off
goes on. Another training has another --name and shares what does not depend on it. --ship puts
the LoRA among those that come with the studio, with its card and the notice of its images'
licence. Threads are those of DERMAFLUX_THREADS.
"""

import argparse
import json
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from backend.corpus.sources.others import HAM10000
from backend.evaluation.features import EMBEDDED, FeatureNetwork
from backend.evaluation.fidelity import FEWEST, compare_sets, frechet_distance, kernel_distance
from backend.files import write_file
from backend.finetuning.config import TrainingData
from backend.finetuning.errors import FinetuningError
from backend.finetuning.export import exported
from backend.finetuning.pairs import Pair, load_pairs
from backend.finetuning.run_folder import Phase, RunFolder, find_run, read_metrics, read_status
from backend.generation.models import usable_model
from backend.generation.request import LoraUse
from backend.settings import Settings
from backend.store.database import open_database
from benchmarks.lora_data import (
    Split,
    child,
    files_of,
    get_split,
    kept,
    own_settings,
    validation_share,
    write_pairs,
)
from benchmarks.lora_images import generate, reconstruct, write_sheet

STAGES = ("data", "training", "starter", "images", "figures")
LEARNT_WITH = (
    *("steps", "batch", "rank", "learning_rate", "text_length", "ema", "model", "seed", "title"),
    *("flip", "phantoms", "lowest_noise"),
)
"""What makes a training: a name stands for one."""
FIRST_SEED = 50_000
STARTER, LORA = "starter", "starter + LoRA"
FLOOR, CODED, CODED_OTHER = "real, learnt from", "held out, coded", "real, learnt from, coded"
NOTICE = """\
{name}: a LoRA that learnt from images of HAM10000{beside}.
The LoRA and the samples beside it are not under the licence of the rest of this repository, but
under

Creative Commons Attribution-NonCommercial 4.0 International (CC BY-NC 4.0)
https://creativecommons.org/licenses/by-nc/4.0/

Not for commercial use. The images: Tschandl, P., Rosendahl, C. & Kittler, H. The HAM10000 dataset,
a large collection of multi-source dermatoscopic images of common pigmented skin lesions. Sci Data
5, 180161 (2018). ViDIR Group, Department of Dermatology, Medical University of Vienna, and
C. Rosendahl. They were captioned by measurement and learnt from at {side} px; none of them is here.

The starter model that it is for is in assets/starter, under the Apache License, Version 2.0.
Images made with it are synthetic. Not for diagnosis.
"""


MEASURED = """
## Measured

By `python -m benchmarks.lora`: the starter alone and with this LoRA, from the same noise, led by no
classifier, for the captions of real images of other lesions. Images come nearer to real ones; what
captions state is followed less well than by the starter alone.{scaled}

```text
{table}
```
"""


SCALED = """ The LoRA was multiplied by {weight:g} after its
training: a weight of 1 is what was measured."""


def main() -> None:
    """Do what is not done yet, and print."""
    asked = _parser().parse_args()
    settings = own_settings(asked.work)
    if asked.ship:
        own = asked.work / asked.name
        run = find_run(settings, _trained(own))
        figures = json.loads((own / _at("figures.json", asked.weight)).read_bytes())
        print(ship(run, asked.ship, asked.to or settings.embedded_loras_dir, figures))
        return
    figures = experiment(settings, asked)
    if figures is not None:
        print(json.dumps(figures, indent=1) if asked.json else table(figures))


def experiment(settings: Settings, asked: argparse.Namespace) -> dict[str, Any] | None:
    """All stages up to the last that is wanted; None where that is not the last of all."""
    wanted = STAGES[: STAGES.index(asked.until) + 1]
    work, own = asked.work, asked.work / asked.name
    split = get_split(
        settings,
        work,
        asked.download,
        train=asked.train,
        images=asked.images,
        seed=asked.seed,
    )
    folder = write_pairs(
        settings,
        split,
        own / "pairs",
        phantoms=asked.phantoms,
        lowest_noise=asked.lowest_noise,
    )
    share = validation_share(split, asked.train)
    print(f"{len(split.pairs):,} pairs, {len(split.held_out):,} images held out", flush=True)
    if "training" in wanted:
        shelf_name = train(settings, own, folder, share, asked)
    if "starter" in wanted:
        make_images(settings, work / "starter", split, asked.model, None)
        _coded(settings, work, split, learnt_pairs(settings, folder, share), asked)
        adherence(settings, work / "adherence.json", asked, None)
    if "images" in wanted:
        use = LoraUse(name=shelf_name, weight=asked.weight)
        make_images(settings, own / _at("images", asked.weight), split, asked.model, use)
        adherence(settings, own / _at("adherence.json", asked.weight), asked, use)
    if "figures" not in wanted:
        return None
    file = own / _at("figures.json", asked.weight)
    return kept(file, lambda: _figures(settings, asked, split, folder, share))


def train(
    settings: Settings, own: Path, pairs: Path, share: float, asked: argparse.Namespace
) -> str:
    """Train, or go on with it; the name of the LoRA on the shelf of the workspace."""
    planned = kept(own / "run.json", lambda: _plan(settings, pairs, share, asked))
    told = planned.get("asked", {})
    other = next((name for name, value in told.items() if value != getattr(asked, name)), None)
    if other is not None:
        sys.exit(
            f"{own.name} was planned with {other} = {told[other]}: ask for the same, or give "
            "another --name."
        )
    run = find_run(settings, planned["run"])
    status = read_status(run)
    if status is None or status.phase is not Phase.DONE:
        child(settings, "training.lora", "--run", run.path)

    def shelve() -> Mapping[str, Any]:
        told = child(settings, "backend", "train", "export", run.path.name, "--shelf", "--json")
        return {"run": run.path.name, **json.loads(told)}

    return str(kept(own / "lora.json", shelve)["shelf"])


def _plan(
    settings: Settings, pairs: Path, share: float, asked: argparse.Namespace
) -> Mapping[str, Any]:
    every = max(1, min(150, asked.steps))
    choices = {
        "steps": asked.steps,
        "batch": asked.batch,
        "lora.rank": asked.rank,
        "lora.alpha": asked.rank,
        "learning_rate": asked.learning_rate,
        "warmup": min(50, asked.steps // 4),
        "t5_length": asked.text_length,
        "data.validation_share": share,
        "checkpoint_every": every,
        "validate_every": every,
        "sample_every": 2 * every,
        "ema_decay": asked.ema,
        "flip": asked.flip,
        "seed": asked.seed,
    }
    changes = [word for name, value in choices.items() for word in ("--set", f"{name}={value}")]
    told = child(
        settings,
        *("training.lora", "--preset", "starter-cpu", "--base", asked.model, "--folder", pairs),
        *("--title", asked.title, "--plan-only", *changes),
    )
    known = {name: getattr(asked, name) for name in LEARNT_WITH}
    return {"run": Path(told.strip().splitlines()[-1]).name, "asked": known}


def make_images(
    settings: Settings, folder: Path, split: Split, model: str, lora: LoraUse | None
) -> list[Path]:
    """An image for the caption of each held-out one; the same noise with a LoRA and without."""
    captions = [item.caption for item in split.held_out]
    return generate(settings, folder, captions, model=model, lora=lora, first_seed=FIRST_SEED)


def adherence(
    settings: Settings, file: Path, asked: argparse.Namespace, lora: LoraUse | None
) -> dict[str, Any]:
    """Scores by attribute, by the studio's own command."""
    words = ["backend", "adherence", "--model", asked.model, "--count", str(asked.count)]
    words += ["--attribute-guidance", "0"]
    words += ["--lora", f"{lora.name}:{lora.weight:g}"] if lora else []
    return kept(file, lambda: json.loads(child(settings, *words, "--json")))


def learnt_pairs(settings: Settings, folder: Path, share: float) -> list[Pair]:
    """The real pairs that the run learns from, not those that it holds out for validation."""
    database = open_database(settings)
    try:
        data = TrainingData(folder=folder, validation_share=share)
        found = load_pairs(database, settings, data)
    finally:
        database.close()
    return [pair for pair in found.training if not pair.lowest_noise]


def ship(run: RunFolder, name: str, loras: Path, figures: Mapping[str, Any]) -> Path:
    """Copy the exported LoRA with card and samples, and put the notice of its licence beside it.

    It is multiplied by the weight at which it was measured, so that 1 is that weight; the card gets
    what was measured, as `table` writes it.

    Raises:
        FinetuningError: the run has no LoRA yet, or there is one of the name.
        FileError: the folder cannot be written.
    """
    file, folder = exported(run), loras / name
    if folder.exists():
        raise FinetuningError(f"There is a folder {folder} already: give another name.")
    unneeded = shutil.ignore_patterns(run.shelved.name, "*-kohya.safetensors", ".*", "*.partial")
    shutil.copytree(file.parent, folder, ignore=unneeded)
    weight = figures["asked"]["weight"]
    scaled = SCALED.format(weight=weight) if weight != 1 else ""
    if scaled:
        multiply(folder / file.name, weight)
    side = json.loads(run.config.read_bytes())["resolutions"][-1]
    card = (folder / "README.md").read_text("utf-8")
    card += MEASURED.format(table=table(figures), scaled=scaled)
    beside = " and from phantoms, which are drawn" if figures["asked"].get("phantoms") else ""
    notice = NOTICE.format(name=name, side=side, beside=beside)
    write_file(folder / "README.md", card.encode())
    write_file(folder / "NOTICE", notice.encode())
    return folder


def multiply(file: Path, weight: float) -> None:
    """Multiply a LoRA in diffusers layout, which then says so."""
    import torch
    from safetensors import safe_open
    from safetensors.torch import save_file

    with safe_open(file, "pt") as opened:
        notes = dict(opened.metadata() or {}) | {"multiplied_by": f"{weight:g}"}
        tensors: dict[str, torch.Tensor] = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
    save_file(
        {
            name: (weight * tensor.float()).to(tensor.dtype) if ".lora_B." in name else tensor
            for name, tensor in tensors.items()
        },
        file,
        notes,
    )


def table(figures: Mapping[str, Any]) -> str:
    """The figures as aligned text."""
    asked, loss = figures["asked"], figures["validation"]
    rate = asked["learning_rate"]
    first, last, lowest = (f"{loss[name]:.4f}" for name in ("first", "last", "lowest"))
    lines = [
        f"{asked['learnt']:,} pairs of {HAM10000.title} ({HAM10000.licence})"
        + (", mirrored by chance" if asked.get("flip") else ""),
        *_beside(asked),
        f"{asked['steps']:,} steps of {asked['batch']}, rank {asked['rank']}, learning rate {rate}",
        f"used at weight {asked['weight']:g}",
        f"loss on {loss['images']} validation images: {first} at step {loss['first_step']}",
        f"{last} at the end, lowest {lowest} at step {loss['lowest_step']}",
        f"{asked['images']} images a set, in the features of {figures['network']}:",
        f"{'to those held out':<26}{'Frechet':>9}{'of starter':>12}{'kernel':>9}",
    ]
    base = figures["distances"][STARTER]["frechet"]
    for name, row in figures["distances"].items():
        share = row["frechet"] / base if base else float("nan")
        lines.append(f"{name:<26}{row['frechet']:>9.2f}{share:>12.3f}{row['kernel']:>9.3f}")
    lines.append(f"{'adherence':<26}{'starter':>9}{'+ LoRA':>12}{'share':>9}")
    for name, row in figures["adherence"].items():
        words = f"{row['starter']:>9.3f}{row['lora']:>12.3f}"
        lines.append(f"{name:<26}{words}{row['share'] or float('nan'):>9.3f}")
    return "\n".join(lines)


def _beside(asked: Mapping[str, Any]) -> list[str]:
    """What was learnt from beside the real pairs, if anything."""
    if not asked.get("phantoms"):
        return []
    return [f"{asked['phantoms']:,} phantoms, at noise above {asked['lowest_noise']:g} alone"]


def _coded(
    settings: Settings, work: Path, split: Split, pairs: Sequence[Pair], asked: argparse.Namespace
) -> dict[str, list[Path]]:
    """What the autoencoder makes of real images, held out and learnt from."""
    held = files_of(settings, split.held_out)
    learnt = [pair.path for pair in pairs[: len(held)]]
    return {
        CODED: reconstruct(settings, work / "coded", held, model=asked.model),
        CODED_OTHER: reconstruct(settings, work / "coded-learnt", learnt, model=asked.model),
    }


def _figures(
    settings: Settings, asked: argparse.Namespace, split: Split, folder: Path, share: float
) -> dict[str, Any]:
    work, own = asked.work, asked.work / asked.name
    pairs = learnt_pairs(settings, folder, share)
    real = files_of(settings, split.held_out)
    sets: dict[str, Sequence[Path]] = {
        STARTER: sorted((work / "starter").glob("*.png")),
        LORA: sorted((own / _at("images", asked.weight)).glob("*.png")),
        FLOOR: [pair.path for pair in pairs[: len(real)]],
        **_coded(settings, work, split, pairs, asked),
    }
    side = usable_model(settings, asked.model).sizes[0]
    shown = {"real": real, STARTER: sets[STARTER], LORA: sets[LORA]}
    write_sheet(own / _at("sheet.png", asked.weight), shown, side=side)
    return {
        "asked": {name: getattr(asked, name) for name in (*LEARNT_WITH, "weight")}
        | {"images": len(real), "learnt": len(pairs), "run": _trained(own)},
        "validation": _losses(find_run(settings, _trained(own))),
        "network": EMBEDDED.name,
        "distances": distances(sets, real, side),
        "adherence": _adherences(
            work / "adherence.json", own / _at("adherence.json", asked.weight)
        ),
    }


def distances(
    sets: Mapping[str, Sequence[Path]], real: Sequence[Path], side: int
) -> dict[str, dict[str, Any]]:
    """How far each set is from the real one, all brought to `side` pixels first."""
    network = FeatureNetwork()
    truth = network.embed(real, side=side)
    found: dict[str, dict[str, Any]] = {}
    for name, images in sets.items():
        print(f"features of {len(images)} images: {name}", flush=True)
        features = network.embed(images, side=side)
        found[name] = {"frechet": frechet_distance(features, truth)}
        found[name]["kernel"] = kernel_distance(features, truth)[0]
        if min(len(features), len(truth)) >= FEWEST:
            all_of_it = compare_sets(features, truth, network=EMBEDDED.name)
            told = ("precision", "recall", "density", "coverage", "diversity", "told_apart")
            found[name] |= {measure: getattr(all_of_it, measure) for measure in told}
    return found


def _adherences(starter: Path, lora: Path) -> dict[str, dict[str, float | None]]:
    before, after = (json.loads(file.read_bytes()) for file in (starter, lora))
    rows = {name: (before[name]["score"], after[name]["score"]) for name in before}
    rows["mean"] = (
        fmean(old for old, _new in rows.values()),
        fmean(new for _old, new in rows.values()),
    )
    return {
        name: {"starter": old, "lora": new, "share": new / old if old else None}
        for name, (old, new) in rows.items()
    }


def _losses(run: RunFolder) -> dict[str, Any]:
    lines = [line for line in read_metrics(run) if line.get("kind") == "validation"]
    if not lines:
        raise FinetuningError("The run has no validation: give it more pairs.")
    best = min(lines, key=lambda line: float(line["loss"]))
    return {
        "images": lines[-1]["images"],
        "first": lines[0]["loss"],
        "first_step": lines[0]["step"],
        "last": lines[-1]["loss"],
        "lowest": best["loss"],
        "lowest_step": best["step"],
        "curve": [[line["step"], line["loss"]] for line in lines],
    }


def _at(name: str, weight: float) -> str:
    """The name of what was made with the LoRA at a weight."""
    return name if weight == 1 else f"weight-{weight:g}-{name}"


def _trained(own: Path) -> str:
    return str(json.loads((own / "run.json").read_bytes())["run"])


def _count(word: str) -> int:
    value = int(word)
    if value < 0:
        raise argparse.ArgumentTypeError("0 or more")
    return value


def _level(word: str) -> float:
    value = float(word)
    if not 0 < value < 1:
        raise argparse.ArgumentTypeError("above 0 and below 1")
    return value


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--work", type=Path, required=True, help="kept, and gone on with")
    parser.add_argument("--download", type=Path, help="HAM10000, for the first call")
    parser.add_argument("--until", choices=STAGES, default=STAGES[-1], help="the last stage")
    parser.add_argument("--name", default="lora", help="of this training, below the work folder")
    parser.add_argument("--title", default="Dermoscopy, HAM10000", help="of the LoRA")
    parser.add_argument("--model", default="starter")
    parser.add_argument("--train", type=int, default=1_600, help="pairs to learn from")
    parser.add_argument("--images", type=int, default=400, help="held out, and made of each kind")
    parser.add_argument("--count", type=int, default=150, help="images of an adherence")
    parser.add_argument("--steps", type=int, default=1_200)
    parser.add_argument("--batch", type=int, default=20)
    parser.add_argument("--rank", type=int, default=64)
    parser.add_argument("--learning-rate", type=float, default=5e-4)
    parser.add_argument("--ema", type=float, default=0.99)
    parser.add_argument("--text-length", type=int, default=96, help="T5 tokens")
    parser.add_argument("--flip", action="store_true", help="mirror images by chance")
    parser.add_argument("--phantoms", type=_count, default=0, help="beside the pairs, for layout")
    parser.add_argument(
        "--lowest-noise", type=_level, default=0.7, help="that phantoms are seen at"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--weight", type=float, default=1.0, help="of the LoRA in its images")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--ship", metavar="NAME", help="among those that come with the studio")
    parser.add_argument("--to", type=Path, help="the folder of those, if another")
    return parser


if __name__ == "__main__":
    main()
