"""A sweep says exactly which cells it has, or in a sentence why it cannot be."""

import pytest

from backend.abc.attributes import Asymmetry, Border, Colour, ColourPattern, Label, LesionAttributes
from backend.abc.grammar import CaptionStyle
from backend.abc.parser import parse
from backend.generation.errors import RequestError
from backend.generation.sweeps.axes import NAMES, axis_kind
from backend.generation.sweeps.sweep import Sweep, cells, make_sweep

LESION = LesionAttributes(asymmetry=Asymmetry.ONE_AXIS, border=Border.REGULAR)
BASE = {"caption": "A mole.", "seed": 7, "attributes": LESION, "style": CaptionStyle.PLAIN}
BORDERS = {"name": "border", "values": ["regular", "irregular"]}
TEMPLATE = "A {red|black} lesion with {asymmetry} and a {border} border."


def sweep(**changes: object) -> Sweep:
    return make_sweep({"request": BASE, "across": BORDERS} | changes)


def test_cells_go_row_by_row_and_share_everything_else() -> None:
    made = cells(sweep(down={"name": "guidance", "values": [1, 3.5, "7"]}))
    assert [(cell.attributes.border, cell.guidance_scale) for cell in made] == [
        (border, guidance)
        for guidance in (1.0, 3.5, 7.0)
        for border in (Border.REGULAR, Border.IRREGULAR)
    ]
    assert {cell.seed for cell in made} == {7}
    assert made[0].caption == made[2].caption == made[4].caption
    for cell in made:
        assert parse(cell.caption).attributes.border is cell.attributes.border
        assert cell.template == "grammar, seed 7"


def test_a_template_keeps_every_other_word() -> None:
    first, second = cells(sweep(template=TEMPLATE))
    assert first.template == second.template == TEMPLATE
    assert first.caption.partition(" and a")[0] == second.caption.partition(" and a")[0]
    assert first.style is None


def test_seeds_and_steps_are_axes_of_a_caption_in_words_of_its_own() -> None:
    base = {"caption": "My own mole.", "seed": 7}
    made = cells(
        sweep(
            request=base,
            across={"name": "seed", "values": [1, 2]},
            down={"name": "steps", "values": [4, 8]},
        )
    )
    assert [(cell.seed, cell.steps) for cell in made] == [(1, 4), (2, 4), (1, 8), (2, 8)]
    assert {cell.caption for cell in made} == {"My own mole."}


def test_the_weight_of_a_lora_is_an_axis_that_leaves_the_others_as_they_are() -> None:
    base = BASE | {"loras": [{"name": "other", "weight": 0.4}, {"name": "mole", "hash": "a" * 64}]}
    made = cells(
        sweep(
            request=base,
            across={"name": "lora:mole", "values": ["0", 0.5]},
            down={"name": "lora:new-one", "values": [-1]},
        )
    )
    assert [
        [(use.name, use.weight, use.hash and use.hash[0]) for use in cell.loras] for cell in made
    ] == [
        [("other", 0.4, None), ("mole", weight, "a"), ("new-one", -1, None)] for weight in (0, 0.5)
    ]
    assert axis_kind("lora:mole").title == "Weight of LoRA mole"


def test_what_follows_from_an_attribute_follows() -> None:
    colours = {"name": "colours", "values": [["red"], ["black", "red", "white"]]}
    made = cells(sweep(across=colours))
    assert [cell.attributes.pattern for cell in made] == [
        ColourPattern.UNIFORM,
        ColourPattern.VARIEGATED,
    ]
    assert made[1].attributes.dominant_colour is Colour.BLACK
    benign = LESION.model_copy(update={"label": Label.BENIGN})
    types = {"name": "diagnosis", "values": ["nevus", "melanoma"]}
    made = cells(sweep(request=BASE | {"attributes": benign}, across=types))
    assert [cell.attributes.label for cell in made] == [Label.BENIGN, Label.MALIGNANT]


def test_a_sweep_comes_back_from_json() -> None:
    for name, value in (("skin_tone", 4), ("diameter_mm", 6.5), ("colours", ["red", "black"])):
        made = sweep(across={"name": name, "values": [value]})
        again = Sweep.model_validate_json(made.model_dump_json())
        assert again == made
        assert cells(again) == cells(made)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"across": {"name": "depth", "values": [1]}}, "A sweep has no axis depth"),
        ({"across": {"name": "border", "values": ["round"]}}, "'round' is no value for the border"),
        ({"across": {"name": "border", "values": []}}, "values of the sweep should"),
        ({"across": {"name": "border", "values": ["regular"] * 2}}, "has a value twice"),
        ({"across": {"name": "steps", "values": ["few"]}}, "'few' is no value for the steps"),
        ({"across": {"name": "steps", "values": [0]}}, "steps must be between 1 and 100"),
        ({"across": {"name": "seed", "values": [-1]}}, "The seed must be between"),
        ({"across": {"name": "lora:", "values": [1]}}, "or lora:NAME for the weight of a LoRA"),
        (
            {"across": {"name": "lora:a", "values": ["much"]}},
            "'much' is no value for the weight of LoRA a",
        ),
        ({"across": {"name": "lora:a", "values": [2.5]}}, "between -2 and 2, not 2.5"),
        ({"across": {"name": "lora:a", "values": ["nan"]}}, "between -2 and 2, not nan"),
        ({"down": BORDERS}, "Both axes are border"),
        ({"request": BASE | {"count": 2}}, "one image a cell"),
        ({"request": BASE | {"style": None}}, "words of its own, which do not follow the border"),
        ({"template": "A {asymmetry}"}, "does not name {border}"),
        ({"template": "A {border} border on {site}"}, "{site} at character 22, which is not set"),
        ({"template": "A {border"}, "is not closed"),
        ({"shape": 1}, "unknown field, shape"),
        (
            {
                "request": BASE | {"attributes": LesionAttributes(diagnosis="nevus")},
                "across": {"name": "label", "values": ["malignant"]},
            },
            "A nevus is benign",
        ),
        (
            {
                "request": BASE | {"attributes": LesionAttributes(colours=("red",))},
                "across": {"name": "pattern", "values": ["two_tone"]},
            },
            "The pattern follows",
        ),
        (
            {
                "across": {"name": "seed", "values": list(range(40))},
                "down": {"name": "guidance", "values": [place / 10 for place in range(40)]},
            },
            "1,600 cells",
        ),
    ],
)
def test_a_bad_sweep_gets_a_sentence(change: dict[str, object], sentence: str) -> None:
    with pytest.raises(RequestError) as caught:
        sweep(**change)
    assert sentence in str(caught.value)


def test_every_axis_has_a_title() -> None:
    assert {axis_kind(name).title for name in NAMES} >= {"Border", "Skin tone", "Guidance"}
