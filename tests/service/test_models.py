"""Which models are listed, what stands in the way of a damaged one, and what identifies one."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from safetensors.numpy import load_file, save_file

from backend.generation.errors import ModelError
from backend.generation.models import (
    check_model_folder,
    find_model,
    list_models,
    model_hash,
    usable_model,
)
from backend.generation.tokens import count_tokens
from backend.settings import Settings

LONG = "The border is irregular and notched, ragged on the left; 3.5 mm across. Ein Mal, 黒い! " * 6


@pytest.fixture
def model(settings: Settings, tiny_flux: Path) -> Path:
    """The tiny FLUX among the models of the workspace."""
    return Path(shutil.copytree(tiny_flux, settings.models_dir / "FLUX.1-dev"))


def test_a_flux_folder_in_the_workspace_is_listed_after_the_starter(
    settings: Settings, model: Path
) -> None:
    starter, flux = list_models(settings)
    assert starter.name == "starter"
    assert (flux.name, flux.folder, flux.problem) == ("FLUX.1-dev", model, None)
    assert (flux.sizes, flux.steps, flux.max_sequence_length) == ((64, 128), 4, 32)
    assert flux.bytes == sum(file.stat().st_size for file in model.rglob("*") if file.is_file())


def test_without_a_card_the_registry_then_flux_dev_says_what_a_model_was_trained_for(
    settings: Settings, model: Path
) -> None:
    (model / "dermaflux.json").unlink()
    shutil.copytree(model, settings.models_dir / "unknown")
    known, unknown = (usable_model(settings, name) for name in ("FLUX.1-dev", "unknown"))
    assert known.title == "FLUX.1 [dev]"
    assert "Non-Commercial" in known.licence
    assert unknown.licence == "not stated"
    for entry in (known, unknown):
        assert (entry.sizes, entry.steps) == ((512, 768, 1024), 20)
        assert (entry.guidance_scale, entry.max_sequence_length) == (3.5, 512)


def test_a_folder_named_in_the_settings_is_a_model_or_holds_models(
    settings: Settings, tiny_flux: Path, tmp_path: Path
) -> None:
    shutil.copytree(tiny_flux, tmp_path / "shelf" / "second")
    elsewhere = settings.model_copy(update={"model_folders": (tiny_flux, tmp_path / "shelf")})
    assert [entry.name for entry in list_models(elsewhere)] == ["starter", tiny_flux.name, "second"]


@pytest.mark.usefixtures("model")
def test_an_unknown_model_is_refused_with_the_names_that_there_are(settings: Settings) -> None:
    with pytest.raises(ModelError, match=r"no model called \.\./x: .*FLUX\.1-dev"):
        find_model(settings, "../x")


def truncate(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-100])


def empty(file: Path) -> None:
    file.write_bytes(b"")


def scramble(file: Path) -> None:
    file.write_bytes(b"{ not json")


def pickle_inside(file: Path) -> None:
    file.write_bytes(b"PK\x03\x04" + b"\xff" * 200)


def remove(file: Path) -> None:
    file.unlink()


WEIGHTS = "transformer/diffusion_pytorch_model.safetensors"


@pytest.mark.parametrize(
    ("name", "damage", "sentence"),
    [
        ("model_index.json", remove, "incomplete, model_index.json is missing"),
        ("model_index.json", scramble, "model_index.json of the model FLUX.1-dev is damaged"),
        (WEIGHTS, remove, "transformer/weights in safetensors is missing"),
        (WEIGHTS, truncate, "transformer/diffusion_pytorch_model.safetensors are truncated"),
        (WEIGHTS, empty, "are truncated"),
        (WEIGHTS, pickle_inside, "are not in safetensors format"),
        ("vae/config.json", remove, "vae/config.json is missing"),
        ("vae/config.json", scramble, "config.json of the model FLUX.1-dev is damaged"),
        ("text_encoder/model.safetensors", truncate, "text_encoder/model.safetensors are trunc"),
        ("text_encoder_2/model.safetensors", remove, "text_encoder_2/weights in safetensors"),
        ("scheduler/scheduler_config.json", remove, "scheduler/scheduler_config.json is missing"),
        ("tokenizer/tokenizer.json", remove, "tokenizer/tokenizer.json is missing"),
        ("tokenizer_2/tokenizer.json", remove, "tokenizer_2/tokenizer.json is missing"),
        ("dermaflux.json", scramble, "dermaflux.json of the model FLUX.1-dev is damaged"),
    ],
)
def test_a_damaged_folder_is_listed_with_one_sentence_that_names_the_file(
    settings: Settings,
    model: Path,
    name: str,
    damage: Callable[[Path], None],
    sentence: str,
) -> None:
    damage(model / name)
    problem = find_model(settings, "FLUX.1-dev").problem
    assert problem is not None
    assert sentence in problem
    assert problem.endswith(".")
    with pytest.raises(ModelError):
        usable_model(settings, "FLUX.1-dev")


@pytest.mark.parametrize("suffix", [".bin", ".pt", ".ckpt", ".pkl"])
def test_a_pickle_is_refused_and_it_is_said_why(model: Path, suffix: str) -> None:
    (model / "transformer" / f"diffusion_pytorch_model{suffix}").write_bytes(b"\x80\x04.")
    with pytest.raises(ModelError, match="a pickle, which can run any program"):
        check_model_folder(model)


def test_code_that_comes_with_a_model_is_refused(model: Path) -> None:
    index = json.loads((model / "model_index.json").read_text())
    index["transformer"] = ["my_code", "MyTransformer"]
    (model / "model_index.json").write_text(json.dumps(index))
    with pytest.raises(ModelError, match="MyTransformer as its transformer"):
        check_model_folder(model)


def test_another_kind_of_pipeline_is_refused(model: Path) -> None:
    (model / "model_index.json").write_text('{"_class_name": "StableDiffusionXLPipeline"}')
    with pytest.raises(ModelError, match="StableDiffusionXLPipeline, not a FluxPipeline or a"):
        check_model_folder(model)


def test_a_card_with_an_impossible_size_is_a_problem(settings: Settings, model: Path) -> None:
    (model / "dermaflux.json").write_text('{"sizes": [130]}')
    assert "names the size 130" in str(find_model(settings, "FLUX.1-dev").problem)


def shard(folder: Path) -> list[Path]:
    """Split the weights of a component in two, as the hub does with large models."""
    whole = folder / "diffusion_pytorch_model.safetensors"
    tensors = sorted(load_file(whole).items())
    parts = [dict(tensors[::2]), dict(tensors[1::2])]
    files = [folder / f"model-0000{number}-of-00002.safetensors" for number in (1, 2)]
    for file, part in zip(files, parts, strict=True):
        save_file(part, file)
    weight_map = {name: file.name for file, part in zip(files, parts, strict=True) for name in part}
    index = {"metadata": {}, "weight_map": weight_map}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    whole.unlink()
    return files


def test_the_hash_is_of_the_tensors_not_of_the_files(model: Path) -> None:
    convert_to_float32(model / "vae" / "diffusion_pytorch_model.safetensors")
    before = model_hash(model)
    shard(model / "vae")
    assert model_hash(model) == before
    file = model / "vae" / "model-00001-of-00002.safetensors"
    tensors = load_file(file)
    name = min(tensors)
    tensors[name] = tensors[name] + 1
    save_file(tensors, file)
    assert model_hash(model) != before


def convert_to_float32(file: Path) -> None:
    """numpy has no bfloat16."""
    import torch
    from safetensors.torch import load_file as load
    from safetensors.torch import save_file as save

    save({name: tensor.to(torch.float32) for name, tensor in load(file).items()}, file)


def test_a_missing_shard_is_named(model: Path) -> None:
    convert_to_float32(model / "vae" / "diffusion_pytorch_model.safetensors")
    shard(model / "vae")[1].unlink()
    with pytest.raises(ModelError, match=r"model-00002-of-00002\.safetensors is missing"):
        check_model_folder(model)


def test_a_remembered_hash_is_used_until_a_file_changes(model: Path, tmp_path: Path) -> None:
    cache = tmp_path / "hashes"
    first = model_hash(model, cache=cache)
    (entry,) = cache.iterdir()
    entry.write_text("f" * 64)
    assert model_hash(model, cache=cache) == "f" * 64
    entry.write_text("damaged")
    assert model_hash(model, cache=cache) == first
    weights = model / WEIGHTS
    tensors = weights.read_bytes()
    weights.write_bytes(tensors[:-1] + bytes([tensors[-1] ^ 1]))
    assert model_hash(model, cache=cache) != first


def test_tokens_are_counted_as_the_encoders_will_see_them(settings: Settings, model: Path) -> None:
    from transformers import CLIPTokenizer, T5TokenizerFast

    clip = CLIPTokenizer.from_pretrained(model / "tokenizer")
    t5 = T5TokenizerFast.from_pretrained(model / "tokenizer_2")
    entry = usable_model(settings, "FLUX.1-dev")
    for caption in ("A mole.", "", LONG):
        expected = (len(clip(caption).input_ids), len(t5(caption).input_ids))
        assert count_tokens(entry, caption) == expected
    assert count_tokens(entry, LONG)[0] > 77


def test_the_two_file_tokenizer_of_flux_dev_counts_the_same(
    settings: Settings, model: Path
) -> None:
    entry = usable_model(settings, "FLUX.1-dev")
    expected = count_tokens(entry, LONG)
    folder = model / "tokenizer"
    bpe = json.loads((folder / "tokenizer.json").read_text())["model"]
    (folder / "vocab.json").write_text(json.dumps(bpe["vocab"]))
    merges = "\n".join(" ".join(pair) for pair in bpe["merges"])
    (folder / "merges.txt").write_text(f"#version: 0.2\n{merges}\n")
    (folder / "tokenizer.json").unlink()
    check_model_folder(model)
    assert count_tokens(entry, LONG) == expected


def test_a_damaged_tokenizer_gets_a_sentence(settings: Settings, model: Path) -> None:
    scramble(model / "tokenizer" / "tokenizer.json")
    with pytest.raises(
        ModelError, match=r"tokenizer of the model FLUX\.1-dev is missing or damaged"
    ):
        count_tokens(usable_model(settings, "FLUX.1-dev"), "A mole.")
