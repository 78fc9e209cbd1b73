"""The benchmark of best-of-k: two real builds of a tiny model, compared caption by caption."""

import shutil
from pathlib import Path

import pytest

from backend.abc.attributes import Border, LesionAttributes
from backend.generation.building.running import build_names
from backend.generation.building.task import Rules
from backend.jobs.queue import list_jobs
from backend.settings import Settings
from backend.store.database import Database
from benchmarks import best_of

REGULAR = LesionAttributes(border=Border.REGULAR)
IRREGULAR = LesionAttributes(border=Border.IRREGULAR)


@pytest.fixture
def here(settings: Settings, tiny_flux: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A workspace with the tiny FLUX, whose pictures show no lesion: no rule rejects them here."""
    shutil.copytree(tiny_flux, settings.models_dir / "tiny")
    anything = Rules(lesion=False, min_confidence=0, max_correlation=1)
    prepare = best_of.prepare_build
    monkeypatch.setattr(
        best_of,
        "prepare_build",
        lambda db, settings, table, values: prepare(
            db, settings, table, {**values, "rules": anything}
        ),
    )
    return settings.model_copy(update={"device": "cpu", "threads": 1})


def test_both_sets_are_built_measured_and_compared_and_a_second_run_builds_nothing(
    here: Settings, database: Database
) -> None:
    asked = {"model": "tiny", "count": 4, "best_of": 3, "steps": 2, "seed": 1}
    figures = best_of.run(here, **asked)
    assert set(build_names(database)) == {"plain of 1", "best of 3"}
    assert figures["candidates"] == {"plain": 4, "best": 12}
    assert figures["compared"] == 4
    agreed = figures["agreement"]
    assert agreed["best"] >= agreed["plain"]
    assert agreed["gain"] == pytest.approx(agreed["best"] - agreed["plain"])
    assert agreed["interval"]["low"] <= agreed["gain"] <= agreed["interval"]["high"]
    assert set(figures["scores"]) == {"colours", "border", "asymmetry", "skin_tone"}
    assert best_of.table(figures).splitlines()[-1].startswith("agreement")
    before = list_jobs(database)
    assert best_of.run(here, **asked) == figures
    assert list_jobs(database) == before


def test_what_was_gained_is_counted_over_captions_that_both_sets_have() -> None:
    plain = {0: (REGULAR, IRREGULAR), 1: (REGULAR, REGULAR), 2: (REGULAR, IRREGULAR)}
    best = {0: (REGULAR, REGULAR), 1: (REGULAR, REGULAR), 3: (REGULAR, REGULAR)}
    figures = best_of.compare(plain, best)
    assert figures["compared"] == 2
    assert figures["scores"]["border"]["gain"] == figures["agreement"]["gain"] == 0.5
    assert figures["agreement"]["interval"] == {"low": 0.0, "high": 1.0}
