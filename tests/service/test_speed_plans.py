"""Which profile suits a device, from the sizes of FLUX.1-dev and the memory of real cards."""

from dataclasses import replace
from pathlib import Path

import pytest

from backend.generation.errors import GenerationError
from backend.generation.models import ModelEntry, usable_model
from backend.generation.profile import Profile
from backend.generation.request import GenerationRequest
from backend.generation.speed.plans import (
    EXACT,
    best_attention,
    choose_plan,
    make_plan,
    needed_bytes,
    profile_that_fits,
    resident_bytes,
    text_elements,
)
from backend.settings import Settings
from tests.flux_sizes import build_full_size

CARDS = {"H100": 85.0, "A6000": 51.0, "4090": 25.4, "4070": 12.6, "4060": 8.6}


@pytest.fixture(scope="module")
def entry(tmp_path_factory: pytest.TempPathFactory, tiny_flux: Path) -> ModelEntry:
    """FLUX.1-dev by its headers."""
    folder = build_full_size(tmp_path_factory.mktemp("models") / "full", tiny_flux)
    settings = Settings(workspace=folder.parent / "workspace", model_folders=(folder,))
    return usable_model(settings, "full")


def test_the_sizes_are_those_of_flux(entry: ModelEntry) -> None:
    transformer = resident_bytes(entry, make_plan(Profile.FAST, cuda=True), 2)
    assert 23.5e9 < transformer < 24.5e9
    assert 4.7e9 < text_elements(entry) < 5.0e9
    assert resident_bytes(entry, EXACT, 2) == transformer + 2 * text_elements(entry)


@pytest.mark.parametrize(
    ("card", "profile"),
    [
        ("H100", Profile.FAST),
        ("A6000", Profile.FAST),
        ("4090", Profile.CARD_24),
        ("4070", Profile.CARD_12),
        ("4060", Profile.CARD_8),
    ],
)
def test_a_card_gets_the_fastest_profile_that_fits_and_a_sentence_why(
    entry: ModelEntry, card: str, profile: Profile
) -> None:
    total = int(CARDS[card] * 1e9)
    choice = choose_plan(entry, None, cuda=True, device=card, total=total)
    assert choice.plan.profile is profile
    assert needed_bytes(entry, choice.plan, 2) <= total
    assert f"Profile {profile}, as {card} has" in choice.sentence
    assert choice.sentence.count(".") == 1


def test_the_profiles_of_smaller_cards_need_less(entry: ModelEntry) -> None:
    order = (Profile.FAST, Profile.CARD_24, Profile.CARD_12, Profile.CARD_8)
    needs = [needed_bytes(entry, make_plan(profile, cuda=True), 2) for profile in order]
    assert needs == sorted(needs, reverse=True)
    assert len(set(needs)) == len(needs)


def test_an_image_too_large_is_told_the_profile_that_fits(entry: ModelEntry) -> None:
    request = GenerationRequest(caption="A lesion.", seed=1, width=1024, height=1024)
    fast = make_plan(Profile.FAST, cuda=True)
    found = {
        card: profile_that_fits(entry, request, fast, int(size * 1e9))
        for card, size in CARDS.items()
    }
    assert found["4090"] is Profile.CARD_24
    assert found["4070"] is Profile.CARD_12
    assert found["4060"] is Profile.CARD_8
    huge = request.model_copy(update={"width": 2048, "height": 2048})
    assert profile_that_fits(entry, huge, fast, int(CARDS["4060"] * 1e9)) is None
    assert profile_that_fits(entry, request, EXACT, int(CARDS["A6000"] * 1e9)) is Profile.FAST


def test_a_card_that_is_too_small_gets_the_leanest(entry: ModelEntry) -> None:
    choice = choose_plan(entry, None, cuda=True, device="old", total=4 * 10**9)
    assert choice.plan.profile is Profile.CARD_8


def test_the_cpu_is_exact_unless_another_profile_is_asked_for(entry: ModelEntry) -> None:
    choice = choose_plan(entry, None, cuda=False, device="cpu", total=0)
    assert choice.plan == EXACT
    assert "made on the CPU" in choice.sentence
    asked = choose_plan(entry, Profile.DRAFT, cuda=False, device="cpu", total=0)
    assert asked.plan.profile is Profile.DRAFT
    assert "as asked for" in asked.sentence


@pytest.mark.parametrize("profile", [Profile.CARD_24, Profile.CARD_12, Profile.CARD_8])
def test_profiles_of_cards_are_refused_without_a_card(entry: ModelEntry, profile: Profile) -> None:
    with pytest.raises(GenerationError, match="choose exact, fast or draft"):
        choose_plan(entry, profile, cuda=False, device="cpu", total=0)


def test_models_of_another_kind_are_exact(entry: ModelEntry) -> None:
    other = replace(entry, family="sd1")  # type: ignore[arg-type]
    choice = choose_plan(other, None, cuda=True, device="H100", total=85 * 10**9)
    assert choice.plan == EXACT
    assert "Stable Diffusion" in choice.sentence
    with pytest.raises(GenerationError, match="The profile fast is for FLUX models"):
        choose_plan(other, Profile.FAST, cuda=True, device="H100", total=85 * 10**9)


def test_only_exact_changes_nothing() -> None:
    changed = {profile: make_plan(profile, cuda=True).accelerations for profile in Profile}
    assert [profile for profile, names in changed.items() if not names] == [Profile.EXACT]
    assert "regional compile" in changed[Profile.FAST]
    assert "first-block cache 0.1" in changed[Profile.DRAFT]
    assert "float8 weights" in changed[Profile.CARD_8]


def test_attention_is_never_one_that_is_not_installed_here() -> None:
    from importlib.util import find_spec

    from diffusers.models.attention_dispatch import AttentionBackendName

    known = {backend.value for backend in AttentionBackendName}
    older, newer = best_attention((8, 0)), best_attention((9, 0))
    assert {older, newer} <= known
    if find_spec("flash_attn") is None and find_spec("flash_attn_interface") is None:
        assert (older, newer) == ("native", "_native_cudnn")
