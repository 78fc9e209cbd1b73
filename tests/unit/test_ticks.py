"""Axes have round numbers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.ticks import round_ticks


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0, 1, [0, 0.2, 0.4, 0.6, 0.8, 1]),
        (0.816, 0.894, [0.82, 0.84, 0.86, 0.88]),
        (-0.05, 0.32, [0, 0.1, 0.2, 0.3]),
        (0, 600, [0, 200, 400, 600]),
        (3, 3, [3]),
    ],
)
def test_ticks_are_round(low: float, high: float, expected: list[float]) -> None:
    assert round_ticks(low, high) == pytest.approx(expected)


@given(low=st.floats(-1e6, 1e6), span=st.floats(1e-3, 1e6))
def test_there_are_two_to_six_within_the_range(low: float, span: float) -> None:
    ticks = round_ticks(low, low + span)
    assert 2 <= len(ticks) <= 6
    assert low - 1e-6 * span <= ticks[0]
    assert ticks[-1] <= low + span * (1 + 1e-6)
