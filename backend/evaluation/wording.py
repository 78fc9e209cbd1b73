"""Figures in words, the same for command line, page and report."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from backend.evaluation.estimates import Estimate


def said(estimate: "Estimate") -> str:
    """A figure with its interval to three places."""
    if estimate.value is None:
        return "-"
    if estimate.low is None or estimate.high is None:
        return f"{estimate.value:.3f}"
    return f"{estimate.value:.3f} ({estimate.low:.3f} to {estimate.high:.3f})"


def p_words(value: float | None) -> str:
    """A p-value to three places."""
    if value is None:
        return "-"
    return "<0.001" if value < 0.001 else f"{value:.3f}"
