"""What a report says in sentences: methods, limits, and the flow of images."""

from collections import Counter
from collections.abc import Iterator, Mapping
from importlib.metadata import PackageNotFoundError, version
from platform import python_version

from backend.evaluation.calibration import BINS
from backend.evaluation.evaluation import Evaluation
from backend.evaluation.predictions import IMAGE, Predictions, Split, series_of

PACKAGES = ("dermaflux-studio", "numpy", "pandas", "scipy", "scikit-learn", "pyarrow", "timm",
            "torch", "open_clip_torch", "pillow")  # fmt: skip
NOT_JUDGED: Mapping[Split, str] = {
    Split.TRAIN: "training images: a model knows them",
    Split.VALIDATION: "validation images: thresholds are chosen on them",
    Split.TEST: "test images: another split is judged",
}


def methods(found: Evaluation) -> Iterator[str]:
    """The methods, as a manuscript would put them."""
    options = found.options
    percent = f"{100 * options.confidence:g} %"
    yield (
        "Every figure is computed from the prediction table alone: one row for each image that a "
        "run of a model scored, with its truth and a score from 0 to 1. A table with a missing, "
        "repeated or impossible cell is refused; nothing is imputed and no result is "
        "indeterminate. An image whose score is the threshold or more is called malignant."
    )
    yield (
        f"The area under the ROC curve has DeLong's {percent} interval (Biometrics 1988) for one "
        "run, with Obuchowski's variance (Biometrics 1997) where several images belong together. "
        f"Other figures have percentile intervals of {found.replicates:,} bootstrap replicates, "
        f"stratified by class, seed {options.seed}; a share of 0 or 1 has Wilson's interval. "
        "Where a model has several runs, the mean over runs is given with Student's interval."
    )
    yield _clusters(found.clustered_by)
    yield (
        "Thresholds are fixed beforehand, or chosen on validation images by Youden's index, a "
        "sensitivity or a specificity. Where there are no validation images they are read off "
        "the judged images; the table then says so, and such figures are too good."
    )
    yield (
        "PR-AUC is the average precision, not interpolated. ECE is the expected calibration error "
        f"of the malignant probability in {BINS} bins of equal width; the Brier score is the mean "
        "squared distance of score and truth. The decision curve is the net benefit of Vickers "
        "and Elkin (2006), taking scores as probabilities."
    )
    if found.comparisons:
        yield (
            "Models that scored the same images are compared by DeLong's paired test, corrected "
            "by Holm's method over all pairs, by a paired bootstrap of images and runs, and, with "
            "one run each, by McNemar's exact test at the first operating point."
        )
    yield (
        "Subgroups are judged at the threshold of the whole. Groups with fewer than 30 images, or "
        "fewer than 10 of either class, are marked small and greyed."
    )


def limits(found: Evaluation) -> Iterator[str]:
    """What the data cannot carry; each a sentence."""
    yield from found.notes
    for model in found.models:
        for run in model.runs:
            if run.auc.reason:
                yield f"{run.model}, run {run.run}: {run.auc.reason}"


def flow_steps(
    predictions: Predictions, found: Evaluation, left_out: Mapping[str, int] | None = None
) -> list[tuple[str, str]]:
    """What stays at each step, and what was left out there and why.

    `left_out` are images that never came to be scored, by reason.
    """
    frame = predictions.frame
    images = len(frame["image_id"].cat.categories)
    steps: list[tuple[str, str]] = []
    if left_out:
        total = sum(left_out.values())
        reasons = "\n".join(f"{reason}: {count:,}" for reason, count in left_out.items())
        steps.append(
            (f"{images + total:,} images or rows of the datasets", f"Left out:\n{reasons}")
        )
    judged = found.options.split
    others = Counter(
        {
            Split(str(split)): rows["image_id"].nunique()
            for split, rows in frame.groupby("split", observed=True)
            if split != judged.value
        }
    )
    reasons = "\n".join(f"{count:,} {NOT_JUDGED[split]}" for split, count in others.items())
    models = frame["model"].nunique()
    steps.append(
        (
            f"{images:,} images scored\n{len(frame):,} predictions of {models:,} models",
            f"Not judged:\n{reasons}" if reasons else "",
        )
    )
    series = series_of(predictions, judged)
    united = len({int(image) for one in series for image in one.images})
    seen = [run for model in found.models for run in model.runs]
    fewest = min(run.images for run in seen)
    most = max(run.images for run in seen)
    reason = ""
    if found.options.shared_only and united > most:
        reason = f"{united - most:,} images that some run has not scored"
    elif fewest < united:
        reason = "Not every model scored every image:\nno comparison across different sets"
    steps.append((f"{united:,} {judged.value} images", reason))
    counts = sorted({(run.images, run.malignant) for run in seen})
    steps.append(
        ("\n".join(f"{count:,} judged, {sick:,} malignant" for count, sick in counts[:4]), "")
    )
    return steps


def versions() -> dict[str, str]:
    """Python and the libraries that make the numbers, those that are installed."""
    found = {"Python": python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def seeds(found: Evaluation) -> dict[str, str]:
    """The seeds of each model's runs, and that of the bootstrap."""
    said = {"Bootstrap": str(found.options.seed)}
    for model in found.models:
        known = [str(run.seed) for run in model.runs if run.seed is not None]
        said[model.model] = ", ".join(known) or "not stated"
    return said


def _clusters(kind: str) -> str:
    if kind == IMAGE:
        return (
            "Patients and lesions are not known: images are taken as independent, and intervals "
            "are too narrow where several show one patient."
        )
    if kind == "mixed":
        return "Images of one patient or lesion are drawn together where they are known."
    return f"Images of one {kind} are drawn together; one that is not known stands for itself."
