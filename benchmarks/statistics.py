"""How long areas under the curve and their bootstrap take, against loops over scikit-learn.

    python -m benchmarks.statistics

DeLong: areas and their covariance of six models on a million images, beside `roc_auc_score` of
each, which has no variance. Bootstrap: 2,000 replicates of six areas on the 9,191 test images of
the paper, patients drawn as a whole, beside a loop that takes the rows of each replicate and calls
`roc_auc_score`; the loop runs a few replicates and is scaled. Both sides must find the same.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from backend.evaluation.bootstrap import auc_replicates, cluster_counts
from backend.evaluation.delong import areas

MODELS = 6
BAR_DELONG, BAR_BOOTSTRAP = 3.0, 5.0
AGREE = 1e-6
Truth, Scores = NDArray[np.bool_], list[NDArray[np.float64]]


def main() -> None:
    """Measure and print; ends with 1 where a bar is missed or the figures differ."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--images", type=int, default=9_191)
    parser.add_argument("--replicates", type=int, default=2_000)
    parser.add_argument("--loop", type=int, default=40, help="replicates of the scikit-learn loop")
    parser.add_argument("--repeats", type=int, default=3, help="the median is printed")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    rng = np.random.default_rng(options.seed)
    figures = {
        **delong(options.rows, options.repeats, rng),
        **bootstrap(options.images, options.replicates, options.loop, options.repeats, rng),
    }
    print(json.dumps(figures, indent=2) if options.json else table(figures))
    missed = figures["delong_seconds"] > BAR_DELONG
    missed |= figures["bootstrap_seconds"] > BAR_BOOTSTRAP
    sys.exit(missed or max(figures["delong_differs"], figures["bootstrap_differs"]) > AGREE)


def predictions(images: int, rng: np.random.Generator) -> tuple[Truth, Scores]:
    """Truth and the scores of MODELS models, with ties as four decimals have them."""
    truth = rng.random(images) < 0.4
    strengths = np.linspace(1.0, 2.0, MODELS)
    logits = [rng.normal(truth * strength - strength / 2, 1) for strength in strengths]
    return truth, [np.round(1 / (1 + np.exp(-values)), 4) for values in logits]


def delong(rows: int, repeats: int, rng: np.random.Generator) -> dict[str, Any]:
    """Seconds of areas with covariance, and of scikit-learn's areas alone."""
    truth, scores = predictions(rows, rng)
    seconds, found = median(repeats, lambda: areas(truth, scores).auc)
    loop_seconds, theirs = median(1, lambda: [roc_auc_score(truth, score) for score in scores])
    return {
        "delong_rows": rows,
        "delong_models": MODELS,
        "delong_seconds": round(seconds, 2),
        "delong_bar": BAR_DELONG,
        "delong_scikit_learn_seconds": round(loop_seconds, 2),
        "delong_ratio": round(loop_seconds / seconds, 1),
        "delong_differs": float(np.abs(found - np.array(theirs)).max()),
    }


def bootstrap(
    images: int, replicates: int, loop: int, repeats: int, rng: np.random.Generator
) -> dict[str, Any]:
    """Seconds of all replicates, and of the loop scaled to as many."""
    truth, scores = predictions(images, rng)
    patients = np.unique(rng.integers(0, images * 2 // 3, images), return_inverse=True)[1]

    def ours() -> NDArray[np.float64]:
        return auc_replicates(truth, scores, patients, replicates=replicates, seed=1)

    members = [np.flatnonzero(patients == patient) for patient in range(patients.max() + 1)]
    draws = next(cluster_counts(truth, patients, replicates, seed=1))[:loop]

    def plain() -> NDArray[np.float64]:
        drawn = []
        for counts in draws:
            places = np.flatnonzero(counts).repeat(counts[counts > 0])
            rows = np.concatenate([members[place] for place in places])
            drawn.append([roc_auc_score(truth[rows], score[rows]) for score in scores])
        return np.array(drawn)

    seconds, found = median(repeats, ours)
    loop_seconds, theirs = median(1, plain)
    scaled = loop_seconds * replicates / len(theirs)
    return {
        "bootstrap_images": images,
        "bootstrap_patients": int(patients.max()) + 1,
        "bootstrap_models": MODELS,
        "bootstrap_replicates": replicates,
        "bootstrap_seconds": round(seconds, 2),
        "bootstrap_bar": BAR_BOOTSTRAP,
        "bootstrap_scikit_learn_seconds": round(scaled, 1),
        "bootstrap_ratio": round(scaled / seconds, 1),
        "bootstrap_differs": float(np.abs(found[: len(theirs)] - theirs).max()),
    }


def median(repeats: int, work: Callable[[], Any]) -> tuple[float, Any]:
    """The median time of so many calls, and what the last one found."""
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        found = work()
        times.append(time.perf_counter() - started)
    return float(np.median(times)), found


def table(figures: Mapping[str, Any]) -> str:
    """The figures for people, one a line."""
    width = max(map(len, figures))
    return "\n".join(f"{name:<{width}}  {value}" for name, value in figures.items())


if __name__ == "__main__":
    main()
