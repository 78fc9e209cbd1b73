"""The panel of captions as it reads, starts, asks, draws and compares, without a browser."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr
import pytest
from gradio.context import LocalContext

from backend.accounts import AccountError, create_account
from backend.captioning.comparing import DIFFERENCES, REPORT, read_comparison, read_differences
from backend.captioning.errors import CaptioningError
from backend.captioning.prompts import LABEL_FREE, PAPER
from backend.captioning.running import KIND
from backend.captioning.task import OPENAI, TRANSFORMERS, CaptionTask, Decoding
from backend.corpus.queries import iterate_corpus
from backend.errors import DermaFluxError
from backend.files import FileError
from backend.jobs.processes import this_process
from backend.jobs.queue import JobError, JobView, claim_next, get_job, list_jobs
from backend.jobs.states import JobState
from backend.jobs.worker import Worker
from backend.settings import Settings
from backend.store.database import Database
from backend.store.tables import Role
from studio.actions import ActionError, PageAction
from studio.context import StudioContext
from studio.tabs import captions_compared
from studio.tabs.captions_panel import CaptionsPanel
from studio.tabs.corpus_captions import act, build_captions, send_images, start_captions
from tests.service.corpus_pictures import caption, fill_corpus
from tests.tiny_captioners import build_tiny_qwen

Values = dict[Any, Any]
URL = "http://127.0.0.1:11434/v1"
OUTSIDE = "https://8.8.8.8/v1"
IMAGES = 6


@dataclass(frozen=True)
class Page:
    """The panel and what its controls hold."""

    studio: StudioContext
    panel: CaptionsPanel
    values: Values

    def set(self, **chosen: object) -> None:
        """Fill fields of the form in."""
        self.values.update({getattr(self.panel.form, one): what for one, what in chosen.items()})

    def take(self, drawn: Values) -> Values:
        """What was drawn, kept as the page keeps it: changes of a control may carry a value."""
        for one, what in drawn.items():
            if isinstance(what, gr.components.Component):
                if "value" in what.constructor_args:
                    self.values[one] = what.constructor_args["value"]
            elif isinstance(one, gr.components.Component):
                self.values[one] = what
        return drawn

    def look(self) -> Values:
        """Open the part."""
        return self.take(self.panel.look(self.studio, self.values))

    def start(self) -> Values:
        """Press Start captioning."""
        return self.take(start_captions(self.panel, self.studio, self.values))

    def press(self, action: str, value: str = "", *, on: bool = False) -> Values:
        """Press a button of our own HTML."""
        pressed = PageAction(action=action, value=value, on=on, nonce=1)
        return self.take(act(self.panel, self.studio, self.values, pressed))

    def jobs(self) -> list[JobView]:
        """The captioning jobs, newest first."""
        return list_jobs(self.studio.database, kinds=(KIND,))

    def work(self) -> JobView:
        """Do the next job."""
        job = claim_next(self.studio.database, this_process())
        assert job is not None
        Worker(self.studio.settings, self.studio.database).run_job(job)
        return get_job(self.studio.database, job.id)


@pytest.fixture
def page(settings: Settings, database: Database) -> Page:
    """The panel over an empty corpus."""
    studio = StudioContext(settings, database)
    with gr.Blocks():
        panel = build_captions(studio)
    components = {*panel.inputs, *panel.form.components}
    return Page(studio, panel, {one: one.value for one in components})


@pytest.fixture
def corpus(settings: Settings, database: Database, tmp_path: Path) -> str:
    """A dataset of a few phantoms, by name."""
    fill_corpus(settings, database, tmp_path / "set", IMAGES, name="phantoms")
    return "phantoms"


@pytest.fixture
def two_versions(settings: Settings, database: Database, corpus: str, tmp_path: Path) -> Path:
    """Two files of captions, taken, which differ on every image."""
    assert corpus
    for name, border in (("first", "regular"), ("second", "irregular")):
        said = f"The mole is symmetric, with {'an' if border[0] == 'i' else 'a'} {border} border."
        file = tmp_path / f"{name}.json"
        captions = {f"{number:03d}.png": said for number in range(IMAGES - 1)}
        captions["001.png"] = f"{said} It suggests malignancy."
        file.write_text(json.dumps(captions))
        assert caption(settings, database, captioner="archive", archive=file).error is None
    return tmp_path


def test_an_empty_corpus_is_said_with_the_way_to_import_and_nothing_starts(page: Page) -> None:
    drawn = page.look()
    assert "Import a dataset first" in drawn[page.panel.nothing]
    assert 'data-goes="corpus-import"' in drawn[page.panel.nothing]
    assert not drawn[page.panel.starting].visible
    with pytest.raises(CaptioningError, match="no images to caption: import a dataset first"):
        page.start()
    assert not page.jobs()


@pytest.mark.usefixtures("corpus")
def test_the_measured_captioner_is_started_watched_and_seen_as_a_version(page: Page) -> None:
    drawn = page.look()
    assert drawn[page.panel.nothing] == ""
    choices = drawn[page.panel.form.images.choice].constructor_args["choices"]
    assert choices[:2] == [
        (f"The whole corpus ({IMAGES})", ""),
        (f"phantoms ({IMAGES})", "dataset:phantoms"),
    ]
    page.set(captioner="measured")
    page.values[page.panel.form.images.choice] = "dataset:phantoms"
    drawn = page.start()
    assert drawn[page.panel.timer].active
    assert 'data-state="queued"' in drawn[page.panel.runs]
    assert "Cancel" in drawn[page.panel.runs]
    (job,) = page.jobs()
    assert CaptionTask.model_validate(job.payload) == CaptionTask(dataset="phantoms")
    assert page.work().state is JobState.DONE
    drawn = page.take(page.panel.follow(page.studio, page.values))
    assert not drawn[page.panel.timer].active
    assert "Measured" in drawn[page.panel.versions]
    assert 'data-is="Unsure">1<' in drawn[page.panel.versions]
    assert page.panel.versions not in page.panel.follow(page.studio, page.values)


@pytest.mark.usefixtures("corpus")
@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"captioner": "archive"}, "No caption file is given: write its path"),
        ({"captioner": "archive", "archive": "/nowhere/x.json"}, "There is no caption file /nowh"),
        ({"captioner": TRANSFORMERS}, "Llama 3.2 11B Vision Instruct is not here"),
        ({"captioner": TRANSFORMERS, "model": "/nowhere"}, "no vision-language model /nowhere"),
        (
            {"captioner": TRANSFORMERS, "prompt": "own", "own_prompt": "  "},
            "The prompt is empty: write what the captioner is to do",
        ),
        (
            {"captioner": TRANSFORMERS, "prompt": "own", "own_prompt": "A [colour] mole"},
            r"The prompt has \[colour\]",
        ),
        ({"captioner": OPENAI}, "No server is given: write its base URL"),
        ({"captioner": OPENAI, "base_url": URL}, "No model is given: write what the server calls"),
        ({"captioner": OPENAI, "base_url": "11434", "server_model": "m"}, "11434 is no address"),
        (
            {"captioner": OPENAI, "base_url": "http://user:word@127.0.0.1/v1", "server_model": "m"},
            "holds a user or password",
        ),
        (
            {"captioner": OPENAI, "base_url": "http://8.8.8.8/v1", "server_model": "m"},
            "http shows the images to everybody on the way",
        ),
        (
            {"captioner": OPENAI, "base_url": URL, "server_model": "m", "concurrency": 65},
            "The number of requests at once has to be less than or equal to 64: it is 65.",
        ),
        (
            {"captioner": OPENAI, "base_url": URL, "server_model": "m", "max_new_tokens": 0},
            "The longest answer has to be greater than or equal to 1: it is 0.",
        ),
        (
            {"captioner": OPENAI, "base_url": URL, "server_model": "m", "temperature": None},
            "The temperature is missing: write a number.",
        ),
        ({"captioner": "oracle"}, "There is no captioner called oracle"),
    ],
)
def test_bad_input_is_refused_in_one_sentence_and_nothing_starts(
    page: Page, fields: dict[str, object], sentence: str
) -> None:
    page.set(**fields)
    with pytest.raises(DermaFluxError, match=sentence) as caught:
        page.start()
    assert "--" not in str(caught.value)
    assert not page.jobs()


@pytest.mark.usefixtures("corpus")
def test_a_subset_that_is_gone_is_said_and_stays_offered(page: Page) -> None:
    choice = page.panel.form.images.choice
    page.values[choice] = "subset:gone"
    with pytest.raises(DermaFluxError, match="no subset 'gone'"):
        page.start()
    assert ("Subset gone (0)", "subset:gone") in page.look()[choice].constructor_args["choices"]


@pytest.mark.usefixtures("corpus")
def test_no_image_leaves_the_building_without_a_yes_to_the_server_that_was_named(
    page: Page,
) -> None:
    page.set(captioner=OPENAI, base_url=f" {OUTSIDE} ", server_model="seer", prompt="label-free")
    asked = page.start()[page.panel.question]
    assert "8.8.8.8 (8.8.8.8) is not in the local network" in asked
    assert f"{IMAGES} images of the corpus would leave the building" in asked
    assert "data-confirm=" in asked
    assert not page.jobs()
    with pytest.raises(CaptioningError, match="images would leave the building"):
        page.press("send", OUTSIDE, on=False)
    with pytest.raises(CaptioningError, match="The server was changed meanwhile"):
        page.press("send", "https://9.9.9.9/v1", on=True)
    assert not page.jobs()
    drawn = page.press("send", OUTSIDE, on=True)
    assert drawn[page.panel.question] == ""
    (job,) = page.jobs()
    task = CaptionTask.model_validate(job.payload)
    assert task.server is not None
    assert task.server.images_may_leave
    assert task.server.key_file is task.server.key_variable is None
    assert (task.model, task.prompt) == ("seer", LABEL_FREE)


@pytest.mark.usefixtures("corpus")
def test_a_server_of_the_local_network_is_asked_without_a_question(page: Page) -> None:
    page.set(captioner=OPENAI, base_url=URL, server_model="seer", concurrency=2, temperature=0.5)
    assert page.start()[page.panel.question] == ""
    task = CaptionTask.model_validate(page.jobs()[0].payload)
    assert task.server is not None
    assert (task.server.concurrency, task.server.images_may_leave) == (2, False)
    assert task.prompt == PAPER
    assert task.decoding == Decoding(temperature=0.5)
    job_id = page.jobs()[0].id
    assert "Retry" in page.press("cancel", job_id)[page.panel.runs]
    assert get_job(page.studio.database, job_id).state is JobState.CANCELLED


@pytest.mark.usefixtures("corpus")
def test_a_model_that_is_here_is_offered_and_chosen_first(page: Page) -> None:
    form = page.panel.form
    assert "No vision-language model is on this machine yet" in page.look()[form.models]
    build_tiny_qwen(page.studio.settings.models_dir / "tiny-seer")
    drawn = page.look()
    assert drawn[form.models] == ""
    assert page.values[form.model] == "tiny-seer"
    page.set(captioner=TRANSFORMERS, batch=2, precision="float32")
    page.start()
    task = CaptionTask.model_validate(page.jobs()[0].payload)
    assert (task.model, task.batch, task.precision) == ("tiny-seer", 2, "float32")


def test_parts_follow_the_captioner_and_a_prompt_that_names_the_label_is_warned_of(
    page: Page,
) -> None:
    form = page.panel.form
    shown = form.show_captioner(OPENAI)
    assert shown[form.server_part].visible
    assert not shown[form.model_part].visible
    assert not shown[form.only_model].visible
    assert "may give it away" in form.show_prompt("paper", None)[form.asked]
    assert "df-message" not in form.show_prompt("label-free", None)[form.asked]
    own = form.show_prompt("own", "Look at this [label] <b>mole</b>.")
    assert own[form.own_prompt].visible
    assert "may give it away" in own[form.asked]


def test_versions_show_their_prompt_what_was_found_and_the_way_to_review(
    page: Page, two_versions: Path
) -> None:
    assert two_versions.is_dir()
    drawn = page.look()[page.panel.versions]
    assert drawn.count("<tr data-version=") == 2
    assert "Gives the label away: 1" in drawn
    assert "It follows no prompt." in drawn
    assert drawn.count('data-goes="review"') == 2
    assert "&quot;captioner&quot;: &quot;archive&quot;" in drawn


def test_two_versions_are_compared_as_a_job_paged_and_taken_as_csv(
    page: Page, two_versions: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert two_versions.is_dir()
    monkeypatch.setattr(captions_compared, "PAGE_SIZE", 2)
    compared = page.panel.compared
    drawn = page.look()
    assert drawn[compared.choices].visible
    assert page.values[compared.first] != page.values[compared.second]
    page.values[compared.images.choice] = "dataset:phantoms"
    drawn = page.take(compared.submit(page.studio, page.values, "rita"))
    assert "Cancel" in drawn[compared.comparisons]
    assert page.values[compared.opened] is not None
    job = page.work()
    assert (job.state, job.owner, job.done) == (JobState.DONE, "rita", IMAGES - 1)
    drawn = page.take(page.panel.follow(page.studio, page.values))
    report = drawn[compared.report]
    assert f"{IMAGES - 1} of {IMAGES} images are described by both" in report
    assert '<td class="df-number">0.00 (0.00 to 0.00)</td>' in report
    assert "Gives the label away" in report
    assert drawn[compared.differences].count("<article") == 2
    assert "Border: A regular, B irregular" in drawn[compared.differences]
    assert drawn[compared.place] == f"1 to 2 of {IMAGES - 1} images"
    last = page.take(compared.draw(page.studio, page.values, page=99))
    assert last[compared.place] == f"5 to 5 of {IMAGES - 1} images"
    assert not last[compared.later].interactive
    assert compared.report not in page.panel.follow(page.studio, page.values)
    offered = compared.table(page.studio, job.id, "disagreements.csv")
    assert f"The table has {IMAGES - 1} lines" in offered
    (file,) = page.studio.settings.exports_dir.glob("caption-disagreements-*.csv")
    assert "It suggests malignancy." in file.read_text()


def test_a_comparison_that_is_damaged_or_gone_is_said(page: Page, two_versions: Path) -> None:
    assert two_versions.is_dir()
    compared = page.panel.compared
    page.look()
    page.take(compared.submit(page.studio, page.values, None))
    job = page.work()
    folder = page.studio.settings.jobs_dir / job.id
    assert len(read_differences(folder, limit=3, offset=1)) == 3
    (folder / DIFFERENCES).write_text("{}\n")
    drawn = page.press("open_comparison", job.id)
    assert "compare the two captioners once more" in drawn[compared.report]
    assert not drawn[compared.results].visible
    (folder / REPORT).unlink()
    with pytest.raises(FileError):
        read_comparison(folder)
    assert page.press("open_comparison", job.id)[compared.report] == ""
    with pytest.raises(JobError):
        page.press("open_comparison", "../elsewhere")
    page.values[compared.second] = page.values[compared.first]
    with pytest.raises(CaptioningError, match="Both are the same captions"):
        compared.submit(page.studio, page.values, None)
    with pytest.raises(ActionError, match="does not know 'explode'"):
        page.press("explode")


@pytest.mark.usefixtures("corpus")
def test_a_reviewer_captions_compares_and_sends_nothing(page: Page) -> None:
    create_account(page.studio.database, "viktor", "a long enough password", Role.REVIEWER)
    pressed = PageAction(action="send", value=OUTSIDE, on=True, nonce=1)
    token = LocalContext.request.set(gr.Request(username="viktor"))
    try:
        with pytest.raises(AccountError, match="may not caption images or compare captions"):
            page.start()
        with pytest.raises(AccountError, match="may not caption images"):
            send_images(page.panel, page.studio, page.values, pressed)
        with pytest.raises(AccountError, match="may not caption images"):
            page.panel.compared.submit(page.studio, page.values, "viktor")
    finally:
        LocalContext.request.reset(token)
    assert not page.jobs()


def test_texts_of_captions_are_text_and_never_markup(
    page: Page, settings: Settings, database: Database, corpus: str, tmp_path: Path
) -> None:
    assert corpus
    name = next(iterate_corpus(database, settings)).source_id
    for number, said in enumerate(("regular", "irregular")):
        file = tmp_path / f"<b>{number}.json"
        text = f"<img src=x onerror=alert(1)> The border is {said}."
        file.write_text(json.dumps({name: text}))
        caption(settings, database, captioner="archive", archive=file)
    page.look()
    page.take(page.panel.compared.submit(page.studio, page.values, None))
    page.work()
    drawn = page.look()
    for shown in (page.panel.versions, page.panel.compared.report, page.panel.compared.differences):
        assert "<b>" not in drawn[shown]
        assert "<img src=x" not in drawn[shown]
    assert "&lt;img src=x" in drawn[page.panel.compared.differences]
