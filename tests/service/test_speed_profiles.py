"""What the profiles do to real pixels: fused LoRAs, skipped blocks, small and streamed weights."""

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from backend.generation.errors import GenerationError, RequestError
from backend.generation.lora.choice import choose_loras
from backend.generation.lora.shelf import add_lora
from backend.generation.models import usable_model
from backend.generation.pipelines import (
    LoadedModel,
    caption_encoder,
    choose_device,
    encode_caption,
    load_model,
    render,
    set_loras,
)
from backend.generation.profile import Profile
from backend.generation.provenance import parameters_text, read_png
from backend.generation.request import GenerationRequest, make_request
from backend.generation.speed.float8 import Float8Linear
from backend.generation.speed.plans import EXACT, Plan
from backend.generation.speed.projections import join_projections
from backend.generation.speed.replay import replay_request
from backend.images import Pixels, read_image
from backend.jobs.queue import get_job, job_log
from backend.jobs.states import JobState
from tests.lora_files import kohya_lora, save_lora
from tests.service.studio import Studio, open_studio, tiny_request

LEAN = Plan(Profile.FAST, lean=True)
FLOAT8 = Plan(Profile.CARD_24, float8=True, lean=True)
CACHED = Plan(Profile.DRAFT, cache_threshold=0.5, lean=True)


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory, tiny_flux: Path) -> Iterator[Studio]:
    """One workspace with LoRAs a and b."""
    studio = open_studio(tmp_path_factory.mktemp("studio"), tiny_flux)
    for seed, name in enumerate("ab", start=1):
        file = studio.settings.workspace / f"{name}.safetensors"
        tensors = kohya_lora(hidden=32, seed=seed)
        add_lora(studio.database, studio.settings, save_lora(file, tensors), name=name)
    yield studio
    studio.database.close()


def load(studio: Studio, plan: Plan, request: GenerationRequest | None = None) -> LoadedModel:
    settings = studio.settings
    entry, device = usable_model(settings, "tiny"), choose_device(settings)
    loras = choose_loras(studio.database, settings, request, entry) if request else ()
    encoder = caption_encoder(settings, entry, device, plan)
    return load_model(settings, entry, device, plan, captions=encoder, loras=loras)


def draw(
    studio: Studio, model: LoadedModel, request: GenerationRequest, stop: int | None = None
) -> Pixels:
    set_loras(model, choose_loras(studio.database, studio.settings, request, model.entry))

    def after_step(index: int, *_: object) -> None:
        if index == stop:
            raise InterruptedError

    return render(model, request, encode_caption(model, request), after_step)


def with_loras(*loras: tuple[str, float], **changes: object) -> GenerationRequest:
    uses = [{"name": name, "weight": weight} for name, weight in loras]
    return tiny_request(loras=uses, **changes)


def distance(first: Pixels, second: Pixels) -> int:
    return int(np.abs(first.astype(int) - second.astype(int)).max())


def test_fused_loras_give_the_pixels_of_loras_beside_the_weights(studio: Studio) -> None:
    exact, lean = load(studio, EXACT), load(studio, LEAN)
    plain = draw(studio, exact, with_loras())
    for uses in ([("a", 1.0)], [("a", 0.7), ("b", -0.4)]):
        beside = draw(studio, exact, with_loras(*uses))
        assert distance(beside, draw(studio, lean, with_loras(*uses))) <= 1
        assert distance(beside, plain) > 1


def test_loras_are_taken_out_without_a_trace(studio: Studio) -> None:
    lean = load(studio, LEAN)
    before = {name: value.clone() for name, value in lean.pipeline.transformer.state_dict().items()}
    draw(studio, lean, with_loras(("a", 1.0), ("b", 0.5)))
    draw(studio, lean, with_loras(("b", -1.0)))
    draw(studio, lean, with_loras(("a", 0.0)))
    after = lean.pipeline.transformer.state_dict()
    assert after.keys() == before.keys()
    assert all((after[name] == value).all() for name, value in before.items())


def test_a_lora_fused_at_loading_is_the_same_as_one_fused_later(studio: Studio) -> None:
    request = with_loras(("a", 0.8))
    streamed = Plan(Profile.CARD_8, offload="leaves", lean=True)
    at_loading = draw(studio, load(studio, streamed, request), request)
    later = draw(studio, load(studio, LEAN), request)
    assert np.array_equal(at_loading, later)


def test_a_draft_says_so_everywhere(studio: Studio) -> None:
    (exact,) = studio.make(tiny_request(steps=12))
    (draft,) = studio.make(tiny_request(steps=12, profile=Profile.DRAFT))
    (again,) = studio.make(tiny_request(steps=12, profile=Profile.DRAFT))
    assert draft.pixel_hash == again.pixel_hash
    assert (exact.profile, draft.profile) == (Profile.EXACT, Profile.DRAFT)
    provenance = read_png(draft.path)
    assert provenance.profile is Profile.DRAFT
    assert provenance.accelerations == ("first-block cache 0.1",)
    assert "Profile: draft" in parameters_text(provenance)
    assert get_job(studio.database, draft.job_id).title == "1 draft by tiny, 64 x 64"
    assert any("Profile draft, as asked for" in line.text for line in logs(studio, draft.job_id))
    assert read_png(exact.path).accelerations == ()


def logs(studio: Studio, job_id: str) -> Sequence[object]:
    return job_log(studio.database, job_id)


def test_blocks_are_skipped_only_where_little_changes(studio: Studio) -> None:
    request = tiny_request(steps=12)
    cached, never = (
        load(studio, CACHED),
        load(studio, Plan(Profile.DRAFT, cache_threshold=0.0, lean=True)),
    )
    calls = []
    last = cached.pipeline.transformer.single_transformer_blocks[-1]
    last.proj_out.register_forward_hook(lambda *_: calls.append(1))
    draw(studio, cached, request)
    assert 0 < len(calls) < request.steps
    exact = draw(studio, load(studio, EXACT), request)
    assert np.array_equal(draw(studio, never, request), exact)


def test_an_image_that_was_stopped_leaves_nothing_in_the_cache(studio: Studio) -> None:
    model = load(studio, CACHED)
    first = draw(studio, model, tiny_request(steps=12))
    with pytest.raises(InterruptedError):
        draw(studio, model, tiny_request(steps=12, seed=99), stop=4)
    assert np.array_equal(draw(studio, model, tiny_request(steps=12)), first)


def test_weights_in_eight_bits_take_a_quarter_and_stay_near(studio: Studio) -> None:
    import torch

    exact, small = load(studio, EXACT), load(studio, FLOAT8)
    layer = small.pipeline.transformer.transformer_blocks[0].ff.net[0].proj
    assert layer.weight.dtype is torch.float8_e4m3fn
    request = with_loras(("a", 1.0))
    wanted, made = draw(studio, exact, request), draw(studio, small, request)
    assert layer.weight.dtype is torch.float8_e4m3fn
    assert distance(wanted, made) < distance(wanted, draw(studio, exact, tiny_request(seed=8)))
    assert np.abs(wanted.astype(int) - made.astype(int)).mean() < 4


@pytest.mark.parametrize("offload", ["blocks", "leaves"])
def test_streamed_weights_give_the_pixels_of_resident_ones(studio: Studio, offload: str) -> None:
    request = with_loras(("a", 1.0))
    streamed = Plan(Profile.CARD_12, float8=True, offload=offload, lean=True)  # type: ignore[arg-type]
    wanted = draw(studio, load(studio, FLOAT8, request), request)
    assert np.array_equal(draw(studio, load(studio, streamed, request), request), wanted)


@pytest.mark.skipif(shutil.which("g++") is None, reason="no compiler for torch.compile")
def test_compiled_blocks_stay_near_and_take_other_loras_without_compiling_again(
    studio: Studio,
) -> None:
    from torch._dynamo.utils import counters

    compiled = load(studio, Plan(Profile.FAST, compiled=True, lean=True))
    exact = load(studio, EXACT)
    draw(studio, compiled, with_loras(("a", 1.0), steps=2))
    graphs = counters["stats"]["unique_graphs"]
    assert graphs > 0
    for uses in ([("a", 1.0)], [("b", -0.6)], []):
        request = with_loras(*uses, steps=2)
        assert distance(draw(studio, compiled, request), draw(studio, exact, request)) <= 2
    assert counters["stats"]["unique_graphs"] == graphs


@pytest.mark.skipif(shutil.which("g++") is None, reason="no compiler for torch.compile")
def test_compiled_blocks_in_eight_bits_with_a_cache_compile_each_kind_of_block_once(
    studio: Studio,
) -> None:
    import torch
    from torch._dynamo.utils import counters

    torch._dynamo.reset()
    before = counters["stats"]["unique_graphs"]
    plan = Plan(Profile.FAST, compiled=True, cache_threshold=0.0, float8=True, lean=True)
    model, exact = load(studio, plan), load(studio, EXACT)
    layer = model.pipeline.transformer.transformer_blocks[0].ff.net[0].proj
    assert isinstance(layer, Float8Linear)
    for uses in ([("a", 1.0)], [("b", -0.6)], []):
        request = with_loras(*uses, steps=4)
        wanted, made = draw(studio, exact, request), draw(studio, model, request)
        assert distance(wanted, made) < distance(
            wanted, draw(studio, exact, tiny_request(seed=8, steps=4))
        )
        assert np.abs(wanted.astype(int) - made.astype(int)).mean() < 4
    assert counters["stats"]["unique_graphs"] - before == 2


def test_joined_projections_share_their_memory_with_the_three_and_take_loras(
    studio: Studio,
) -> None:
    joined, exact = load(studio, LEAN), load(studio, EXACT)
    transformer = joined.pipeline.transformer
    parameters = sum(value.numel() for value in transformer.parameters())
    join_projections(transformer)
    attention = transformer.single_transformer_blocks[0].attn
    assert attention.to_k.weight.data_ptr() != attention.to_qkv.weight.data_ptr()
    storage = attention.to_qkv.weight.untyped_storage()
    assert attention.to_k.weight.untyped_storage().data_ptr() == storage.data_ptr()
    storages = {
        value.untyped_storage().data_ptr(): value.untyped_storage().nbytes()
        for value in transformer.parameters()
    }
    assert sum(storages.values()) == 4 * parameters
    for uses in ([("a", 1.0)], [("b", -0.6)], []):
        request = with_loras(*uses)
        assert distance(draw(studio, joined, request), draw(studio, exact, request)) <= 1


def test_rows_in_eight_bits_are_near_and_a_large_number_costs_only_its_row() -> None:
    import torch

    torch.manual_seed(0)
    linear = torch.nn.Linear(64, 32)
    inputs = torch.randn(2, 5, 64)
    inputs[0, 0, 0] = 1e4
    with torch.no_grad():
        linear.weight[3, 4] = 500.0
        wanted, made = linear(inputs), Float8Linear(linear, torch.device("cpu"))(inputs)
    assert made.shape == wanted.shape
    rest = (made - wanted)[:, 1:, 4:].norm() / wanted[:, 1:, 4:].norm()
    assert rest < 0.05


def test_only_exact_images_are_replayed(studio: Studio) -> None:
    (exact,) = studio.make(tiny_request())
    (fast,) = studio.make(tiny_request(profile=Profile.FAST))
    request = replay_request(read_png(exact.path))
    assert request.profile is Profile.EXACT
    (again,) = studio.make(request)
    assert np.array_equal(read_image(again.path), read_image(exact.path))
    with pytest.raises(GenerationError, match="made with the profile fast"):
        replay_request(read_png(fast.path))


def test_a_profile_for_cards_fails_the_job_with_a_sentence_here(studio: Studio) -> None:
    studio.submit(tiny_request(profile=Profile.CARD_12))
    job = studio.work()
    assert job.state is JobState.FAILED
    assert "The profile 12gb is for graphics cards" in str(job.error)


def test_an_unknown_profile_is_refused() -> None:
    with pytest.raises(RequestError, match="profile"):
        make_request({"caption": "A lesion.", "seed": 1, "profile": "ludicrous"})
