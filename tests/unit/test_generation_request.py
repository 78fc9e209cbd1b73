"""The request: what can be asked for, and one sentence for each thing that cannot."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from backend.abc.attributes import Colour, Label, LesionAttributes
from backend.abc.grammar import CaptionStyle
from backend.generation.errors import RequestError
from backend.generation.request import SEEDS, GenerationRequest, LoraUse, make_request

GOOD = {"caption": "A dark mole.", "seed": 7}
sides = st.integers(4, 128).map(lambda blocks: blocks * 16)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"caption": ""}, "The caption is empty"),
        ({"caption": " \x00\t\n "}, "The caption is empty"),
        ({"caption": "x" * 10_000}, "The caption has 10,000 characters"),
        ({"caption": None}, "The field caption is not valid"),
        ({"model": "  "}, "No model is chosen"),
        ({"count": 0}, "The number of images must be between 1 and 1,000, not 0"),
        ({"count": 1001}, "The number of images must be between 1 and 1,000"),
        ({"seed": -1}, "The seed must be between 0 and 4,294,967,295"),
        ({"seed": SEEDS}, "The seed must be between"),
        ({"seed": "seven"}, "The seed is not valid"),
        ({"steps": 101}, "The number of steps must be between 1 and 100"),
        ({"guidance_scale": 20.5}, "The guidance must be between 0 and 20"),
        ({"guidance_scale": float("nan")}, "The guidance must be between"),
        ({"guidance_scale": float("inf")}, "The guidance must be between"),
        ({"width": 100}, "The width must be a multiple of 16, not 100: choose 96 or 112"),
        ({"width": 70}, "choose 64 or 80"),
        ({"height": 2064}, "The height must be between 64 and 2,048"),
        ({"height": 0}, "The height must be between 64 and 2,048"),
        ({"max_sequence_length": 513}, "The text length in tokens must be between 8 and 512"),
        ({"loras": [{"name": " "}]}, "A LoRA without a name"),
        ({"loras": [{"name": "a", "weight": 2.5}]}, "must be between -2 and 2, not 2.5"),
        ({"loras": [{"name": "a", "weight": float("nan")}]}, "must be between -2 and 2"),
        ({"loras": [{"name": "a", "hash": "short"}]}, "must have 64 hexadecimal digits"),
        ({"loras": [{"name": "a"}, {"name": "a", "weight": 0}]}, "a is asked for twice"),
        ({"loras": [{"name": "a", "file": "b"}]}, "unknown field, loras 0 file"),
        ({"style": "poem"}, "The field style is not valid"),
        ({"scheduler": "ddim"}, "unknown field, scheduler"),
        ({"attributes": {"label": "malignant", "diagnosis": "nevus"}}, "A nevus is benign"),
    ],
)
def test_each_bad_value_gets_one_sentence(change: dict[str, object], sentence: str):
    with pytest.raises(RequestError) as caught:
        make_request(GOOD | change)
    assert sentence in str(caught.value)
    assert str(caught.value).endswith(".")


def test_all_bad_fields_are_named_at_once():
    with pytest.raises(RequestError) as caught:
        make_request({"caption": "", "seed": -1, "width": 1})
    assert str(caught.value).count(".") == 3


def test_an_image_without_caption_and_seed_is_no_request():
    with pytest.raises(RequestError, match=r"no caption.*no seed"):
        make_request({})


def test_control_characters_go_and_other_scripts_stay():
    request = make_request(GOOD | {"caption": "Ein\x07 dunkles\r\nMal, 黒い, أسود"})
    assert request.caption == "Ein dunkles Mal, 黒い, أسود"


@given(st.integers(0, SEEDS - 1), st.integers(0, 999))
def test_image_n_counts_the_seed_on_and_wraps(seed: int, index: int):
    batch = GenerationRequest(caption="A mole.", seed=seed, count=1000)
    alone = batch.per_image(index)
    assert alone.seed == (seed + index) % SEEDS
    assert alone.count == 1
    assert alone.per_image(0) == alone
    assert make_request(alone.model_dump(mode="json")) == alone


@given(
    caption=st.text(min_size=1, max_size=300),
    style=st.none() | st.sampled_from(CaptionStyle),
    colours=st.lists(st.sampled_from(Colour), max_size=4),
    label=st.none() | st.sampled_from(Label),
    seed=st.integers(0, SEEDS - 1),
    guidance=st.floats(0, 20),
    width=sides,
    height=sides,
    weights=st.lists(st.floats(-2, 2), max_size=3),
)
def test_json_brings_the_same_request_back(
    caption: str,
    style: CaptionStyle | None,
    colours: list[Colour],
    label: Label | None,
    seed: int,
    guidance: float,
    width: int,
    height: int,
    weights: list[float],
):
    loras = tuple(
        LoraUse(name=f"lora-{number}", weight=weight, hash=f"{number}" * 64)
        for number, weight in enumerate(weights)
    )
    try:
        request = GenerationRequest(
            caption=caption,
            style=style,
            attributes=LesionAttributes(colours=tuple(colours), label=label),
            seed=seed,
            guidance_scale=guidance,
            width=width,
            height=height,
            loras=loras,
        )
    except ValidationError as error:
        assert "The caption is empty" in str(error)
        return
    assert GenerationRequest.model_validate_json(request.model_dump_json()) == request


def test_a_request_stored_before_there_were_loras_still_reads():
    stored = GenerationRequest(caption="A mole.", seed=1).model_dump(mode="json")
    del stored["loras"]
    assert make_request(stored).loras == ()


def test_a_request_cannot_be_changed():
    with pytest.raises(ValidationError):
        GenerationRequest(caption="A mole.", seed=1).seed = 2
