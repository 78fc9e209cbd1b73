"""How soon the Benchmark tab follows the operating point, on 9,191 images of six models.

Run with `python -m benchmarks.benchmark_tab` from the root of the repository. It prints the
milliseconds of the handler, those of counting each confusion anew with scikit-learn, and in
Chromium those from a move of the slider to the new numbers.
"""

import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np
import pandas as pd
from playwright.sync_api import expect, sync_playwright
from sklearn.metrics import confusion_matrix

from backend.evaluation.prediction_tables import keep_table
from backend.settings import Settings, prepare_workspace
from backend.store.database import Database, open_database
from studio.context import StudioContext
from studio.tabs.benchmark import FIRST, build_benchmark
from tests.web.panel_page import panel_page
from tests.web.studio_page import free_port, launch_chromium

IMAGES, MODELS, MOVES = 9_191, 6, 20
GOAL_MS = 300
TOLD = """async () => {
    const cell = () => document.querySelector('#benchmark-readout [data-points]')?.dataset.points;
    const before = cell();
    const slider = document.querySelector('#benchmark-threshold input[type=range]');
    const began = performance.now();
    slider.value = String(0.2 + Math.random() * 0.6);
    slider.dispatchEvent(new Event('input', { bubbles: true }));
    slider.dispatchEvent(new Event('pointerup', { bubbles: true }));
    while (cell() === before) await new Promise(resolve => requestAnimationFrame(resolve));
    return performance.now() - began;
}"""


def main() -> None:
    """Write predictions, move the point by the handler and in the browser, and print."""
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(workspace=Path(folder) / "workspace", port=free_port())
        prepare_workspace(settings)
        database = open_database(settings)
        name = _bring(settings, Path(folder))
        print(f"{IMAGES:,} images x {MODELS} models, goal {GOAL_MS} ms")
        print(f"handler         {_handler(settings, database, name):7.1f} ms, median of {MOVES}")
        print(f"scikit-learn    {_peer():7.1f} ms to count six confusions anew")
        with sync_playwright() as playwright:
            browser = launch_chromium(playwright)
            with panel_page(settings, database, build_benchmark) as address:
                page = browser.new_page(viewport={"width": 1280, "height": 900})
                page.goto(address)
                page.locator("#benchmark-tables input").click()
                page.get_by_role("option").first.click()
                rows = page.locator("#benchmark-readout tbody").first.locator("tr")
                expect(rows).to_have_count(MODELS, timeout=60_000)
                told = [page.evaluate(TOLD) for _ in range(MOVES)]
                middle, worst = statistics.median(told), max(told)
                print(f"page            {middle:7.1f} ms, median of {MOVES}; worst {worst:.1f} ms")
                page.close()
            browser.close()
        database.close()


def _scores() -> tuple[Any, list[Any]]:
    chance = np.random.default_rng(0)
    truth = chance.random(IMAGES) < 0.5
    return truth, [
        1 / (1 + np.exp(-chance.normal(truth * (0.6 + model / 4) - 0.5, 1)))
        for model in range(MODELS)
    ]


def _bring(settings: Settings, folder: Path) -> str:
    truth, scores = _scores()
    facts = {
        "skin_tone": [f"{1 + number % 6}" for number in range(IMAGES)],
        "dataset": [f"set {number % 9}" for number in range(IMAGES)],
    }
    ids = [f"ISIC_{number:07d}" for number in range(IMAGES)]
    parts = [
        pd.DataFrame(
            {"image_id": ids, "y_true": truth.astype(int), "score": score, **facts}
        ).assign(model=f"model {place}")
        for place, score in enumerate(scores)
    ]
    file = folder / "six.parquet"
    pd.concat(parts).to_parquet(file)
    return keep_table(settings.workspace, file).name


def _handler(settings: Settings, database: Database, name: str) -> float:
    studio = StudioContext(settings, database)
    with gr.Blocks():
        tab = build_benchmark(studio)
    values: dict[Any, Any] = dict.fromkeys(tab.inputs)
    values |= {tab.tables: [name], tab.split: "test", tab.shown: [], tab.point: FIRST}
    tab.draw(studio, values)
    taken = []
    for threshold in np.linspace(0.1, 0.9, MOVES):
        began = time.perf_counter()
        point = {"preset": "", "threshold": float(threshold)}
        cell = {"name": "false_negatives", "first": 0}
        tab.move(studio, {**values, tab.point: point, tab.cell: cell})
        taken.append(1000 * (time.perf_counter() - began))
    return statistics.median(taken)


def _peer() -> float:
    truth, scores = _scores()
    began = time.perf_counter()
    for score in scores:
        confusion_matrix(truth, score >= 0.5)
    return 1000 * (time.perf_counter() - began)


if __name__ == "__main__":
    main()
