"""Reviewing: the place on the page where assets/js/review builds its screens over /review/api."""

from studio.markup import html_block


def build_review() -> None:
    """An empty host; the script fills it when the tab is first seen."""
    html_block('<div id="review-host"></div>', elem_id="review", classes="df-panel")
