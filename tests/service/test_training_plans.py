"""A run is planned from what is there: completed, counted, priced, and refused with a reason."""

import json
import re
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import pytest

from backend.errors import DermaFluxError
from backend.finetuning.errors import FinetuningError
from backend.finetuning.plan import read_plan
from backend.finetuning.planning import plan_run, run_name
from backend.finetuning.run_folder import find_run, list_runs, read_config
from backend.generation.models import hash_cache, model_hash
from backend.settings import Settings
from backend.store.database import Database
from tests.service.planned_runs import CAPTIONS, planned_run, tiny_config, write_pairs


class DiskUsage(NamedTuple):
    """As `shutil.disk_usage` answers."""

    total: int
    used: int
    free: int


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    """Six pairs of 64 x 64 pixels."""
    return write_pairs(tmp_path / "moles")


def test_a_planned_run_says_what_it_is_made_of(
    database: Database, settings: Settings, tiny_flux: Path, pairs: Path
) -> None:
    settings = settings.model_copy(update={"device": "cpu"})
    run = planned_run(database, settings, tiny_flux, pairs)
    assert re.fullmatch(r"\d{8}-\d{6}-tiny-moles", run.path.name)
    assert find_run(settings, run.path.name) == run
    plan, config = read_plan(run), read_config(run)
    assert config.t5_length == plan.t5_length == 32
    folder = settings.models_dir / "tiny"
    assert plan.base.hash == model_hash(folder, cache=hash_cache(settings))
    assert plan.data.pairs == plan.data.training + plan.data.validation == 6
    assert plan.data.validation == 2
    assert plan.data.labels == {"benign": 3, "malignant": 3}
    assert plan.data.buckets == {"64x64": 6}
    assert plan.data.distinct_captions == 2
    (dataset,) = plan.data.datasets
    assert (dataset.title, dataset.images, dataset.licence) == ("HAM10000", 6, "CC-BY-NC-4.0")
    assert plan.targets.parameters == 4 * (plan.targets.parameters // 4)
    assert plan.steps == 4
    assert plan.estimate.memory_bytes > 500_000_000
    assert plan.libraries["torch"]


def test_two_runs_planned_in_the_same_second_have_folders_of_their_own(
    database: Database, settings: Settings, tiny_flux: Path, pairs: Path
) -> None:
    runs = {planned_run(database, settings, tiny_flux, pairs).path.name for _ in range(3)}
    assert len(runs) == len(list_runs(settings)) == 3


def test_names_of_runs_hold_letters_digits_and_hyphens_alone() -> None:
    moment = datetime(2026, 3, 1, 12, 30, 59, tzinfo=UTC)
    assert run_name("Ünser LoRA / ../no. 2", moment) == "20260301-123059-nser-lora-no-2"
    assert run_name("黒い", moment) == "20260301-123059-lora"
    assert len(run_name("a" * 500, moment)) <= 80


def test_what_deserves_a_look_is_said_before_the_start(
    database: Database, settings: Settings, tiny_flux: Path, pairs: Path
) -> None:
    shutil.copytree(tiny_flux, settings.models_dir / "tiny")
    changes = {"resolutions": (32, 64, 512), "batch": 16, "t5_length": 8}
    plan = plan_run(database, settings, tiny_config(pairs, **changes))
    said = " ".join(plan.warnings)
    assert "No image has the pixels for 512 px" in said
    assert "A step takes 16 images, and there are 4" in said
    assert "2 captions have more than 8 tokens" in said
    assert plan.data.long_captions == 2


def test_one_pair_can_be_planned_and_says_that_nothing_is_held_out(
    database: Database, settings: Settings, tiny_flux: Path, tmp_path: Path
) -> None:
    shutil.copytree(tiny_flux, settings.models_dir / "tiny")
    plan = plan_run(database, settings, tiny_config(write_pairs(tmp_path / "one", count=1)))
    assert (plan.data.training, plan.data.validation) == (1, 0)
    assert "nothing can be held out" in " ".join(plan.warnings)
    assert "Only one image each has the size 64x64." in plan.warnings


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"base": "nothing"}, "no model called nothing"),
        ({"base": "broken"}, "broken is incomplete"),
        ({"data": {"folder": "/nowhere/at-all"}}, r"no metadata\.jsonl"),
        ({"data": {"caption_set": "none"}}, "no caption set 'none'"),
        ({"precision": "nf4"}, "in 4 bits needs a GPU"),
    ],
)
def test_what_cannot_be_trained_is_refused_with_the_reason(
    database: Database,
    settings: Settings,
    tiny_flux: Path,
    pairs: Path,
    changes: dict[str, object],
    sentence: str,
) -> None:
    settings = settings.model_copy(update={"device": "cpu"})
    for name in ("tiny", "broken"):
        shutil.copytree(tiny_flux, settings.models_dir / name)
    (settings.models_dir / "broken" / "vae" / "config.json").unlink()
    with pytest.raises(DermaFluxError, match=sentence):
        plan_run(database, settings, tiny_config(pairs, **changes))


def test_a_fused_layout_is_refused_for_stable_diffusion(
    database: Database, settings: Settings, tiny_sd: Path, pairs: Path
) -> None:
    with pytest.raises(FinetuningError, match="no fused layout"):
        planned_run(database, settings, tiny_sd, pairs, lora={"fused": True})
    run = planned_run(database, settings, tiny_sd, pairs)
    assert read_config(run).t5_length is None


def test_mirrored_images_are_refused_where_captions_speak_of_sides(
    database: Database, settings: Settings, tiny_flux: Path, pairs: Path
) -> None:
    planned_run(database, settings, tiny_flux, pairs, flip=True)
    file = pairs / "metadata.jsonl"
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    rows[0]["text"] = f"{CAPTIONS[0]} Notched on the left."
    file.write_text("\n".join(json.dumps(row) for row in rows))
    with pytest.raises(FinetuningError, match="1 captions speak of left and right"):
        planned_run(database, settings, tiny_flux, pairs, flip=True)


def test_a_disk_that_is_too_small_stops_a_run_before_it_leaves_anything(
    database: Database,
    settings: Settings,
    tiny_flux: Path,
    pairs: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: DiskUsage(10, 10, 0))
    with pytest.raises(FinetuningError, match=r"of disk, and 0 MB are free"):
        planned_run(database, settings, tiny_flux, pairs)
    assert list_runs(settings) == []
