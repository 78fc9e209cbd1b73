"""A chart shows the counts it was given, told apart without colour, readable in light and dark."""

import pytest

from backend.abc.attributes import Label
from backend.corpus.statistics import FacetCounts
from studio.charts import OTHERS, STYLES, facet_figure

SURFACES = {"light": "#ffffff", "dark": "#182026"}
COUNTS = FacetCounts(
    facet="diagnosis",
    values=(
        ("nevus", {Label.BENIGN: 7}),
        ("melanoma", {Label.MALIGNANT: 4}),
        ("not said", {Label.BENIGN: 1, Label.MALIGNANT: 2}),
    ),
    others={Label.BENIGN: 3, Label.MALIGNANT: 0},
)


def luminance(colour: str) -> float:
    """WCAG 2.1, relative luminance."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(first: str, second: str) -> float:
    dark, light = sorted((luminance(first), luminance(second)))
    return (light + 0.05) / (dark + 0.05)


def test_every_count_is_a_bar_in_the_order_given() -> None:
    figure = facet_figure(COUNTS)
    bars = {bar.name: dict(zip(bar.y, bar.x, strict=True)) for bar in figure.data}
    assert bars["Benign"] == {"nevus": 7, "melanoma": 0, "not said": 1, OTHERS: 3}
    assert bars["Malignant"] == {"nevus": 0, "melanoma": 4, "not said": 2, OTHERS: 0}
    assert list(figure.data[0].y) == ["nevus", "melanoma", "not said", OTHERS]
    assert sum(map(sum, (bar.x for bar in figure.data))) == COUNTS.total == 17


def test_a_chart_without_a_rest_has_no_bar_for_it() -> None:
    rest = {Label.BENIGN: 0, Label.MALIGNANT: 0}
    figure = facet_figure(FacetCounts("label", COUNTS.values[:1], rest))
    assert list(figure.data[0].y) == ["nevus"]


@pytest.mark.parametrize("surface", SURFACES.values(), ids=SURFACES)
@pytest.mark.parametrize("label", Label)
def test_bars_stand_out_from_either_background(label: Label, surface: str) -> None:
    assert contrast(STYLES[label].colour, surface) >= 3.0


def test_labels_are_told_apart_without_colour() -> None:
    assert len({style.pattern for style in STYLES.values()}) == len(STYLES)
