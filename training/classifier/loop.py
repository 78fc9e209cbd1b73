"""Training a cell: epochs with a checkpoint after each, then the predictions of every image."""

import contextlib
import json
import math
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score
from torch import Tensor
from torch.nn import functional as F

from backend.evaluation.cells import (
    CHECKPOINT,
    EPOCHS,
    CellTask,
    is_done,
    read_cell,
    write_scores,
    write_status,
)
from backend.evaluation.errors import EvaluationError
from backend.evaluation.recipes import Recipe
from training.classifier.data import Examples, epoch_batches, load_examples, steps_per_epoch
from training.classifier.models import Normalised, build_classifier
from training.starter.checkpoints import load_checkpoint, save_checkpoint

SCORE_BATCH = 64
DeviceKind = Literal["cpu", "cuda"]
AfterEpoch = Callable[[int], None]


def run_cell(folder: Path, device: DeviceKind, after_epoch: AfterEpoch | None = None) -> None:
    """Train and score the cell of a folder, from its checkpoint on; nothing where it is done.

    Raises:
        EvaluationError: the task, its images or its weights cannot be used, or the loss is no
            number any more.
        Whatever `after_epoch` raises; the checkpoint of the epoch is kept.
    """
    if is_done(folder):
        return
    task = read_cell(folder)
    recipe = task.recipe
    train = load_examples(task.train, recipe.side)
    validation = load_examples(task.validation, recipe.side)
    if len(set(train.labels.tolist())) < 2:
        raise EvaluationError("A classifier needs benign and malignant images to train on.")
    torch.manual_seed(task.seed)
    model = placed(build_classifier(recipe), device)
    optimizer = make_optimizer(model, recipe, device)
    parts: dict[str, Any] = {"modules": {"model": model}, "optimizers": {"optimizer": optimizer}}
    checkpoint, identity = folder / CHECKPOINT, {"cell": task.key}
    done = load_checkpoint(checkpoint, identity=identity, **parts)
    _lay_out_state(optimizer)
    _forget_epochs_after(folder, done)
    for epoch in range(done, recipe.epochs):
        began = time.monotonic()
        loss = train_epoch(model, optimizer, train, task, epoch, device)
        seconds = time.monotonic() - began
        scores = score_examples(model, validation, recipe, device)
        _log_epoch(folder, epoch + 1, loss, len(train) / seconds, validation.labels, scores)
        save_checkpoint(checkpoint, step=epoch + 1, identity=identity, **parts)
        write_status(folder, epoch=epoch + 1, epochs=recipe.epochs)
        if after_epoch:
            after_epoch(epoch + 1)
    test = load_examples(task.test, recipe.side)
    frames = [
        predictions_of(task, examples, score_examples(model, examples, recipe, device), split)
        for split, examples in (("validation", validation), ("test", test))
        if len(examples)
    ]
    write_scores(folder, pd.concat(frames, ignore_index=True))
    shutil.rmtree(checkpoint, ignore_errors=True)


def train_epoch(
    model: Normalised,
    optimizer: torch.optim.Optimizer,
    train: Examples,
    task: CellTask,
    epoch: int,
    device: DeviceKind,
) -> float:
    """One pass over the training images with the cosine's learning rates; the mean loss.

    Raises:
        EvaluationError: the loss is no number any more.
    """
    recipe = task.recipe
    steps = steps_per_epoch(len(train), recipe.batch_size)
    torch.manual_seed(task.seed * 100_003 + epoch)
    model.train()
    total, images = torch.zeros((), dtype=torch.float64, device=device), 0
    batches = epoch_batches(
        train, recipe.batch_size, seed=task.seed, epoch=epoch, flips=recipe.flips
    )
    for index, (pixels, labels) in enumerate(batches):
        rate = cosine(recipe.learning_rate, epoch * steps + index, recipe.epochs * steps)
        for group in optimizer.param_groups:
            group["lr"] = rate
        loss = train_step(
            model, optimizer, _moved(pixels, device), _moved(labels, device), recipe, device
        )
        total, images = total + loss.double() * len(labels), images + len(labels)
    mean = float(total) / images
    if not math.isfinite(mean):
        raise EvaluationError(
            f"The loss of {recipe.architecture} is no number after epoch {epoch + 1}: lower the "
            "learning rate."
        )
    return mean


def train_step(
    model: Normalised,
    optimizer: torch.optim.Optimizer,
    pixels: Tensor,
    labels: Tensor,
    recipe: Recipe,
    device: DeviceKind,
) -> Tensor:
    """One update by a batch that is on the device; its loss stays there, so that nothing waits."""
    with mixed_precision(recipe, device):
        logits = model(pixels)
    loss = F.cross_entropy(logits.float(), labels)
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    optimizer.step()
    return loss.detach()


def placed(model: Normalised, device: DeviceKind) -> Normalised:
    """The model where it is trained; on a GPU its convolutions take channels last, as tensor cores
    do, and cuDNN tries which of its algorithms is the fastest."""
    if device == "cpu":
        return model
    torch.backends.cudnn.benchmark = True
    return model.to(device).to(memory_format=torch.channels_last)


def make_optimizer(model: Normalised, recipe: Recipe, device: DeviceKind) -> torch.optim.Optimizer:
    """AdamW; on a GPU all weights are updated by one kernel."""
    return torch.optim.AdamW(
        model.parameters(),
        lr=recipe.learning_rate,
        weight_decay=recipe.weight_decay,
        fused=device == "cuda",
    )


@torch.inference_mode()
def score_examples(
    model: Normalised, examples: Examples, recipe: Recipe, device: DeviceKind
) -> NDArray[np.float64]:
    """The probability of malignant of each picture (N,), in their order."""
    model.eval()
    scores = [np.empty(0)]
    for first in range(0, len(examples), SCORE_BATCH):
        pixels = torch.from_numpy(examples.pixels[first : first + SCORE_BATCH]).to(device)
        with mixed_precision(recipe, device):
            logits: Tensor = model(pixels)
        scores.append(logits.double().softmax(dim=1)[:, 1].cpu().numpy())
    return np.concatenate(scores)


def predictions_of(
    task: CellTask, examples: Examples, scores: NDArray[np.float64], split: str
) -> pd.DataFrame:
    """Rows of the one prediction table."""
    return pd.DataFrame(
        {
            "image_id": examples.image_ids,
            "y_true": examples.labels,
            "score": scores,
            "model": task.model,
            "run": task.key,
            "seed": task.seed,
            "split": split,
        }
    )


def cosine(learning_rate: float, step: int, steps: int) -> float:
    """Cosine annealing from the learning rate to 0 (Loshchilov and Hutter, 2017)."""
    return learning_rate * 0.5 * (1 + math.cos(math.pi * step / steps))


def mixed_precision(recipe: Recipe, device: DeviceKind) -> AbstractContextManager[Any]:
    """bfloat16 where the device computes in it by itself, unless the recipe says otherwise."""
    native = device == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
    wanted = recipe.precision == "bfloat16" or (recipe.precision == "auto" and native)
    return torch.autocast(device, torch.bfloat16) if wanted else contextlib.nullcontext()


def _moved(batch: Tensor, device: DeviceKind) -> Tensor:
    """From pinned memory a copy to a GPU does not keep the next batch waiting."""
    return batch if device == "cpu" else batch.pin_memory().to(device, non_blocking=True)


def _lay_out_state(optimizer: torch.optim.Optimizer) -> None:
    """Moments read from a checkpoint in the memory format of their weights, which AdamW's one
    kernel wants."""
    for weight, state in optimizer.state.items():
        for name, value in state.items():
            if isinstance(value, Tensor) and value.shape == weight.shape:
                state[name] = torch.empty_like(weight, requires_grad=False).copy_(value)


def _log_epoch(
    folder: Path,
    epoch: int,
    loss: float,
    rate: float,
    labels: NDArray[np.int64],
    scores: NDArray[np.float64],
) -> None:
    line: dict[str, object] = {"epoch": epoch, "loss": loss, "images_per_second": round(rate, 2)}
    if len(set(labels.tolist())) == 2:
        line["validation_auc"] = float(roc_auc_score(labels, scores))
        line["validation_accuracy"] = float(((scores >= 0.5) == labels).mean())
    with (folder / EPOCHS).open("a") as file:
        file.write(json.dumps(line) + "\n")


def _forget_epochs_after(folder: Path, done: int) -> None:
    """Lines of epochs that ended after the last checkpoint are written again."""
    path = folder / EPOCHS
    if path.exists():
        kept = [line for line in _lines(path) if json.loads(line)["epoch"] <= done]
        path.write_text("".join(kept))


def _lines(path: Path) -> Iterator[str]:
    with path.open() as file:
        yield from file
