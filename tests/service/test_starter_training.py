"""The program that trains the starter model, on a very small real run."""

import copy
import dataclasses
import json
import math
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import FlowMatchEulerDiscreteScheduler, FluxPipeline
from safetensors.torch import load_file

from backend.abc.attributes import Asymmetry, Border, Colour, LesionAttributes
from backend.abc.parser import parse
from backend.abc.sampling import is_held_out
from backend.generation.attribute_guidance.classifier import (
    NoisyClassifier,
    stated_of,
    surprises,
)
from backend.generation.attribute_guidance.files import known_side
from backend.generation.attribute_guidance.guide import AttributeClassifier
from training.starter import classifier, flow, loop
from training.starter.ahead import made_ahead
from training.starter.autoencoder import (
    HINT_SCALE,
    VIEWS,
    cache_latents,
    grain_loss,
    hint_loss,
    train_autoencoder,
    train_decoder,
)
from training.starter.captions import caption_generator, training_caption
from training.starter.checkpoints import load_checkpoint, save_checkpoint
from training.starter.classifier import stated_between, train_classifier
from training.starter.config import RunFolder, StarterConfig, configured
from training.starter.corpus import AXES, SIBLINGS, load_images, load_truths, render_corpus, shards
from training.starter.guidance import distil_guidance, guided_velocity, opposed_captions
from training.starter.loop import make_optimizers
from training.starter.precision import mixed_precision
from training.starter.release import assemble, read_release, write_release
from training.starter.text import train_text_encoders
from training.starter.widening import widened

SMALL = StarterConfig(
    phantoms=12,
    validation_phantoms=6,
    between_phantoms=4,
    text_width=32,
    text_layers=1,
    text_steps=2,
    text_batch=8,
    vae_channels=(8, 8, 16, 16),
    vae_steps=2,
    vae_batch=2,
    flow_width=64,
    flow_heads=2,
    single_blocks=1,
    flow_steps=4,
    flow_batch=6,
    decoder_steps=2,
    guidance_steps=2,
    guidance_batch=3,
    classifier_width=16,
    classifier_steps=2,
    classifier_batch=6,
    checkpoint_every=2,
)


@dataclasses.dataclass(frozen=True)
class Trained:
    config: StarterConfig
    run: RunFolder
    encoders: flow.TextEncoders
    data: flow.FlowData
    latents: dict[str, torch.Tensor]
    autoencoder: flow.nn.Module


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    run = RunFolder(tmp_path_factory.mktemp("starter"))
    encoders = train_text_encoders(SMALL, run)
    render_corpus(SMALL, run, processes=1)
    autoencoder = train_autoencoder(SMALL, run)
    latents = cache_latents(run, autoencoder)
    return Trained(SMALL, run, encoders, flow.load_data(run, latents), latents, autoencoder)


def test_held_out_combinations_never_enter_the_corpus(trained: Trained):
    truths = [
        truth
        for split in ("training", "validation")
        for path in shards(trained.run, split)
        for truth in load_truths(path)
    ]
    assert len(truths) == SMALL.phantoms + SMALL.validation_phantoms
    assert not any(is_held_out(truth) for truth in truths)


def test_siblings_differ_in_asymmetry_or_border_alone(trained: Trained):
    truths = trained.data.training_truths
    for first in range(0, len(truths), SIBLINGS):
        siblings = [truth.model_dump() for truth in truths[first : first + SIBLINGS]]
        apart = [key for key in siblings[0] if len({str(s[key]) for s in siblings}) > 1]
        assert apart in (["asymmetry"], ["border"])
        assert len({str(s[apart[0]]) for s in siblings}) == SIBLINGS


def test_siblings_of_a_batch_share_noise_sigma_and_wording(trained: Trained):
    families = flow.choose_families(SMALL, trained.data, flow.STREAM, 3)
    draft = flow.flow_drafts(SMALL, trained.encoders, trained.data, flow.STREAM)(3)
    assert torch.equal(draft.picked, families.picked)
    batch = flow.training_batch(SMALL, trained.encoders, trained.data, draft, flow.STREAM, 3)
    for first in range(0, SMALL.flow_batch, SIBLINGS):
        family = slice(first, first + SIBLINGS)
        assert torch.equal(batch.noise[family], batch.noise[first].expand(SIBLINGS, -1, -1))
        assert len(set(batch.sigmas[family].tolist())) == 1
        assert len(set(families.wordings[family])) == 1
        assert len(set(families.views[family].tolist())) == 1
    assert not torch.equal(batch.noise[0], batch.noise[SIBLINGS])


def test_a_training_caption_states_what_it_says_it_states(trained: Trained):
    truths = trained.data.training_truths
    rng = caption_generator(5, 1, 0)
    for step in range(60):
        text, stated = training_caption(truths[step % len(truths)], rng)
        assert parse(text).attributes.asymmetry == stated.asymmetry, text
        assert parse(text).attributes.colours == stated.colours, text


def test_a_lesion_between_two_siblings_has_a_share_of_both(trained: Trained):
    assert len(trained.data.between_truths) == len(trained.data.between) == 4
    stated = stated_between(trained.data.between_truths)
    for place, lesion in enumerate(trained.data.between_truths):
        shares = stated.shares[lesion.axis][place]
        assert 1 <= int((shares > 0).sum()) <= 2
        assert float(shares.sum()) == pytest.approx(1)
        values = dict(AXES)[lesion.axis]
        nearest = list(values)[int(shares.argmax())]
        assert getattr(lesion.truth, lesion.axis) == nearest


def test_latents_are_paired_with_the_phantom_they_came_from(trained: Trained):
    images = np.concatenate([load_images(path) for path in shards(trained.run, "training")])
    assert trained.data.training.shape == (len(VIEWS), len(images), 16, 16, 16)
    again = flow.torch.from_numpy(images[7:8].copy()).permute(0, 3, 1, 2).float() / 127.5 - 1
    for axes, view in zip(VIEWS, trained.latents["training"], strict=True):
        with torch.no_grad(), mixed_precision():
            alone = trained.autoencoder.encode(again.flip(axes)).latent_dist.mode().bfloat16()
        torch.testing.assert_close(alone[0], view[7], atol=0.1, rtol=0.1)


def test_a_stopped_flow_goes_on_to_the_same_weights(trained: Trained, tmp_path: Path):
    whole = dataclasses.replace(trained.run, root=_copy_of(trained.run, tmp_path / "whole"))
    stopped = dataclasses.replace(trained.run, root=_copy_of(trained.run, tmp_path / "stopped"))
    flow.train_flow(SMALL, whole, trained.encoders, trained.data)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "log_event", _stop)
        with pytest.raises(InterruptedError):
            flow.train_flow(SMALL, stopped, trained.encoders, trained.data)
    flow.train_flow(SMALL, stopped, trained.encoders, trained.data)
    for name in ("model", "average", "muon", "adamw"):
        one = load_file(whole.flow / f"{name}.safetensors")
        other = load_file(stopped.flow / f"{name}.safetensors")
        assert all(torch.equal(one[key], other[key]) for key in one), name


def test_drafts_made_ahead_are_those_made_when_asked_for(trained: Trained):
    make = flow.flow_drafts(SMALL, trained.encoders, trained.data, flow.STREAM)
    now = list(made_ahead(make, range(2, 7), 0))
    ahead = list(made_ahead(make, range(2, 7), 2))
    assert len(ahead) == 5
    for one, other in zip(now, ahead, strict=True):
        assert torch.equal(one.picked, other.picked)
        assert torch.equal(one.said.t5, other.said.t5)
        assert torch.equal(one.said.clip, other.said.clip)


def test_pictures_are_widened_within_range_and_some_stay_as_they_are():
    pixels = torch.rand(64, 3, 32, 32) * 1.6 - 0.8
    changed = widened(pixels, torch.Generator().manual_seed(1))
    assert changed.shape == pixels.shape
    assert changed.abs().max() <= 1
    apart = (changed - pixels).abs().amax(dim=(1, 2, 3))
    assert 2 < int((apart < 1e-5).sum()) < 32
    again = widened(pixels, torch.Generator().manual_seed(1))
    assert torch.equal(changed, again)


def test_blurred_grain_costs_more_than_other_grain_of_the_same_strength():
    generator = torch.Generator().manual_seed(4)
    flat = torch.rand(4, 3, 1, 1, generator=generator) - 0.5
    one, other = (flat + 0.03 * torch.randn(4, 3, 64, 64, generator=generator) for _ in range(2))
    assert float(grain_loss(one, one)) == 0
    other_grain = float(grain_loss(other, one))
    blurred = torch.nn.functional.avg_pool2d(one, 3, stride=1, padding=1)
    assert float(grain_loss(blurred, one)) > 2 * other_grain
    regular = flat + 0.03 * (-1.0) ** torch.arange(64)
    assert float(grain_loss(regular.expand_as(one), one)) > 2 * other_grain


def test_the_hint_is_the_mean_colour_of_each_block():
    pixels = torch.rand(2, 3, 64, 64) * 2 - 1
    latents = torch.randn(2, 16, 8, 8)
    latents[:, :3] = HINT_SCALE * torch.nn.functional.avg_pool2d(pixels, 8)
    assert float(hint_loss(latents, pixels)) == pytest.approx(0, abs=1e-6)
    assert float(hint_loss(latents, pixels.flip(2))) > 0.1


def test_the_decoder_goes_on_alone_and_latents_stay_what_they_are(trained: Trained, tmp_path: Path):
    run = dataclasses.replace(trained.run, root=_copy_of(trained.run, tmp_path / "run"))
    before = copy.deepcopy(trained.autoencoder)
    after = train_decoder(SMALL, run, copy.deepcopy(before))
    same = zip(before.encoder.parameters(), after.encoder.parameters(), strict=True)
    assert all(torch.equal(one, other) for one, other in same)
    moved = (after.decoder.conv_out.weight - before.decoder.conv_out.weight).abs().max()
    assert 0 < float(moved) < 0.1
    assert not any(parameter.requires_grad for parameter in after.parameters())
    again = train_decoder(SMALL, run, copy.deepcopy(before))
    assert torch.equal(again.decoder.conv_out.weight, after.decoder.conv_out.weight)


def test_single_numbers_of_the_configuration_are_changed_by_name():
    assert configured([]) == StarterConfig()
    assert configured(["flow_steps=7", "kl_weight=1e-3"]) == dataclasses.replace(
        StarterConfig(), flow_steps=7, kl_weight=1e-3
    )
    for setting, reason in {
        "flow_stops=7": "no number 'flow_stops'",
        "flow_steps=many": "flow_steps takes a whole number, not 'many'",
        "flow_steps": "flow_steps takes a whole number, not ''",
        "vae_channels=1": "no number 'vae_channels'",
    }.items():
        with pytest.raises(ValueError, match=reason):
            configured([setting])


def test_a_checkpoint_of_other_settings_is_refused_by_name(tmp_path: Path):
    module = torch.nn.Linear(2, 2)
    save_checkpoint(tmp_path / "c", step=3, identity={"batch": 4}, modules={"m": module})
    with pytest.raises(ValueError, match="batch = 4, not 8"):
        load_checkpoint(tmp_path / "c", identity={"batch": 8}, modules={"m": module})


def test_a_checkpoint_cut_off_in_the_last_rename_is_still_found(tmp_path: Path):
    module = torch.nn.Linear(2, 2)
    save_checkpoint(tmp_path / "c", step=3, identity={}, modules={"m": module})
    (tmp_path / "c").replace(tmp_path / "c.old")
    (tmp_path / "c.aside").mkdir()
    assert load_checkpoint(tmp_path / "c", identity={}, modules={"m": module}) == 3


def test_training_sigmas_are_shifted_as_the_scheduler_shifts_them():
    plain = flow.sample_sigmas(500, 1.0, torch.Generator().manual_seed(3))
    shifted = flow.sample_sigmas(500, 2.2, torch.Generator().manual_seed(3))
    scheduler = FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True)
    expected = scheduler.time_shift(math.log(2.2), 1.0, plain.double())
    torch.testing.assert_close(shifted.double(), expected, atol=1e-6, rtol=1e-6)
    assert abs(float(torch.logit(plain).mean())) < 0.15


def test_every_matrix_of_the_blocks_is_updated_by_muon_and_everything_else_by_adamw():
    model = flow.make_transformer(SMALL)
    optimizers = make_optimizers(model, 8e-4, 1e-3)
    held = {
        name: {id(p) for group in optimizer.param_groups for p in group["params"]}
        for name, optimizer in optimizers.items()
    }
    assert held["muon"].isdisjoint(held["adamw"])
    assert held["muon"] | held["adamw"] == {id(p) for p in model.parameters()}
    assert id(model.single_transformer_blocks[0].attn.to_q.weight) in held["muon"]
    assert id(model.x_embedder.weight) in held["adamw"]


def test_short_steps_see_the_first_states_and_the_whole_pooled_vector(trained: Trained):
    whole = condition(trained, ["A symmetric lesion."])
    short = flow.shortened(whole, 8)
    assert torch.equal(short.states, whole.states[:, :8])
    assert torch.equal(short.pooled, whole.pooled)


def test_a_perfect_velocity_has_no_loss():
    clean, noise = torch.randn(2, 3, 64, 64)
    sigmas = torch.tensor([0.2, 0.5, 0.9])

    def perfect(hidden_states: torch.Tensor, timestep: torch.Tensor, **_: object) -> tuple:
        weight = timestep[:, None, None]
        start = (hidden_states - weight * noise) / (1 - weight)
        return (noise - start,)

    conditioning = flow.Conditioning(torch.zeros(3, 1, 8), torch.zeros(3, 8), torch.ones(3))
    loss = flow.velocity_loss(perfect, clean, noise, sigmas, conditioning)
    torch.testing.assert_close(loss, torch.zeros(3), atol=1e-8, rtol=0)


def test_guidance_of_one_asks_for_the_plain_velocity(trained: Trained):
    model = flow.make_transformer(SMALL)
    torch.nn.init.normal_(model.proj_out.weight, std=0.1)
    captions = ["A symmetric lesion.", "An irregular border."]
    conditioning = condition(trained, captions)
    against = [condition(trained, [""] * 2)] * 5
    noisy, sigmas = torch.randn(2, 64, 64), torch.tensor([0.4, 0.8])
    guided = guided_velocity(
        model, noisy, sigmas, conditioning, against, torch.tensor([1.0, 5.0]), (0.4, 1.0, 2.0)
    )
    with torch.no_grad():
        plain = flow.velocity(model, noisy, sigmas, conditioning)
    torch.testing.assert_close(guided[0], plain[0], atol=0.02, rtol=0.02)
    assert not torch.allclose(guided[1], plain[1], atol=0.02, rtol=0.02)


def test_captions_are_opposed_by_nothing_and_by_every_other_asymmetry_and_border(
    trained: Trained,
):
    families = flow.choose_families(SMALL, trained.data, flow.STREAM, 3)
    empty, *others = opposed_captions(families)
    assert set(empty) == {""}
    assert len(others) == 4
    for truth, wording, *texts in zip(families.truths, families.wordings, *others, strict=True):
        own = parse(flow.caption_of(truth, wording)).attributes
        read = [parse(text).attributes for text in texts]
        if own.asymmetry is not None:
            assert {own.asymmetry, read[0].asymmetry, read[1].asymmetry} == set(Asymmetry)
        if own.border is not None:
            assert {own.border, read[2].border, read[3].border} == set(Border)


def condition(trained: Trained, captions: list[str]) -> flow.Conditioning:
    return flow.condition(trained.encoders, trained.encoders.tokens(captions), guidance=1.0)


def test_what_a_caption_leaves_open_costs_the_classifier_nothing():
    model = NoisyClassifier(16, 128)
    lesion = LesionAttributes(asymmetry=Asymmetry.ONE_AXIS, colours=(Colour.BLACK,))
    stated = stated_of([lesion, LesionAttributes()])
    assert stated.shares["asymmetry"].tolist() == [[0.0, 1.0, 0.0], [0.0, 0.0, 0.0]]
    logits = model(torch.randn(2, 16, 16, 16), torch.tensor([0.3, 0.8]))
    found = surprises(logits, stated)
    assert {name for name, one in found.items() if one.detach()[0] > 0} == {"asymmetry", "colours"}
    assert not any(one.detach()[1] for one in found.values())
    told = logits["asymmetry"].log_softmax(dim=1)[0, list(Asymmetry).index(Asymmetry.ONE_AXIS)]
    assert float(found["asymmetry"][0]) == pytest.approx(-float(told))


def test_the_classifier_learns_to_tell_siblings_apart(trained: Trained, tmp_path: Path):
    longer = dataclasses.replace(
        SMALL, classifier_steps=150, classifier_batch=12, checkpoint_every=150
    )
    run = RunFolder(tmp_path)
    model = train_classifier(longer, run, trained.data)
    clean = trained.data.training[0].float()
    found = surprises(
        model(clean, torch.zeros(len(clean))), stated_of(trained.data.training_truths)
    )
    assert float(found["asymmetry"].mean()) < 0.5 * math.log(3)
    assert float(found["border"].mean()) < 0.5 * math.log(3)
    logged = json.loads(run.log.read_text().splitlines()[-1])
    assert 0 <= logged["border_accuracy"] <= 1


def test_a_stopped_classifier_goes_on_to_the_same_weights(trained: Trained, tmp_path: Path):
    whole, stopped = RunFolder(tmp_path / "whole"), RunFolder(tmp_path / "stopped")
    config = dataclasses.replace(SMALL, classifier_steps=4)
    one = train_classifier(config, whole, trained.data)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(classifier, "log_event", _stop)
        with pytest.raises(InterruptedError):
            train_classifier(config, stopped, trained.data)
    other = train_classifier(config, stopped, trained.data)
    assert torch.equal(one.head.weight, other.head.weight)
    assert not one.head.weight.requires_grad
    with pytest.raises(ValueError, match="classifier was trained with batch = 6, not 9"):
        train_classifier(dataclasses.replace(config, classifier_batch=9), whole, trained.data)


def test_the_release_loads_in_diffusers_and_makes_a_picture(trained: Trained, tmp_path: Path):
    transformer = flow.train_flow(SMALL, trained.run, trained.encoders, trained.data)
    transformer = distil_guidance(SMALL, trained.run, trained.encoders, trained.data, transformer)
    told = train_classifier(SMALL, trained.run, trained.data)
    pipeline = assemble(trained.encoders, trained.autoencoder, trained.latents, transformer)
    lora = tmp_path / "released" / "loras" / "own" / "lora.safetensors"
    lora.parent.mkdir(parents=True)
    lora.write_bytes(b"kept")
    write_release(SMALL, trained.run, pipeline, told, tmp_path / "released")
    assert known_side(tmp_path / "released") == 128
    guiding = AttributeClassifier.load(tmp_path / "released", "cpu")
    assert guiding.config.width == SMALL.classifier_width
    assert lora.read_bytes() == b"kept"
    loaded = FluxPipeline.from_pretrained(
        tmp_path / "released", dtype=torch.float32, local_files_only=True
    )
    loaded.set_progress_bar_config(disable=True)
    image = loaded(
        "A symmetric lesion with a regular border.",
        width=128, height=128, num_inference_steps=2, max_sequence_length=SMALL.t5_length,
        output_type="np",
    ).images[0]  # fmt: skip
    assert image.shape == (128, 128, 3)
    assert np.isfinite(image).all()
    assert not list((tmp_path / "released").rglob("*.bin"))
    encoders, _, start = read_release(tmp_path / "released", SMALL)
    released = trained.encoders.clip.state_dict()
    assert all(torch.equal(t, released[k].float()) for k, t in encoders.clip.state_dict().items())
    again = flow.train_flow(
        dataclasses.replace(SMALL, flow_steps=0),
        RunFolder(tmp_path / "again"),
        encoders,
        trained.data,
        start=start,
    )
    torch.testing.assert_close(again.x_embedder.weight, start.x_embedder.weight)


def _copy_of(run: RunFolder, destination: Path) -> Path:
    shutil.copytree(run.root, destination, ignore=shutil.ignore_patterns("flow", "guidance"))
    return destination


def _stop(*_: object, **__: object) -> None:
    raise InterruptedError
