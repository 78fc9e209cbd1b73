"""Fit the decisions of the meter to examples whose truth is known."""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier

from backend.abc.attributes import LesionAttributes
from backend.abc.measurement.decision import Decision, Layer
from backend.abc.measurement.frame import MeasureError

_TEMPERATURES = np.geomspace(0.4, 4.0, 40)
_VALIDATION_SHARE = 0.15
_CLIP = 6.0


@dataclass(frozen=True)
class Example:
    """One image as the meter reads it, None where it found no lesion, and what it really shows."""

    truth: LesionAttributes
    indices: dict[str, float] | None


@dataclass(frozen=True)
class Question:
    """One decision to be learnt.

    inputs: how the names of the indices it may look at begin; answer: one number, 0 or 1, for
    each of the categories, of which several may hold unless they are exclusive.
    """

    name: str
    categories: tuple[str, ...]
    inputs: tuple[str, ...]
    answer: Callable[[LesionAttributes], NDArray[np.float64]]
    exclusive: bool = True
    hidden: int = 24


def fit_decision(question: Question, examples: Sequence[Example]) -> Decision:
    """One hidden layer fitted on most of the examples, its temperature on the rest.

    Raises MeasureError where a category never occurs among the examples.
    """
    read = [(e.indices, question.answer(e.truth)) for e in examples if e.indices is not None]
    names = tuple(name for name in read[0][0] if name.startswith(question.inputs))
    rows = np.array([[indices[name] for name in names] for indices, _ in read])
    answers = np.stack([answer for _, answer in read])
    split = round(len(rows) * (1 - _VALIDATION_SHARE))
    means, scales = rows[:split].mean(axis=0), rows[:split].std(axis=0) + 1e-6
    values = np.clip((rows - means) / scales, -_CLIP, _CLIP)
    if not answers[:split].any(axis=0).all():
        raise MeasureError(
            f"The calibration saw too few phantoms to learn every category of {question.name}: "
            "ask for more with --phantoms."
        )
    targets = answers.argmax(axis=1) if question.exclusive else answers
    network = MLPClassifier(
        (question.hidden,),
        alpha=0.3,
        batch_size=min(100, split),
        learning_rate_init=2e-3,
        max_iter=100,
        tol=0.0,
        n_iter_no_change=1000,
        random_state=0,
    )
    with warnings.catch_warnings():
        # A fixed number of epochs is part of the regularisation, not a failure to converge.
        warnings.simplefilter("ignore", ConvergenceWarning)
        network.fit(values[:split], targets[:split], _balance(question, answers[:split]))
    decision = Decision(
        categories=question.categories,
        inputs=names,
        exclusive=question.exclusive,
        means=_rounded(means),
        scales=_rounded(scales),
        layers=_layers(network),
    )
    temperature = _temperature(decision, rows[split:], answers[split:])
    return decision.model_copy(update={"temperature": temperature})


def _balance(question: Question, answers: NDArray[np.float64]) -> NDArray[np.float64] | None:
    """Weights that let every category of an exclusive question count the same."""
    if not question.exclusive:
        return None
    share = answers.mean(axis=0)
    weight = answers @ (1 / np.maximum(share, 1e-3))
    return np.asarray(weight / weight.mean())


def _layers(network: MLPClassifier) -> tuple[Layer, ...]:
    """The network as plain numbers; the one unit of a two-way choice becomes two."""
    pairs = list(zip(network.coefs_, network.intercepts_, strict=True))
    if network.out_activation_ == "logistic" and len(network.classes_) == 2:
        weights, biases = pairs[-1]
        pairs[-1] = (np.hstack([0 * weights, weights]), np.array([0.0, biases[0]]))
    return tuple(
        Layer(weights=tuple(_rounded(row) for row in weights), biases=_rounded(biases))
        for weights, biases in pairs
    )


def _temperature(
    decision: Decision, rows: NDArray[np.float64], answers: NDArray[np.float64]
) -> float:
    """The temperature of least cross-entropy."""
    losses = []
    for temperature in _TEMPERATURES:
        tried = decision.model_copy(update={"temperature": float(temperature)})
        p = np.clip(tried.probabilities_of(rows), 1e-6, 1 - 1e-6)
        right = answers * np.log(p)
        wrong = 0 if decision.exclusive else (1 - answers) * np.log(1 - p)
        losses.append(-float((right + wrong).sum(axis=1).mean()))
    return round(float(_TEMPERATURES[int(np.argmin(losses))]), 4)


def _rounded(values: NDArray[np.float64]) -> tuple[float, ...]:
    """Five significant digits: enough for a decision, half the file."""
    return tuple(float(f"{value:.5g}") for value in values)
