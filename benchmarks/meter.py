"""How fast the meter is on real images, and whether it sees more in melanomas than in nevi.

    python -m benchmarks.meter FOLDER LABELS

FOLDER holds dermoscopic images, LABELS is a table with the columns image_id and dx (nv, mel), that
of HAM10000 for instance. The diagnosis is no truth of asymmetry or colour: the areas under the ROC
curve are a check that the measures point the right way. Prevalences are those of a mix of four
nevi to one melanoma, as in PH2 (Mendonca et al., EMBC 2013), where experts call about 58 %, 16 %
and 26 % asymmetric in no, one and two axes and name white on 10 %, red on 6 %, light brown on
70 %, dark brown on 78 %, blue-gray on 19 % and black on 21 %.
"""

import argparse
import csv
import json
import time
from pathlib import Path

import cv2
import numpy as np
from sklearn.metrics import roc_auc_score

from backend.abc.attributes import Asymmetry, Colour
from backend.abc.expert.pictures import pictures_in
from backend.abc.measure import Measurement, measure
from backend.images import read_image

MELANOMA_SHARE = 0.2
AXES = tuple(Asymmetry)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("labels", type=Path)
    parser.add_argument("--every", type=int, default=1, help="take only each n-th image")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    diagnoses = read_diagnoses(options.labels)
    images = pictures_in(options.folder).images
    chosen = sorted(diagnoses.keys() & images.keys())[:: options.every]
    pixels = [read_image(images[stem]) for stem in chosen]
    started = time.process_time()
    measured = [measure(image) for image in pixels]
    seconds = time.process_time() - started
    malignant = np.array([diagnoses[stem] == "mel" for stem in chosen])
    figures = {
        "images": len(chosen),
        "images_per_cpu_second": len(chosen) / seconds,
        "auc": areas(measured, malignant),
        "prevalence": prevalences(measured, malignant),
    }
    if options.json:
        print(json.dumps(figures, indent=2))
        return
    print(f"{len(chosen)} nevi and melanomas, {len(chosen) / seconds:.1f} images a CPU second")
    for kind in ("auc", "prevalence"):
        for name, value in figures[kind].items():  # type: ignore[attr-defined]
            print(f"{kind:<12}{name:<22}{value:.3f}")


def read_diagnoses(path: Path) -> dict[str, str]:
    """Nevi and melanomas by the stem of their image."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return {row["image_id"].casefold(): row["dx"] for row in rows if row["dx"] in ("nv", "mel")}


def areas(measured: list[Measurement], malignant: np.ndarray) -> dict[str, float]:
    """Areas under the ROC curve, melanomas against nevi."""
    scores = {
        "axes of asymmetry": [_axes(one) for one in measured],
        "mismatch": [one.indices.get("axis_asymmetry_lower", 0.0) for one in measured],
        "number of colours": [len(one.attributes.colours) for one in measured],
    }
    return {name: float(roc_auc_score(malignant, score)) for name, score in scores.items()}


def prevalences(measured: list[Measurement], malignant: np.ndarray) -> dict[str, float]:
    """Shares in a mix of which MELANOMA_SHARE are melanomas."""
    weight = np.where(
        malignant, MELANOMA_SHARE / malignant.sum(), (1 - MELANOMA_SHARE) / (~malignant).sum()
    )
    axes = np.array([_axes(one) for one in measured])
    named = {
        str(colour): np.array([colour in one.attributes.colours for one in measured])
        for colour in Colour
    }
    asymmetric = {f"asymmetry {axis}": axes == number for number, axis in enumerate(AXES)}
    return {name: float(weight @ flags) for name, flags in (asymmetric | named).items()}


def _axes(measured: Measurement) -> int:
    axis = measured.attributes.asymmetry
    return -1 if axis is None else AXES.index(axis)


if __name__ == "__main__":
    main()
