"""A finished LoRA is the same in every layout, merged or not, and says where it comes from."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from backend.errors import DermaFluxError
from backend.finetuning.curves import Curve, draw_curves, smoothed
from backend.finetuning.errors import FinetuningError
from backend.finetuning.export import (
    LoraPrecision,
    checkpoint_steps,
    write_export,
    write_kohya,
)
from backend.finetuning.merging import write_merged
from backend.finetuning.run_folder import Phase, RunFolder, Wish, read_metrics, read_status, wish
from backend.finetuning.shelving import name_on_shelf, put_on_shelf
from backend.finetuning.targets import Targets
from backend.generation.lora.conversion import kohya_tensors
from backend.generation.lora.shelf import LoraView, add_lora, get_lora, list_loras
from backend.generation.models import usable_model
from tests.service.planned_runs import planned_run, write_checkpoint, write_pairs
from tests.service.studio import Studio, open_studio, tiny_request
from training.lora.program import train

FLUX_WIDTH = 3072
ALL = {"rank": 4, "alpha": 2, "targets": Targets.ALL_LINEAR_LAYERS}


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory, tiny_flux: Path) -> Iterator[Studio]:
    """One workspace for all tests here."""
    studio = open_studio(tmp_path_factory.mktemp("studio"), tiny_flux)
    yield studio
    studio.database.close()


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_pairs(tmp_path_factory.mktemp("pairs") / "moles")


@pytest.fixture
def run(studio: Studio, tiny_flux: Path, pairs: Path) -> RunFolder:
    """A run on all layers with one checkpoint."""
    run = planned_run(studio.database, studio.settings, tiny_flux, pairs, lora=ALL)
    write_checkpoint(studio.settings, run, averaged=True)
    return run


def shelve(studio: Studio, run: RunFolder) -> LoraView:
    name = put_on_shelf(studio.database, studio.settings, run)
    return get_lora(studio.database, studio.settings, name)


def pixels(studio: Studio, *loras: str, model: str = "tiny") -> str:
    uses = [{"name": name, "weight": 1} for name in loras]
    (image,) = studio.make(tiny_request(loras=uses, model=model, steps=2))
    return image.pixel_hash


@pytest.mark.parametrize("fused", [False, True])
def test_kohya_and_diffusers_layout_give_the_same_pixels(
    studio: Studio, tiny_flux: Path, pairs: Path, tmp_path: Path, fused: bool
) -> None:
    lora = {**ALL, "fused": fused}
    run = planned_run(studio.database, studio.settings, tiny_flux, pairs, lora=lora)
    write_checkpoint(studio.settings, run, seed=1 + fused)
    write_export(run)
    shelved = shelve(studio, run)
    assert shelved == shelve(studio, run)
    assert (shelved.base, shelved.t5_length, shelved.title) == ("tiny", 32, "Tiny moles")
    assert shelved.targets == Targets.ALL_LINEAR_LAYERS.value
    kohya = write_kohya(run, tmp_path / f"kohya-{fused}.safetensors")
    ranks = {one.shape[0] for key, one in load_file(kohya).items() if "lora_down" in key}
    assert (4 in ranks) is True
    assert (max(ranks) == 4) is fused
    other = add_lora(studio.database, studio.settings, kohya)
    assert pixels(studio, shelved.name) == pixels(studio, other.name) != pixels(studio)


def test_a_run_that_is_stopped_leaves_a_lora_that_says_its_step(
    studio: Studio, tiny_flux: Path, pairs: Path
) -> None:
    run = planned_run(studio.database, studio.settings, tiny_flux, pairs, checkpoint_every=1)
    wish(run, Wish.STOP_AFTER_CHECKPOINT)
    assert train(studio.settings, run) is Phase.STOPPED
    shelved = shelve(studio, run)
    assert (shelved.name, shelved.title) == ("Tiny-moles-step-1", "Tiny moles, step 1")
    assert train(studio.settings, run) is Phase.DONE
    assert shelve(studio, run).title == "Tiny moles"


@pytest.mark.parametrize("broken", ["plan", "checkpoint"])
def test_a_run_whose_lora_cannot_be_written_is_stopped_all_the_same(
    studio: Studio, tiny_flux: Path, pairs: Path, broken: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = planned_run(studio.database, studio.settings, tiny_flux, pairs, checkpoint_every=1)
    wish(run, Wish.STOP_AFTER_CHECKPOINT)

    def break_it(folder: RunFolder) -> list[int]:
        if broken == "plan":
            folder.plan.write_text("{")
        else:
            (folder.checkpoints / "step-00000001" / "lora.safetensors").write_bytes(b"no tensors")
        return checkpoint_steps(folder)

    monkeypatch.setattr("training.lora.program.checkpoint_steps", break_it)
    assert train(studio.settings, run) is Phase.STOPPED
    status = read_status(run)
    assert status is not None
    assert status.phase is Phase.STOPPED
    assert not run.lora.exists()
    told = [line["text"] for line in read_metrics(run) if line["kind"] == "event"]
    assert told[-1].startswith("No LoRA was written when the run stopped: ")


def test_a_long_title_keeps_its_step_on_the_shelf(
    studio: Studio, tiny_flux: Path, pairs: Path
) -> None:
    title = " ".join(["mole"] * 40)[:199]
    run = planned_run(studio.database, studio.settings, tiny_flux, pairs, title=title, steps=9)
    write_checkpoint(studio.settings, run, step=7, seed=70)
    write_export(run)
    first = shelve(studio, run)
    assert first.name.endswith("-step-7")
    assert name_on_shelf(studio.database, studio.settings, run) == first.name
    write_checkpoint(studio.settings, run, step=8, seed=80)
    write_export(run)
    assert name_on_shelf(studio.database, studio.settings, run) is None
    assert shelve(studio, run).title.endswith(", step 8")


def test_at_full_width_the_converter_of_diffusers_reads_our_kohya_file() -> None:
    from diffusers.loaders.lora_conversion_utils import _convert_kohya_flux_lora_to_diffusers

    generator = torch.Generator().manual_seed(0)
    shared = torch.randn(4, FLUX_WIDTH, generator=generator)
    widths = {"attn.to_q": 3072, "attn.to_k": 3072, "attn.to_v": 3072, "proj_mlp": 12288}
    names = {f"single_transformer_blocks.0.{leaf}": width for leaf, width in widths.items()}
    names |= {f"transformer_blocks.0.attn.{leaf}": 3072 for leaf in ("to_q", "to_k", "to_v")}
    layers = {
        name: (shared, torch.randn(width, 4, generator=generator)) for name, width in names.items()
    }
    back = _convert_kohya_flux_lora_to_diffusers(dict(kohya_tensors(layers)))
    assert {key.split(".lora_")[0].removeprefix("transformer.") for key in back} == set(layers)
    for name, (down, up) in layers.items():
        assert torch.equal(back[f"transformer.{name}.lora_A.weight"], down)
        assert torch.equal(back[f"transformer.{name}.lora_B.weight"], up)


def test_weights_merged_into_the_base_are_a_model_that_gives_the_loras_pixels(
    studio: Studio, run: RunFolder
) -> None:
    write_export(run, precision=LoraPrecision.FP32)
    entry = usable_model(studio.settings, "tiny")
    folder = write_merged(studio.settings, run.lora, entry, "merged", title="Merged moles")
    merged = usable_model(studio.settings, "merged")
    assert (merged.title, merged.folder, merged.sizes) == ("Merged moles", folder, entry.sizes)
    name = "transformer/diffusion_pytorch_model.safetensors"
    before, after = load_file(entry.folder / name), load_file(folder / name)
    lora = load_file(run.lora)
    for key, tensor in before.items():
        layer = f"transformer.{key.removesuffix('.weight')}"
        expected = tensor
        if f"{layer}.lora_A.weight" in lora:
            product = lora[f"{layer}.lora_B.weight"] @ lora[f"{layer}.lora_A.weight"]
            expected = (tensor.float() + product).to(tensor.dtype)
        assert torch.equal(after[key], expected)
    assert pixels(studio, model="merged") != pixels(studio)
    with pytest.raises(FinetuningError, match="is there already"):
        write_merged(studio.settings, run.lora, entry, "merged")


def test_the_moving_average_is_exported_and_alpha_is_in_the_weights(run: RunFolder) -> None:
    raw = load_file(run.checkpoints / "step-00000004" / "lora.safetensors")
    key = "transformer.transformer_blocks.0.attn.to_q.lora_B.weight"
    averaged = load_file(write_export(run, precision=LoraPrecision.FP32))[key]
    assert torch.equal(averaged, 0.5 * raw[key] * (2 / 4))
    last = load_file(write_export(run, precision=LoraPrecision.FP32, averaged=False))[key]
    assert torch.equal(last, raw[key] * (2 / 4))
    assert load_file(write_export(run))[key].dtype is torch.bfloat16


def test_stable_diffusion_is_exported_in_both_layouts(
    tmp_path: Path, tiny_sd: Path, pairs: Path
) -> None:
    studio = open_studio(tmp_path / "studio", tiny_sd)
    run = planned_run(studio.database, studio.settings, tiny_sd, pairs, lora=ALL)
    write_checkpoint(studio.settings, run)
    write_export(run)
    shelved = shelve(studio, run)
    assert shelved.t5_length is None
    kohya = add_lora(studio.database, studio.settings, write_kohya(run), name="kohya")
    assert pixels(studio, shelved.name) == pixels(studio, kohya.name) != pixels(studio)
    entry = usable_model(studio.settings, "tiny")
    write_merged(studio.settings, run.lora, entry, "merged")
    assert pixels(studio, model="merged") != pixels(studio)
    studio.database.close()


def test_the_card_names_data_licences_figures_and_shows_curves(
    studio: Studio, run: RunFolder
) -> None:
    lines = [{"kind": "step", "step": step, "loss": 1 / (1 + step)} for step in range(1, 5)]
    lines.append({"kind": "validation", "step": 4, "loss": 0.4321, "images": 2})
    agreement = {"asymmetry": 1.0, "border": 0.5, "colours": None}
    sample = {"file": "samples/step-00000004/00.png", "caption": "A [mole] <b>"}
    outside = {"file": "../../secret.png", "caption": "no"}
    lines.append(
        {"kind": "samples", "step": 4, "images": [sample, outside], "agreement": agreement}
    )
    lines.append({"kind": "step", "step": 9, "loss": 7.0})
    run.metrics.write_text("".join(json.dumps(line) + "\n" for line in lines))
    picture = run.samples / "step-00000004" / "00.png"
    picture.parent.mkdir(parents=True)
    picture.write_bytes(b"png")
    write_export(run)
    card = run.card.read_text()
    assert card.startswith('---\nlicense: "cc-by-nc-4.0"\nbase_model: "tiny"\n')
    for said in ("HAM10000", "Not for commercial use", "0.4321", "max_sequence_length=32"):
        assert said in card
    assert "Not for diagnosis" in card
    assert "![A (mole) &lt;b>](samples/00.png)" in card
    assert "no](" not in card
    assert (run.card.parent / "samples" / "00.png").read_bytes() == b"png"
    assert "<svg" in (run.card.parent / "loss.svg").read_text()
    assert str(studio.settings.workspace) not in card


def test_a_run_without_a_whole_checkpoint_says_so(studio: Studio, run: RunFolder) -> None:
    folder = run.checkpoints / "step-00000004"
    with pytest.raises(FinetuningError, match=r"keeps no checkpoint of step 9: .* 4"):
        write_export(run, step=9)
    with pytest.raises(FinetuningError, match="has no LoRA yet"):
        write_kohya(run)
    with pytest.raises(FinetuningError, match="has no LoRA yet"):
        shelve(studio, run)
    (folder / "manifest.json").unlink()
    assert checkpoint_steps(run) == []
    with pytest.raises(FinetuningError, match="no complete checkpoint yet"):
        write_export(run)


@pytest.mark.parametrize("damage", ["cut", "nan", "foreign"])
def test_a_damaged_checkpoint_is_refused(run: RunFolder, damage: str) -> None:
    file = run.checkpoints / "step-00000004" / "ema.safetensors"
    if damage == "cut":
        file.write_bytes(file.read_bytes()[:200])
    elif damage == "nan":
        tensors = load_file(file)
        next(iter(tensors.values())).fill_(float("nan"))
        save_file(tensors, file)
    else:
        save_file({"weight": torch.ones(2)}, file)
    with pytest.raises(FinetuningError, match="export an earlier one"):
        write_export(run)
    assert not run.lora.exists()


def test_broken_files_and_taken_names_are_refused(
    studio: Studio, run: RunFolder, tmp_path: Path
) -> None:
    write_export(run)
    with pytest.raises(FinetuningError, match=r"written as \.safetensors"):
        write_kohya(run, tmp_path / "lora.pt")
    write_kohya(run, tmp_path / "lora.safetensors")
    with pytest.raises(FinetuningError, match="There is a file"):
        write_kohya(run, tmp_path / "lora.safetensors")
    run.lora.write_bytes(b"nothing")
    for attempt in (
        lambda: write_kohya(run, tmp_path / "again.safetensors"),
        lambda: write_merged(
            studio.settings, run.lora, usable_model(studio.settings, "tiny"), "second"
        ),
        lambda: shelve(studio, run),
    ):
        with pytest.raises(DermaFluxError):
            attempt()
    assert not (studio.settings.models_dir / "second").exists()
    assert all(view.path.is_file() for view in list_loras(studio.database, studio.settings))


def test_curves_are_drawn_from_whatever_numbers_there_are() -> None:
    assert "no values yet" in draw_curves("Loss", [Curve("a", [])])
    drawn = draw_curves("Loss", [Curve("a", [(1, float("nan")), (2, 1.0)]), Curve("b", [])])
    assert "nan" not in drawn
    assert smoothed([(1, 2.0), (2, 2.0)]) == [(1, pytest.approx(2)), (2, pytest.approx(2))]
    assert "&lt;script&gt;" in draw_curves("<script>", [])
