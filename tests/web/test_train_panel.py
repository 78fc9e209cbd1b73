"""The Train tab as it reads and draws, without a browser."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr
import pytest

from backend.corpus.catalogue import image_id
from backend.finetuning.config import Targets
from backend.finetuning.errors import FinetuningError
from backend.finetuning.metrics import Curve, measure_run
from backend.finetuning.run_folder import RunFolder
from backend.finetuning.runs import compare_runs, get_run
from backend.review.caption_sets import Entry, add_version
from backend.review.people import Actor
from backend.review.states import Action, Origin
from backend.settings import Settings, prepare_workspace
from backend.store.database import open_database
from studio.actions import ActionError, PageAction
from studio.charts import curves_figure, loss_figure
from studio.context import StudioContext
from studio.tabs.train import TrainTab, act_on_run, build_train
from studio.tabs.train_view import (
    NO_CAPTIONS,
    NO_RUNS,
    comparison_html,
    controls_html,
    figures_html,
    run_html,
)
from tests.service.reviewing import add_images
from tests.training_runs import a_run, add_lines, step_line, trained

Values = dict[Any, Any]
IMAGES = 6


@pytest.fixture
def studio(tmp_path: Path) -> Iterator[StudioContext]:
    """A workspace without captions or runs."""
    settings = Settings(workspace=tmp_path / "workspace")
    prepare_workspace(settings)
    database = open_database(settings)
    yield StudioContext(settings, database)
    database.close()


@pytest.fixture
def tab(studio: StudioContext) -> TrainTab:
    """The tab."""
    with gr.Blocks():
        return build_train(studio)


def shown(tab: TrainTab) -> Values:
    """What the tab holds when the page is opened."""
    components = {*tab.watched, *tab.form.components, tab.planned, tab.form.preset}
    return {component: component.value for component in components}


def add_caption_set(studio: StudioContext) -> None:
    """Six pairs and a seventh whose image is gone; two edited, one imported."""
    add_images(studio.database, IMAGES)
    origins = [*[Origin.EDITED] * 2, Origin.IMPORTED, *[Origin.APPROVED] * 4]
    images = [*(image_id("set", f"{number:05d}") for number in range(IMAGES)), "gone"]
    entries = [
        Entry(image, "set", f"{number}", "A mole.", origin)
        for number, (image, origin) in enumerate(zip(images, origins, strict=True))
    ]
    add_version(studio.database, Actor("anna"), "paper", entries, action=Action.VERSION)


def filled(tab: TrainTab, **changes: Any) -> Values:
    """The form with a caption set and a base; `changes` by the names of settings."""
    values = shown(tab) | {tab.form.caption_set: "paper", tab.form.base: "starter"}
    return values | {tab.form.knobs[name.replace("__", ".")]: one for name, one in changes.items()}


def test_without_captions_or_runs_the_page_says_where_to_go(
    tab: TrainTab, studio: StudioContext
) -> None:
    drawn = tab.look(studio, shown(tab))
    assert drawn[tab.form.reviewed] == NO_CAPTIONS
    assert drawn[tab.runs] == NO_RUNS
    assert not drawn[tab.timer].active


def test_the_review_of_the_captions_is_counted_by_label(
    tab: TrainTab, studio: StudioContext
) -> None:
    add_caption_set(studio)
    drawn = tab.look(studio, shown(tab))
    html = drawn[tab.form.reviewed]
    assert 'data-pairs="6"' in html
    assert "1 have no image in the corpus" in html
    assert drawn[tab.form.caption_set].value == "paper"


def test_the_first_preset_is_a_run_that_can_be_planned(tab: TrainTab) -> None:
    config = tab.form.read(filled(tab))
    assert (config.resolutions, config.lora.targets) == ((128,), Targets.ALL_LINEAR_LAYERS)
    assert config.t5_length is None
    assert config.data.version is None


def test_a_preset_fills_the_form_and_says_what_it_needs(
    tab: TrainTab, studio: StudioContext
) -> None:
    values = filled(tab)
    update = tab.form.fill_preset(studio, values, "24gb")
    assert "FLUX.1-dev is not here" in update[tab.form.about]
    assert tab.form.base not in update
    config = tab.form.read({**values, **update})
    assert (config.lora.rank, config.precision.value, config.t5_length) == (32, "nf4", 128)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"resolutions": []}, "Resolutions: choose at least one"),
        ({"batch": None}, "Batch: it needs a number"),
        ({"batch": 0}, "Batch: input should be greater than or equal to 1"),
        ({"batch": 1.5}, "Batch: "),
        ({"learning_rate": -1}, "Learning rate: "),
        ({"lora__rank": 100_000}, "Rank: "),
        ({"lora__targets": "everything"}, "Layers: "),
        ({"precision": "fp16"}, "The base is held in: "),
        ({"title": "x" * 300}, "Title: "),
        ({"data__validation_share": 0.9}, "Held out: "),
        ({"ema_decay": float("nan")}, "Moving average: "),
    ],
)
def test_a_setting_that_cannot_be_used_is_named(tab: TrainTab, changes: Values, said: str) -> None:
    with pytest.raises(FinetuningError, match=said):
        tab.form.read(filled(tab, **changes))


def test_captions_and_a_base_must_be_chosen(tab: TrainTab) -> None:
    values = filled(tab)
    for missing, said in ((tab.form.caption_set, "caption set"), (tab.form.base, "base model")):
        with pytest.raises(FinetuningError, match=f"No {said} is chosen"):
            tab.form.read({**values, missing: ""})


def test_settings_of_a_run_come_back_into_the_form(tab: TrainTab, studio: StudioContext) -> None:
    add_caption_set(studio)
    run = a_run(studio.settings, seed=5)
    action = PageAction(action="settings", value=run.path.name, nonce=1)
    update = act_on_run(tab, studio, shown(tab), action)
    assert update[tab.form.knobs["seed"]] == 5
    assert update[tab.form.knobs["steps"]] == 40


def test_a_tick_leaves_charts_and_notes_alone_until_something_is_new(
    tab: TrainTab, studio: StudioContext
) -> None:
    run = a_run(studio.settings)
    trained(run, 20)
    values = shown(tab)
    drawn = tab.look(studio, values)
    assert drawn[tab.opened] == run.path.name
    assert drawn[tab.open_run.loss].visible
    assert "Sample 1 of step 20" in drawn[tab.open_run.samples]
    values |= {tab.opened: run.path.name, tab.open_run.seen: drawn[tab.open_run.seen]}
    values |= {tab.compared.seen: drawn[tab.compared.seen]}
    again = tab.follow(studio, values)
    assert tab.open_run.loss not in again
    assert tab.open_run.notes not in again
    add_lines(run, [step_line(step) for step in range(21, 40)])
    grown = tab.follow(studio, values)
    assert tab.open_run.loss in grown
    assert tab.open_run.notes not in grown


def test_two_ticked_runs_are_compared(tab: TrainTab, studio: StudioContext) -> None:
    names = [f"2026010{day}-a" for day in (1, 2)]
    for name, rate in zip(names, (0.1, 0.2), strict=True):
        trained(a_run(studio.settings, name, learning_rate=rate), 10)
    values = shown(tab)
    for name in names:
        update = act_on_run(tab, studio, values, _action("pick", name, on=True))
        values |= {tab.picked: update[tab.picked]}
    assert update[tab.compared.part].visible
    assert "Learning rate" in update[tab.compared.table]
    update = act_on_run(tab, studio, values, _action("pick", names[0]))
    assert update[tab.picked] == [names[1]]


def test_what_the_page_does_not_know_is_refused(tab: TrainTab, studio: StudioContext) -> None:
    run = a_run(studio.settings)
    with pytest.raises(ActionError, match="Train does not know 'explode'"):
        act_on_run(tab, studio, shown(tab), _action("explode", run.path.name))
    with pytest.raises(FinetuningError, match="no training run"):
        act_on_run(tab, studio, shown(tab), _action("remove", "../../etc"))


def test_words_of_people_are_escaped(tab: TrainTab, studio: StudioContext) -> None:
    bad = "<script>alert(1)</script>"
    first = a_run(studio.settings, "20260101-a", title=bad)
    second = a_run(studio.settings, "20260102-b", title=bad, base=bad)
    trained(first, 10)
    view = get_run(studio.database, studio.settings, first.path.name)
    compared = compare_runs(studio.database, studio.settings, [first.path.name, second.path.name])
    drawn = tab.look(studio, shown(tab))
    for html in (
        run_html(view),
        controls_html(view, bad),
        comparison_html(compared),
        drawn[tab.runs],
    ):
        assert "<script" not in html


def test_figures_of_now_are_shown_and_unknown_ones_left_out(studio: StudioContext) -> None:
    run = a_run(studio.settings)
    trained(run, 10)
    html = figures_html(_view(studio, run), measure_run(run))
    assert "forward and backward 70%" in html
    assert "Peak memory" not in html


def test_charts_tell_lines_apart_without_colour() -> None:
    curves = {f"{number}": Curve((1, 2), (0.1, float("nan"))) for number in range(8)}
    figure = curves_figure("By timestep", curves, up="Loss")
    looks = {(trace.line.dash, trace.marker.symbol) for trace in figure.data}
    assert len(looks) == 8
    assert figure.data[0].y[1] is None
    assert len(loss_figure(Curve(), Curve()).data) == 2


def _action(action: str, value: str, *, on: bool = False) -> PageAction:
    return PageAction(action=action, value=value, on=on, nonce=1)


def _view(studio: StudioContext, run: RunFolder) -> Any:
    return get_run(studio.database, studio.settings, run.path.name)
