"""Small calibrated models from indices to categories: plain numbers, read and run with numpy.

A Decision standardises its inputs and passes them through at most one hidden layer of rectified
units; the output is a softmax over its categories, or one sigmoid a category where several may
hold at once. Logits are divided by a temperature fitted on phantoms that the layers never saw
(Guo et al., ICML 2017), so that the probabilities can be read as such.
"""

from collections.abc import Mapping
from typing import Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, model_validator


class Layer(BaseModel):
    """An affine map: outputs = inputs @ weights + biases."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    weights: tuple[tuple[float, ...], ...]
    biases: tuple[float, ...]

    @model_validator(mode="after")
    def _rectangular(self) -> Self:
        if any(len(row) != len(self.biases) for row in self.weights):
            raise ValueError("Every row of weights needs as many numbers as there are biases.")
        return self


class Decision(BaseModel):
    """How one attribute is decided: which indices, which categories, which numbers."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    categories: tuple[str, ...]
    inputs: tuple[str, ...]
    exclusive: bool
    means: tuple[float, ...]
    scales: tuple[float, ...]
    layers: tuple[Layer, ...]
    temperature: float = 1.0

    def probabilities(self, indices: Mapping[str, float]) -> NDArray[np.float64]:
        """One probability a category for the indices of one lesion."""
        row = np.array([[indices[name] for name in self.inputs]], dtype=np.float64)
        return np.asarray(self.probabilities_of(row)[0])

    def probabilities_of(self, rows: NDArray[np.float64]) -> NDArray[np.float64]:
        """Probabilities (N, categories) for rows (N, inputs)."""
        logits = self.logits_of(rows) / self.temperature
        if not self.exclusive:
            return np.asarray(1 / (1 + np.exp(-np.clip(logits, -50, 50))))
        shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
        return np.asarray(shifted / shifted.sum(axis=1, keepdims=True))

    def logits_of(self, rows: NDArray[np.float64]) -> NDArray[np.float64]:
        """The output layer before temperature; inputs are clipped to six deviations."""
        values = np.clip((rows - np.array(self.means)) / np.array(self.scales), -6, 6)
        for layer in self.layers[:-1]:
            values = np.maximum(values @ np.array(layer.weights) + np.array(layer.biases), 0)
        last = self.layers[-1]
        return np.asarray(values @ np.array(last.weights) + np.array(last.biases))
