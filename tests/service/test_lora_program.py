"""The trainer as a whole, on models of random weights: what goes wrong in others goes right."""

import json
import resource
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from filelock import FileLock
from PIL import Image
from safetensors.torch import load_file, save_file

from backend.errors import DermaFluxError
from backend.files import FileError
from backend.finetuning.buckets import Bucket, assign
from backend.finetuning.errors import FinetuningError
from backend.finetuning.pairs import Pair, load_pairs
from backend.finetuning.run_folder import (
    Phase,
    RunFolder,
    Wish,
    read_config,
    read_metrics,
    read_status,
    wish,
    wishes,
    write_config,
)
from backend.generation.models import usable_model
from backend.generation.provenance import read_png
from backend.settings import Settings
from backend.store.database import Database, open_database
from tests.service.training_runs import (
    CAPTIONS,
    a_run,
    tiny_config,
    training_settings,
    write_pairs,
    write_rows,
)
from training.lora.base import Base, choose_compute, load_base
from training.lora.batches import Batches
from training.lora.checkpoints import Checkpoint, newest_checkpoint, save_checkpoint
from training.lora.latents import LatentStore
from training.lora.memory import memory_sentence
from training.lora.objective import make_objective
from training.lora.order import Order
from training.lora.program import LOCK, train
from training.lora.texts import EMPTY, TextSource

Start = Callable[..., RunFolder]


@pytest.fixture
def settings(tmp_path: Path, tiny_flux: Path, tiny_sd: Path) -> Settings:
    """A workspace that sees the tiny models."""
    settings = training_settings(tmp_path / "workspace", tiny_flux.parent)
    return settings.model_copy(update={"model_folders": (tiny_flux.parent, tiny_sd.parent)})


@pytest.fixture
def database(settings: Settings) -> Iterator[Database]:
    """Its database."""
    database = open_database(settings)
    yield database
    database.close()


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    """Eight pairs, two a patient."""
    return write_pairs(tmp_path / "pairs")


def change(run: RunFolder, **choices: Any) -> None:
    """Another choice in a run that was planned."""
    write_config(run, read_config(run).model_copy(update=choices))


def told(run: RunFolder, kind: str) -> list[dict[str, Any]]:
    """The lines of one kind."""
    return [line for line in read_metrics(run) if line["kind"] == kind]


def events(run: RunFolder) -> str:
    """All that happened, as one text."""
    return " ".join(line["text"] for line in told(run, "event"))


def weights(run: RunFolder, step: int) -> dict[str, bytes]:
    """The bytes of a checkpoint's tensors."""
    folder = run.checkpoints / f"step-{step:08d}"
    return {file.name: file.read_bytes() for file in folder.glob("*.safetensors")}


def a_base(settings: Settings, folder: Path) -> Base:
    """The tiny FLUX on the CPU."""
    config = tiny_config(folder)
    compute = choose_compute(torch.device("cpu"), config.precision)
    return load_base(usable_model(settings, config.base), config, compute)


def test_resuming_twice_goes_on_where_it_was(settings: Settings, pairs: Path) -> None:
    config = tiny_config(pairs, steps=6, ema_decay=0.9)
    whole = a_run(settings, "whole", config)
    assert train(settings, whole) is Phase.DONE
    parts = a_run(settings, "parts", config.model_copy(update={"steps": 2}))
    for steps in (2, 4, 6):
        change(parts, steps=steps)
        train(settings, parts)
    assert [line["step"] for line in told(parts, "step")] == [1, 2, 3, 4, 5, 6]
    assert weights(parts, 6) == weights(whole, 6)
    losses = [(line["step"], line["loss"]) for line in told(whole, "step")]
    assert [(line["step"], line["loss"]) for line in told(parts, "step")] == losses
    assert "Resumed at step 2." in events(parts)
    assert len(list(parts.checkpoints.iterdir())) == 2
    status = read_status(parts)
    assert status is not None
    assert (status.phase, status.step, status.checkpoint_step) == (Phase.DONE, 6, 6)


def test_what_is_kept_is_fp32_in_the_layout_of_diffusers(settings: Settings, pairs: Path) -> None:
    run = a_run(settings, "run", tiny_config(pairs, steps=2, ema_decay=0.9))
    train(settings, run)
    folder = run.checkpoints / "step-00000002"
    for file in ("lora.safetensors", "ema.safetensors", "optimizer.safetensors"):
        tensors = load_file(folder / file)
        assert {one.dtype for one in tensors.values()} == {torch.float32}, file
    keys = load_file(folder / "lora.safetensors").keys()
    assert all(key.startswith("transformer.") for key in keys)
    assert all(key.endswith((".lora_A.weight", ".lora_B.weight")) for key in keys)


def test_a_pair_stays_a_pair_however_it_is_shuffled(
    settings: Settings, database: Database, tmp_path: Path
) -> None:
    captions = [f"Lesion number {number}." for number in range(9)]
    sizes = [(64, 64)] * 5 + [(96, 64)] * 4
    folder = write_pairs(tmp_path / "pairs", sizes, captions=captions)
    config = tiny_config(folder, batch=3, caption_dropout=0.3, resolutions=(64, 80))
    found = load_pairs(database, settings, config.data).pairs
    base = a_base(settings, folder)
    latents = LatentStore(tmp_path / "latents", "hash" * 8, dtype=torch.float32)
    buckets = assign(found, config.resolutions)
    latents.index(list(buckets))
    wanted = latents.missing(found, buckets, flip=False)
    latents.fill(base.vae, found, wanted, torch.device("cpu"), lambda _done, _of: None)
    objective = make_objective(base, 1.0)
    batches = Batches(config, found, Order(buckets, 3, 0), latents, objective, process=0)
    dropped = 0
    for number in range(30):
        batch = batches.batch(number)
        for clean, caption in zip(batch.clean, batch.captions, strict=True):
            away = [
                (objective.scaled(latents.fetch(batch.bucket, one.content)[0]) - clean).norm()
                for one in (found[place] for place in buckets[batch.bucket])
            ]
            nearest = buckets[batch.bucket][int(torch.stack(away).argmin())]
            assert caption in (EMPTY, found[nearest].caption)
            dropped += caption == EMPTY
    assert 10 < dropped < 45


def test_latents_are_made_once_and_found_by_content(
    settings: Settings, database: Database, tmp_path: Path, pairs: Path
) -> None:
    found = load_pairs(database, settings, tiny_config(pairs).data).pairs
    base = a_base(settings, pairs)
    buckets = assign(found, (64,))

    def store() -> LatentStore:
        opened = LatentStore(tmp_path / "latents", "hash" * 8, dtype=torch.float32)
        opened.index(list(buckets))
        return opened

    def fill(opened: LatentStore) -> int:
        wanted = opened.missing(found, buckets, flip=True)
        opened.fill(base.vae, found, wanted, torch.device("cpu"), lambda _done, _of: None)
        return len(wanted)

    assert fill(store()) == 16
    assert fill(store()) == 0
    (shard,) = tmp_path.rglob("64x64/*.safetensors")
    shard.write_bytes(shard.read_bytes()[:-9])
    assert fill(store()) == 16
    bucket = Bucket(64, 64)
    pixels = torch.stack([as_tensor(pair) for pair in found])
    posterior = base.vae.encode(pixels).latent_dist
    mean, spread = store().fetch(bucket, found[3].content)
    torch.testing.assert_close(mean, posterior.mean[3])
    torch.testing.assert_close(spread, posterior.std[3])
    flipped, _ = store().fetch(bucket, found[3].content + ":flipped")
    expected = base.vae.encode(pixels[3:4].flip(-1)).latent_dist.mean[0]
    torch.testing.assert_close(flipped, expected)


def as_tensor(pair: Pair) -> torch.Tensor:
    """Pixels (3, H, W) in -1..1."""
    import numpy as np

    return torch.from_numpy(np.array(Image.open(pair.path))).permute(2, 0, 1) / 127.5 - 1


def test_few_captions_are_held_at_once_and_each_is_its_own(settings: Settings, pairs: Path) -> None:
    base = a_base(settings, pairs)
    every = TextSource(base, 16)
    few = TextSource(base, 16, held_bytes=4 * 17 * 32 * 4)
    assert few.capacity == 4
    captions = [f"A lesion of {number} mm." for number in range(12)]
    for first in range(0, 12, 3):
        part = captions[first : first + 3]
        few.prepare(part)
        assert len(few._held) <= few.capacity
        asked = [*part, EMPTY]
        torch.testing.assert_close(few.batch(asked).states, every.batch(asked).states)
    assert not torch.equal(every.batch(captions[:1]).states, every.batch(captions[1:2]).states)


def test_an_edited_caption_is_seen_and_is_another_run(settings: Settings, pairs: Path) -> None:
    config = tiny_config(pairs, steps=2, caption_dropout=0)
    first = a_run(settings, "first", config)
    train(settings, first)
    rows = [json.loads(line) for line in (pairs / "metadata.jsonl").read_text().splitlines()]
    for row in rows:
        row["text"] += " Edited."
    write_rows(pairs, rows)
    second = a_run(settings, "second", config)
    train(settings, second)
    assert told(first, "step")[0]["loss"] != told(second, "step")[0]["loss"]
    change(first, steps=4)
    with pytest.raises(FinetuningError, match="its checkpoint was trained with data ="):
        train(settings, first)
    assert weights(first, 2)


def test_a_resume_names_the_first_difference(settings: Settings, pairs: Path) -> None:
    run = a_run(settings, "run", tiny_config(pairs, steps=2))
    train(settings, run)
    change(run, steps=4, batch=1, learning_rate=0.5)
    with pytest.raises(FinetuningError, match="trained with batch = 2, and now it is 1"):
        train(settings, run)
    status = read_status(run)
    assert status is not None
    assert status.phase is Phase.FAILED
    assert "batch = 2" in str(status.error)


def test_loss_that_is_no_number_stops_the_run_and_the_checkpoint_stays_good(
    settings: Settings, pairs: Path
) -> None:
    run = a_run(settings, "run", tiny_config(pairs, steps=2))
    train(settings, run)
    good = weights(run, 2)
    for shard in (settings.workspace / "cache/latents").rglob("*.safetensors"):
        tensors = load_file(shard)
        from safetensors import safe_open

        with safe_open(shard, framework="pt") as opened:
            notes = opened.metadata()
        save_file(
            {key: torch.full_like(one, torch.nan) for key, one in tensors.items()}, shard, notes
        )
    change(run, steps=40, checkpoint_every=40)
    with pytest.raises(FinetuningError, match=r"last 5 steps gave no finite loss.* step 2 is good"):
        train(settings, run)
    assert told(run, "step")[-1]["step"] == 7
    assert told(run, "step")[-1]["skipped"] == 5
    assert weights(run, 2) == good
    assert all(
        torch.isfinite(one).all()
        for one in load_file(run.checkpoints / "step-00000002/lora.safetensors").values()
    )


def test_validation_is_the_same_whatever_the_seed(settings: Settings, pairs: Path) -> None:
    lines = []
    for seed in (0, 1):
        run = a_run(settings, f"seed-{seed}", tiny_config(pairs, steps=2, seed=seed))
        train(settings, run)
        lines.append(told(run, "validation"))
        assert [line["step"] for line in lines[-1]] == [0, 2]
    for line in lines[0] + lines[1]:
        line.pop("at")
    assert lines[0][0] == lines[1][0]
    first, last = lines[0]
    assert first["loss"] != last["loss"]
    levels = [0.0625 + 0.125 * number for number in range(8)]
    assert [float(level) for level in first["by_timestep"]] == levels
    assert first["loss"] == pytest.approx(sum(first["by_timestep"].values()) / 8)
    assert first["by_bucket"] == {"64x64": pytest.approx(first["loss"])}
    assert set(first["by_class"]) == {"benign", "malignant"}


def test_wishes_are_granted(settings: Settings, pairs: Path) -> None:
    run = a_run(settings, "run", tiny_config(pairs, checkpoint_every=50, sample_captions=CAPTIONS))
    for wanted in (Wish.SAVE_NOW, Wish.SAMPLE_NOW, Wish.STOP_NOW):
        wish(run, wanted)
    assert train(settings, run) is Phase.STOPPED
    assert wishes(run) == frozenset()
    assert [path.name for path in run.checkpoints.iterdir()] == ["step-00000001"]
    assert len(list((run.samples / "step-00000001").iterdir())) == 3
    assert train(settings, run) is Phase.DONE
    assert [line["step"] for line in told(run, "step")] == [1, 2, 3, 4]


def test_stopping_after_a_checkpoint_waits_for_it(settings: Settings, pairs: Path) -> None:
    run = a_run(settings, "run", tiny_config(pairs, checkpoint_every=3))
    wish(run, Wish.STOP_AFTER_CHECKPOINT)
    assert train(settings, run) is Phase.STOPPED
    assert [line["step"] for line in told(run, "step")] == [1, 2, 3]


def test_samples_are_marked_and_measured(settings: Settings, pairs: Path) -> None:
    run = a_run(settings, "run", tiny_config(pairs, steps=1, sample_every=1))
    train(settings, run)
    lines = told(run, "samples")
    assert [line["step"] for line in lines] == [0, 1]
    assert len(lines[0]["images"]) == 4
    assert set(lines[0]["agreement"]) == {"asymmetry", "border", "colours"}
    made = [read_png(run.path / line["images"][0]["file"]) for line in lines]
    assert made[0].synthetic
    assert made[0].loras != made[1].loras
    assert made[0].request.caption == lines[0]["images"][0]["caption"]


def test_stable_diffusion_goes_through_the_same_code(settings: Settings, pairs: Path) -> None:
    config = tiny_config(pairs, base="tiny-sd", steps=2, sample_every=2, ema_decay=0.9)
    run = a_run(settings, "run", config)
    assert train(settings, run) is Phase.DONE
    keys = load_file(run.checkpoints / "step-00000002/lora.safetensors").keys()
    assert all(key.startswith("unet.") for key in keys)
    assert len(told(run, "samples")) == 2
    assert told(run, "validation")[-1]["loss"] > 0


def test_buckets_of_any_count_work_and_no_image_is_enlarged(
    settings: Settings, tmp_path: Path
) -> None:
    sizes = [(64, 64)] * 6 + [(128, 64), (40, 48)]
    folder = write_pairs(tmp_path / "pairs", sizes)
    config = tiny_config(folder, resolutions=(64, 128), steps=6, batch=3)
    run = a_run(settings, "run", config)
    assert train(settings, run) is Phase.DONE
    made = {path.parent.name for path in settings.workspace.glob("cache/latents/*/*/*.safetensors")}
    assert made == {"64x64", "80x48", "32x48"}


def test_what_cannot_be_read_is_named_and_left_out(settings: Settings, pairs: Path) -> None:
    (pairs / "002.png").write_bytes(b"no image")
    Image.open(pairs / "003.png").save(pairs / "003.png", "JPEG")
    (pairs / "003.png").write_bytes((pairs / "003.png").read_bytes()[:1_500])
    (pairs / "004.png").unlink()
    run = a_run(settings, "run", tiny_config(pairs, steps=2))
    assert train(settings, run) is Phase.DONE
    assert "1 images cannot be read, and are left out: 003.png." in events(run)
    assert "Left out, the image file is missing: 1." in events(run)
    assert "Left out, the image cannot be read: 1." in events(run)


@pytest.mark.parametrize("count", [0, 1])
def test_no_pair_is_refused_and_one_is_learnt_without_validation(
    settings: Settings, tmp_path: Path, count: int
) -> None:
    folder = write_pairs(tmp_path / "few", [(64, 64)] * count)
    run = a_run(settings, "run", tiny_config(folder))
    if count == 0:
        with pytest.raises(FinetuningError, match="holds no pair"):
            train(settings, run)
        return
    assert train(settings, run) is Phase.DONE
    assert told(run, "validation") == []
    assert "nothing can be held out" in events(run)


def test_long_captions_are_counted(settings: Settings, tmp_path: Path) -> None:
    folder = write_pairs(tmp_path / "long", captions=["A lesion " + "of many words " * 60])
    run = a_run(settings, "run", tiny_config(folder, steps=1))
    train(settings, run)
    assert "1 captions have more than 32 tokens" in events(run)


@pytest.mark.parametrize(
    ("choices", "said"),
    [
        ({"processes": 2}, "planned for 2 processes and was started with 1"),
        ({"precision": "nf4"}, "needs a GPU"),
        ({"base": "nothing"}, "There is no model called nothing"),
        ({"base": "tiny-sd", "lora": {"rank": 4, "alpha": 4, "fused": True}}, "no fused layout"),
    ],
)
def test_what_cannot_be_trained_is_refused_with_a_sentence(
    settings: Settings, pairs: Path, choices: dict[str, Any], said: str
) -> None:
    run = a_run(settings, "run", tiny_config(pairs, **choices))
    with pytest.raises(DermaFluxError, match=said):
        train(settings, run)
    status = read_status(run)
    assert status is not None
    assert status.phase is Phase.FAILED
    assert said in str(status.error)


def test_flips_are_refused_where_captions_name_a_side(settings: Settings, tmp_path: Path) -> None:
    captions = ["The right side of the mole has a smoother border.", "A symmetric mole."]
    folder = write_pairs(tmp_path / "sides", captions=captions)
    run = a_run(settings, "run", tiny_config(folder, flip=True))
    with pytest.raises(FinetuningError, match="speak of left and right"):
        train(settings, run)
    write_pairs(folder, captions=captions[1:])
    assert train(settings, run) is Phase.DONE


def test_an_incomplete_base_is_refused(settings: Settings, pairs: Path, tiny_flux: Path) -> None:
    folder = Path(shutil.copytree(tiny_flux, settings.models_dir / "half"))
    next((folder / "transformer").glob("*.safetensors")).unlink()
    run = a_run(settings, "run", tiny_config(pairs, base="half"))
    with pytest.raises(DermaFluxError, match="half"):
        train(settings, run)


def test_two_programs_never_train_in_one_folder(settings: Settings, pairs: Path) -> None:
    run = a_run(settings, "run", tiny_config(pairs))
    with FileLock(run.path / LOCK), pytest.raises(FinetuningError, match="Another program trains"):
        train(settings, run)
    assert read_status(run) is None


def test_a_full_disk_leaves_the_old_checkpoint(tmp_path: Path) -> None:
    def checkpoint(step: int) -> Checkpoint:
        tensors = {"lora.safetensors": {"a": torch.full((20_000,), float(step))}}
        return Checkpoint(step, tensors, {"rank": 4}, {})

    save_checkpoint(tmp_path, checkpoint(1), keep=1)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, limits[1]))
    try:
        with pytest.raises(FileError, match=r"lora\.safetensors"):
            save_checkpoint(tmp_path, checkpoint(2), keep=1)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert [path.name for path in tmp_path.iterdir()] == ["step-00000001"]
    found, damaged = newest_checkpoint(tmp_path)
    assert found is not None
    assert (found.step, damaged) == (1, [])


def test_a_damaged_checkpoint_is_left_out_and_the_one_before_counts(
    settings: Settings, pairs: Path
) -> None:
    run = a_run(settings, "run", tiny_config(pairs))
    train(settings, run)
    last = weights(run, 4)
    file = run.checkpoints / "step-00000004" / "optimizer.safetensors"
    file.write_bytes(file.read_bytes()[:-1] + b"x")
    train(settings, run)
    assert "Not whole, and left out: step-00000004." in events(run)
    assert weights(run, 4) == last


def test_memory_that_is_used_up_is_a_sentence_that_says_what_to_change(pairs: Path) -> None:
    error = RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: 12 bytes")
    sentence = memory_sentence(tiny_config(pairs, batch=8), error, Bucket(512, 256))
    assert sentence is not None
    assert "at 512x256 px with 8 images at once: choose a batch smaller than 8" in sentence
    assert memory_sentence(tiny_config(pairs), RuntimeError("other")) is None
