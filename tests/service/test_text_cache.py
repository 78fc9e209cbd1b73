"""Encoded captions are kept: a second run needs no text encoders, and no pixel moves."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from backend.generation.denoising import TextEmbeddings
from backend.generation.models import usable_model
from backend.generation.pipelines import caption_encoder, choose_device, plan_for
from backend.generation.profile import Profile
from backend.generation.speed.embeddings import (
    EmbeddingStore,
    cache_contents,
    clear_cache,
)
from backend.generation.speed.encoding import CaptionEncoder
from backend.jobs.states import JobState
from backend.jobs.worker import Worker
from tests.service.studio import CAPTION, Studio, open_studio, tiny_request

OTHER = "An asymmetric lesion of Mrs Miller with a notched border, dark brown and black."


@pytest.fixture
def studio(tmp_path: Path, tiny_flux: Path) -> Iterator[Studio]:
    studio = open_studio(tmp_path / "workspace", tiny_flux)
    yield studio
    studio.database.close()


def restarted(studio: Studio, **changes: object) -> Studio:
    """The same workspace after a restart of the worker, which holds no model then."""
    settings = studio.settings.model_copy(update=changes)
    return Studio(settings, studio.database, Worker(settings, studio.database))


def encoder_of(studio: Studio) -> CaptionEncoder:
    """A fresh encoder for the tiny model, as a worker that has just started has it."""
    entry, device = usable_model(studio.settings, "tiny"), choose_device(studio.settings)
    plan = plan_for(entry, Profile.FAST, device).plan
    encoder = caption_encoder(studio.settings, entry, device, plan)
    assert encoder is not None
    return encoder


def forbid_text_encoders(monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on, whoever loads a text encoder fails."""
    import transformers

    def refuse(*_args: object, **_options: object) -> None:
        raise OSError("text encoders are not to be loaded")

    for kind in (transformers.T5EncoderModel, transformers.CLIPTextModel):
        monkeypatch.setattr(kind, "from_pretrained", refuse)


def test_a_second_run_of_the_same_captions_loads_no_text_encoder_and_gives_the_same_pixels(
    studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    (exact,) = studio.make(tiny_request())
    (first,) = studio.make(tiny_request(profile=Profile.FAST))
    (uncached,) = restarted(studio, text_cache_gb=0).make(tiny_request(profile=Profile.FAST))
    forbid_text_encoders(monkeypatch)
    later = restarted(studio)
    (second,) = later.make(tiny_request(profile=Profile.FAST))
    hashes = {image.pixel_hash for image in (exact, first, uncached, second)}
    assert len(hashes) == 1
    later.submit(tiny_request(profile=Profile.FAST, caption=OTHER))
    job = later.work()
    assert job.state is JobState.FAILED
    assert "text encoders of the model tiny cannot be loaded" in str(job.error)


def test_the_cache_can_be_turned_off_and_exact_images_never_use_it(studio: Studio) -> None:
    folder = studio.settings.text_cache_dir
    studio.make(tiny_request())
    restarted(studio, text_cache_gb=0).make(tiny_request(profile=Profile.FAST))
    assert cache_contents(folder).captions == 0
    studio.make(tiny_request(profile=Profile.FAST))
    assert cache_contents(folder).captions == 1
    assert clear_cache(folder).captions == 1
    assert list(folder.iterdir()) == []


def test_no_caption_stands_in_the_cache(studio: Studio) -> None:
    studio.make(tiny_request(profile=Profile.FAST, caption=OTHER))
    files = list(studio.settings.text_cache_dir.iterdir())
    assert len(files) == 1
    stored = files[0].read_bytes() + files[0].name.encode()
    assert not any(word.encode() in stored for word in ("Miller", "lesion", "notched"))


def test_the_captions_of_a_job_are_encoded_at_one_loading(studio: Studio) -> None:
    encoder = encoder_of(studio)
    encoder._free = lambda: 0  # a device that is full: the encoders may not stay
    captions = [CAPTION, OTHER, "A third lesion.", CAPTION]
    encoder.encode(CAPTION, 32, captions)
    assert not encoder.loaded
    assert cache_contents(studio.settings.text_cache_dir).captions == 3
    kept = encoder_of(studio)
    for caption in captions:
        kept.encode(caption, 32, captions)
    assert not kept.loaded


def test_encoders_stay_where_there_is_room_for_them_beside_the_images(studio: Studio) -> None:
    encoder = encoder_of(studio)
    encoder.encode(CAPTION, 32)
    assert encoder.loaded
    encoder.release()
    assert not encoder.loaded


def test_another_caption_length_or_text_encoder_is_encoded_anew(studio: Studio) -> None:
    encoder_of(studio).encode(CAPTION, 32)
    encoder_of(studio).encode(CAPTION, 16)
    assert cache_contents(studio.settings.text_cache_dir).captions == 2
    weights = studio.settings.models_dir / "tiny" / "text_encoder_2" / "model.safetensors"
    change_one_tensor(weights)
    changed = encoder_of(studio).encode(CAPTION, 32)
    assert cache_contents(studio.settings.text_cache_dir).captions == 3
    tokens = studio.settings.models_dir / "tiny" / "tokenizer" / "tokenizer_config.json"
    tokens.write_text(tokens.read_text().replace("77", "76"))
    again = encoder_of(studio).encode(CAPTION, 32)
    assert cache_contents(studio.settings.text_cache_dir).captions == 4
    assert torch.equal(changed.prompt, again.prompt)


def change_one_tensor(file: Path) -> None:
    from safetensors.torch import load_file, save_file

    tensors = load_file(file)
    name = next(iter(sorted(tensors)))
    save_file(tensors | {name: tensors[name] + 1}, file, metadata={"format": "pt"})


@pytest.mark.parametrize("damage", [b"", b"no safetensors", b"\xff" * 200])
def test_a_damaged_file_is_encoded_again(studio: Studio, damage: bytes) -> None:
    expected = encoder_of(studio).encode(CAPTION, 32)
    (file,) = studio.settings.text_cache_dir.iterdir()
    whole = file.read_bytes()
    file.write_bytes(damage)
    again = encoder_of(studio).encode(CAPTION, 32)
    assert torch.equal(expected.prompt, again.prompt)
    assert torch.equal(expected.pooled, again.pooled)
    assert file.read_bytes() == whole


def embeddings(value: float) -> TextEmbeddings:
    return TextEmbeddings(torch.full((1, 8, 32), value), torch.full((1, 32), value), 8)


def test_what_was_unused_longest_is_dropped_beyond_the_limit(tmp_path: Path) -> None:
    roomy = EmbeddingStore(tmp_path, 10**6, "one")
    for number, caption in enumerate("abc"):
        roomy.write(caption, embeddings(number))
        newest = max(tmp_path.iterdir(), key=lambda file: file.stat().st_mtime_ns)
        os.utime(newest, (number, number))
    size = cache_contents(tmp_path).bytes // 3
    assert roomy.read("a", 8) is not None  # used now, so b is the one unused longest
    EmbeddingStore(tmp_path, 3 * size, "one").write("d", embeddings(3))
    kept = {caption for caption in "abcd" if roomy.read(caption, 8) is not None}
    assert kept == {"a", "c", "d"}
    assert cache_contents(tmp_path).bytes <= 3 * size


def test_a_caption_larger_than_the_whole_cache_is_not_kept(tmp_path: Path) -> None:
    store = EmbeddingStore(tmp_path, 100, "one")
    store.write("a", embeddings(1))
    assert store.read("a", 8) is None


def test_embeddings_come_back_bit_by_bit_in_their_precision(tmp_path: Path) -> None:
    store = EmbeddingStore(tmp_path, 10**6, "one")
    made = TextEmbeddings(
        torch.randn(1, 8, 32, dtype=torch.bfloat16), torch.randn(1, 32, dtype=torch.bfloat16), 8
    )
    store.write("caption", made)
    found = store.read("caption", 8)
    assert found is not None
    assert found.prompt.dtype is torch.bfloat16
    assert torch.equal(found.prompt, made.prompt)
    assert torch.equal(found.pooled, made.pooled)
    assert EmbeddingStore(tmp_path, 10**6, "two").read("caption", 8) is None
