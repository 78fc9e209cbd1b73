"""What the page writes about jobs, images and captions, without a browser."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from enum import Enum
from pathlib import Path

import pytest

from backend.abc.attributes import (
    Asymmetry,
    Border,
    Colour,
    ColourPattern,
    Diagnosis,
    Edge,
    Label,
    LesionAttributes,
    Modality,
    Site,
    SkinTone,
)
from backend.abc.grammar import CaptionStyle
from backend.abc.parser import parse
from backend.jobs.queue import JobView
from backend.jobs.states import JobState
from studio.markup import button, file_url, one_line
from studio.tabs.compose_caption import FIRST_LESION, Draft, first_draft
from studio.tabs.compose_view import marked
from studio.tabs.gallery_view import agreement
from studio.tabs.generate_progress import RunView, duration, progress_text, runs_html
from studio.tabs.jobs_view import jobs_table
from studio.wording import NAMES, name_of

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
NAMED = (
    Asymmetry,
    Border,
    Edge,
    Colour,
    ColourPattern,
    Label,
    Diagnosis,
    Modality,
    Site,
    SkinTone,
    CaptionStyle,
    JobState,
)


def test_every_value_has_a_name_of_its_own() -> None:
    values: list[Enum] = [value for kind in NAMED for value in kind]
    assert len(NAMES) == len(values)
    assert all(name_of(value) for value in values)


def test_the_first_caption_says_what_the_controls_show() -> None:
    draft = first_draft()
    assert draft.attributes == FIRST_LESION
    assert parse(draft.caption).attributes == FIRST_LESION


@pytest.mark.parametrize(
    ("style", "stated"),
    [
        (CaptionStyle.PLAIN, FIRST_LESION.model_copy(update={"label": None, "diagnosis": None})),
        (CaptionStyle.LABEL_ONLY, LesionAttributes(label=Label.BENIGN)),
    ],
)
def test_a_request_states_only_what_its_caption_says(
    style: CaptionStyle, stated: LesionAttributes
) -> None:
    draft = Draft.write(FIRST_LESION, style, seed=1)
    assert draft.stated() == stated
    assert parse(draft.caption).attributes == stated


def test_marked_words_carry_their_letter_and_foreign_html_stays_text() -> None:
    html = marked('An asymmetric <b>"mole"</b> with a jagged border, black.')
    assert "<b>" not in html
    for letter, words in (("a", "asymmetric"), ("b", "jagged"), ("c", "black")):
        start = html.index(f'<mark class="df-mark-{letter}">')
        assert words in html[start : html.index("</mark>", start)]


def test_agreement_counts_colours_as_a_set_and_skin_tone_within_one_type() -> None:
    asked = LesionAttributes(
        asymmetry=Asymmetry.SYMMETRIC,
        colours=(Colour.RED, Colour.BLACK),
        skin_tone=SkinTone.III,
    )
    measured = LesionAttributes(
        asymmetry=Asymmetry.ONE_AXIS,
        border=Border.REGULAR,
        colours=(Colour.BLACK, Colour.RED),
        skin_tone=SkinTone.IV,
    )
    assert agreement(asked, measured) == (2, 3)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.2, "1 s"), (59.4, "59 s"), (59.6, "1 min 0 s"), (119.7, "2 min 0 s"), (7_265, "2 h 1 min")],
)
def test_durations_are_in_words_and_never_sixty_seconds(seconds: float, words: str) -> None:
    assert duration(seconds) == words


def test_progress_says_what_how_fast_and_how_long() -> None:
    running = replace(
        _job(), state=JobState.RUNNING, message="image 2 of 4, step 7 of 20", rate=8.04, eta_s=71.0
    )
    assert progress_text(running) == (
        "Image 2 of 4, step 7 of 20 · 8.0 steps per second · 1 min 11 s left"
    )
    stopping = replace(running, cancel_requested=True)
    assert progress_text(stopping) == "Stopping at the next step"
    assert progress_text(_job(), 1) == "Waiting: next in the queue"
    assert progress_text(_job(), 12) == "Waiting: 12th in the queue"
    assert progress_text(_job(), 22) == "Waiting: 22nd in the queue"
    failed = replace(_job(), state=JobState.FAILED, error="The disk is full.")
    assert progress_text(failed) == "The disk is full."
    done = replace(
        _job(), state=JobState.DONE, started_at=NOON, finished_at=NOON + timedelta(seconds=6)
    )
    assert progress_text(done) == "Finished in 6 s"


def test_a_run_shows_its_previews_and_at_most_eight_tiles(tmp_path: Path) -> None:
    (tmp_path / "preview-50.png").write_bytes(b"small preview")
    job = replace(_job(), state=JobState.RUNNING, done=50, total=100)
    run = RunView(
        job=job, count=100, finished=set(range(50)), images=(), folder=tmp_path, position=None
    )
    html = runs_html([run])
    assert html.count('<li class="df-tile') == 8
    assert "and 92 more" in html
    assert "data:image/png;base64," in html
    assert 'aria-valuenow="50"' in html


def test_a_title_with_html_stays_text_in_every_table() -> None:
    job = replace(_job(), title='<img src=x onerror="alert(1)">', owner="<b>")
    assert "<img" not in jobs_table([job], {}, NOON)
    assert "<b>" not in jobs_table([job], {}, NOON)


def test_buttons_and_addresses_are_escaped() -> None:
    pressed = button("Go", bridge="b", action="go", value='"><script>', title='a "b"')
    assert "<script>" not in pressed
    assert 'aria-label="a &quot;b&quot;"' in pressed
    assert file_url(Path("/w s/ä#1.png"), "a b") == "gradio_api/file=/w%20s/%C3%A4%231.png?v=a%20b"


def test_html_is_one_line_so_that_markdown_leaves_it_alone() -> None:
    assert one_line("<p>\n    a\n\n    b\n</p>") == "<p> a b </p>"


def _job() -> JobView:
    return JobView(
        id="01TEST",
        kind="generate",
        title="4 images by starter, 128 x 128",
        payload={"count": 4},
        state=JobState.QUEUED,
        attempt=1,
        created_at=NOON,
        queued_at=NOON,
        started_at=None,
        finished_at=None,
        updated_at=NOON,
        owner=None,
        worker_host=None,
        worker_pid=None,
        worker_started=None,
        done=0,
        total=80,
        message="",
        rate=None,
        eta_s=None,
        error=None,
        cancel_requested=False,
    )
