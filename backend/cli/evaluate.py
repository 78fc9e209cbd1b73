"""`evaluate`: experiments, their statistics, and the quality of generated sets."""

from __future__ import annotations

import typer

from backend.cli.evaluate_grid import register as register_grid
from backend.cli.evaluate_images import register as register_images
from backend.cli.evaluate_predictions import register as register_predictions
from backend.cli.evaluate_report import register as register_report


def register(app: typer.Typer) -> None:
    """Add `evaluate`."""
    evaluate = typer.Typer(
        no_args_is_help=True,
        help="Train classifiers on mixtures, score models, and read what it is worth.",
    )
    register_grid(evaluate)
    register_images(evaluate)
    register_predictions(evaluate)
    register_report(evaluate)
    app.add_typer(evaluate, name="evaluate")
