"""Pairs that are learnt under much noise alone: they teach layout, and are never held out."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from backend.cli.train import _plan_lines
from backend.finetuning.buckets import assign
from backend.finetuning.config import TrainingData
from backend.finetuning.export import write_export
from backend.finetuning.pairs import BAD_NOISE, KIN, Pairs, load_pairs
from backend.finetuning.planning import plan_run
from backend.settings import Settings
from backend.store.database import Database
from studio.tabs.train_view import plan_html
from tests.service.planned_runs import planned_run, tiny_config, write_checkpoint, write_pairs
from tests.service.test_lora_objective import a_base
from training.lora.batches import Batches
from training.lora.latents import LatentStore
from training.lora.objective import make_objective
from training.lora.order import Draw, Order

LOWEST = 0.6


def a_draw(uniform: float, lowest: float = 0.0) -> Draw:
    """One that decides the noise level alone."""
    nothing = torch.zeros(0)
    return Draw(nothing, nothing, -3.0, uniform, dropped=False, flipped=False, lowest=lowest)


def rewrite(folder: Path, change: Callable[[int, dict[str, Any]], dict[str, Any]]) -> Path:
    """Change the rows of a folder of pairs."""
    file = folder / "metadata.jsonl"
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    changed = [json.dumps(change(number, row)) for number, row in enumerate(rows)]
    file.write_text("\n".join(changed) + "\n")
    return folder


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    """Twelve pairs, of which the last four are learnt above a noise level alone."""
    folder = write_pairs(tmp_path / "moles", count=12)
    return rewrite(folder, lambda n, row: row | ({"lowest_noise": LOWEST} if n >= 8 else {}))


def loaded(database: Database, settings: Settings, folder: Path, share: float = 0.4) -> Pairs:
    return load_pairs(database, settings, TrainingData(folder=folder, validation_share=share))


def test_they_are_read_and_none_is_held_out(
    database: Database, settings: Settings, pairs: Path
) -> None:
    found = loaded(database, settings, pairs)
    assert [pair.lowest_noise for pair in found.pairs] == [0.0] * 8 + [LOWEST] * 4
    assert len(found.validation) >= 2
    assert all(pair.lowest_noise == 0 for pair in found.validation)
    level = rewrite(pairs, lambda _, row: row | {"lowest_noise": 0.5} if len(row) > 5 else row)
    assert loaded(database, settings, level).hash != found.hash


def test_pairs_without_a_level_keep_the_identity_of_older_runs(
    database: Database, settings: Settings, tmp_path: Path
) -> None:
    folder = write_pairs(tmp_path / "plain")
    levels = (0, None, 0.0)
    rewrite(folder, lambda n, row: row | ({"lowest_noise": levels[n]} if n < 3 else {}))
    found = loaded(database, settings, folder)
    assert len(found.pairs) == 6
    digest = hashlib.sha256(b"dermaflux pairs 1\n")
    for pair in found.pairs:
        row = [pair.content, pair.caption, pair.held_out]
        digest.update(json.dumps(row, ensure_ascii=False).encode() + b"\n")
    assert found.hash == digest.hexdigest()


@pytest.mark.parametrize("bad", [-0.1, 1, 1.5, "0.7", True, [0.7], 1e400])
def test_a_level_that_is_none_leaves_its_pair_out_with_the_reason(
    database: Database, settings: Settings, pairs: Path, bad: object
) -> None:
    rewrite(pairs, lambda n, row: row | ({"lowest_noise": bad} if n == 3 else {}))
    found = loaded(database, settings, pairs)
    assert len(found.pairs) == 11
    assert [(one.reason, one.names) for one in found.left_out] == [(BAD_NOISE, ("03.png",))]


def test_kin_of_an_image_held_out_is_not_learnt_from(
    database: Database, settings: Settings, pairs: Path
) -> None:
    held = loaded(database, settings, pairs).validation[0]

    def related(number: int, row: dict[str, Any]) -> dict[str, Any]:
        if number == 9:
            (pairs / row["file_name"]).write_bytes(held.path.read_bytes())
        lesions = {8: f"lesion-{int(held.key[:2])}"}
        return row | ({"lesion": lesions[number]} if number in lesions else {})

    found = loaded(database, settings, rewrite(pairs, related))
    assert held.key in {pair.key for pair in found.validation}
    (left,) = found.left_out
    assert (left.reason, left.names) == (KIN, ("08.png", "09.png"))
    assert {pair.key for pair in found.training if pair.lowest_noise} == {"10.png", "11.png"}


def test_images_that_are_kin_by_way_of_such_a_pair_stay_on_one_side(
    database: Database, settings: Settings, tmp_path: Path
) -> None:
    folder = write_pairs(tmp_path / "moles", count=24)
    for number in range(0, 24, 3):
        pixels = (folder / f"{number:02d}.png").read_bytes()
        for other in (1, 2):
            (folder / f"{number + other:02d}.png").write_bytes(pixels)
    rewrite(folder, lambda n, row: row | ({"lowest_noise": LOWEST} if n % 3 == 0 else {}))
    found = loaded(database, settings, folder)
    held, learnt = ({pair.content for pair in side} for side in (found.validation, found.training))
    assert len(held) >= 2
    assert held.isdisjoint(learnt)
    assert sum(one.count for one in found.left_out) == len(held)


def test_pairs_for_layout_alone_can_be_planned(
    database: Database, settings: Settings, pairs: Path, tiny_flux: Path
) -> None:
    (settings.models_dir / "tiny").symlink_to(tiny_flux)
    plan = plan_run(database, settings, tiny_config(pairs))
    assert plan.data.for_layout == 4
    told = f"{plan.data.training} to learn from (4 for their layout alone)"
    assert told in plan_html(plan)
    assert told in "\n".join(_plan_lines(plan))
    rewrite(pairs, lambda _, row: row | {"lowest_noise": LOWEST})
    plan = plan_run(database, settings, tiny_config(pairs))
    assert (plan.data.for_layout, plan.data.validation) == (12, 0)
    said = "All pairs but 0 are learnt at much noise alone, and those are never held out"
    assert any(said in warning for warning in plan.warnings)


def test_the_card_of_a_lora_says_what_it_learnt_the_layout_from(
    database: Database, settings: Settings, pairs: Path, tiny_flux: Path
) -> None:
    run = planned_run(database, settings, tiny_flux, pairs)
    write_checkpoint(settings, run)
    write_export(run)
    assert "4 of those are seen under much noise alone: their layout" in run.card.read_text()


def test_noise_is_even_above_the_lowest_and_as_ever_where_there_is_none(
    tmp_path: Path, tiny_flux: Path, tiny_sd: Path
) -> None:
    _, flux, _ = a_base(tmp_path, tiny_flux)
    objective = make_objective(flux, guidance=1.0)
    draws = [a_draw(0.0, LOWEST), a_draw(0.5, LOWEST), a_draw(1.0, LOWEST)]
    torch.testing.assert_close(objective.levels(draws, 16), torch.tensor([0.6, 0.8, 1.0]))
    plain = objective.levels([a_draw(0.5)], 16)
    assert torch.equal(objective.levels([a_draw(0.5), *draws], 16)[:1], plain)
    assert float(plain) < 0.1
    _, sd, _ = a_base(tmp_path / "sd", tiny_sd, guidance=0.0)
    steps = make_objective(sd, guidance=0.0).levels([*draws, a_draw(0.5)], 16)
    assert steps.tolist() == [600, 800, 999, 500]


def test_a_batch_shows_each_pair_at_its_own_levels(
    database: Database, settings: Settings, pairs: Path, tmp_path: Path, tiny_flux: Path
) -> None:
    found = loaded(database, settings, pairs, share=0.0).pairs
    config = tiny_config(pairs, batch=4)
    _, base, _ = a_base(tmp_path, tiny_flux)
    latents = LatentStore(tmp_path / "latents", "hash" * 8, dtype=torch.float32)
    buckets = assign(found, (64,))
    latents.index(list(buckets))
    missing = latents.missing(found, buckets, flip=False)
    latents.fill(base.vae, found, missing, torch.device("cpu"), lambda _done, _of: None)
    order = Order(buckets, config.batch, config.seed)
    objective = make_objective(base, guidance=1.0)
    batches = Batches(config, found, order, latents, objective, process=0)
    seen: dict[float, list[float]] = {0.0: [], LOWEST: []}
    for number in range(24):
        places = order.batch(number)[1]
        for place, level in zip(places, batches.batch(number).levels.tolist(), strict=True):
            seen[found[place].lowest_noise].append(level)
    assert len(seen[0.0]) == 2 * len(seen[LOWEST]) == 64
    assert min(seen[LOWEST]) >= LOWEST
    assert max(seen[LOWEST]) > 0.9
    assert min(seen[0.0]) < LOWEST
