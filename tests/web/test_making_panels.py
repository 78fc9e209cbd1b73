"""The panels of sweeps, sets and the gallery as they read and draw, without a browser."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np
import pytest
import torch
from sqlalchemy import event

from backend.abc.attributes import Border, Label
from backend.abc.sampling import sample_attributes
from backend.generation.bulk import delete_all
from backend.generation.design.design import DesignError, Plan
from backend.generation.design.table import write_table
from backend.generation.export.running import submit_export
from backend.generation.export_format import ExportFormat
from backend.generation.gallery import GalleryFilter, count_images
from backend.generation.image_sets import add_to_set, make_set
from backend.generation.lora.layouts import Family
from backend.generation.lora.shelf import add_lora, remove_lora
from backend.settings import Settings, prepare_workspace
from backend.store.database import open_database
from studio.context import StudioContext
from studio.tabs.builder_form import BuilderForm, build_builder_form
from studio.tabs.builder_view import captions_html
from studio.tabs.gallery import build_gallery
from studio.tabs.gallery_filter import SET
from studio.tabs.gallery_page import PAGE_SIZE, Gallery
from studio.tabs.gallery_view import undo_html
from studio.tabs.generate_form import build_form
from studio.tabs.sweep_panel import SweepPanel, axis_choices, build_sweep_panel, preview_of
from tests.lora_files import kohya_lora, save_lora
from tests.service.pictures import fill_gallery

IMAGES = 30
Values = dict[Any, Any]


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StudioContext]:
    """A workspace with a LoRA called mole on its shelf and images in its gallery."""
    folder = tmp_path_factory.mktemp("panels")
    settings = Settings(workspace=folder / "workspace")
    prepare_workspace(settings)
    database = open_database(settings)
    file = save_lora(folder / "mole.safetensors", kohya_lora(hidden=16))
    add_lora(database, settings, file)
    lesions = [sample_attributes(np.random.default_rng(seed)) for seed in range(IMAGES)]
    fill_gallery(settings, database, lesions)
    yield StudioContext(settings, database)
    database.close()


@pytest.fixture(scope="module")
def sweeps(studio: StudioContext) -> SweepPanel:
    """The Sweep panel over the form."""
    with gr.Blocks():
        return build_sweep_panel(studio, build_form(studio, []), gr.Timer(active=False))


@pytest.fixture(scope="module")
def builder() -> BuilderForm:
    """The form of a synthetic set."""
    with gr.Blocks():
        return build_builder_form()


@pytest.fixture(scope="module")
def gallery(studio: StudioContext) -> Gallery:
    """The gallery."""
    with gr.Blocks():
        return build_gallery(studio, gr.Timer(active=False))


def shown(components: set[Any]) -> Values:
    """What components hold when the page is opened."""
    return {component: component.value for component in components}


def sweep_values(panel: SweepPanel, **changes: str) -> Values:
    own = {
        panel.form.caption: "A brown mole.",
        panel.form.model: "starter",
        panel.form.size: "64x64",
    }
    named = {getattr(panel, name): value for name, value in changes.items()}
    return shown(panel.inputs) | own | named


def test_a_sweep_panel_reads_the_form_and_two_axes(sweeps: SweepPanel) -> None:
    values = sweep_values(
        sweeps, across="lora:mole", across_values="0, 1", down="seed", down_values="3,4,5"
    )
    sweep = sweeps.read(values)
    assert sweep.shape == (3, 2)
    assert sweep.request.count == 1
    assert sweep.request.caption == "A brown mole."
    assert "<strong>6 images</strong> (2 across, 3 down)" in preview_of(sweeps, values)


def test_a_template_stands_in_for_a_caption_and_takes_words_as_people_write_them(
    sweeps: SweepPanel,
) -> None:
    values = sweep_values(
        sweeps,
        across="border",
        across_values="Slightly irregular, irregular",
        template="A {border} border.",
    )
    sweep = sweeps.read(values | {sweeps.form.caption: ""})
    assert sweep.across.values == (Border.SLIGHTLY_IRREGULAR, Border.IRREGULAR)
    tones = sweep_values(
        sweeps,
        across="skin_tone",
        across_values="II, Fitzpatrick IV, 6",
        template="On {skin_tone}.",
    )
    assert [int(tone) for tone in sweeps.read(tones).across.values] == [2, 4, 6]


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"across_values": ""}, "values of the sweep should"),
        ({"across": "border", "across_values": "<b>"}, "is no value for the border"),
        ({"across": "border", "across_values": "regular"}, "words of its own"),
        ({"down": "guidance", "down_values": "1"}, "Both axes are guidance"),
    ],
)
def test_the_preview_says_why_a_sweep_cannot_be(
    sweeps: SweepPanel, changes: Mapping[str, str], sentence: str
) -> None:
    said = preview_of(sweeps, sweep_values(sweeps, **changes))
    assert 'class="df-message"' in said
    assert sentence in said
    assert "<b>" not in said


def test_loras_of_every_family_are_axes_as_they_are_places_of_the_form(
    studio: StudioContext, sweeps: SweepPanel, tmp_path: Path
) -> None:
    _add_stable_diffusion_lora(studio, tmp_path)
    places = sweeps.form.loras.offer(studio, shown(sweeps.form.loras.components))
    (offered, *_) = (dict(place.constructor_args["choices"]) for place in places.values())
    assert set(offered.values()) == {"", "mole", "old"}
    axes = dict(axis_choices(studio))
    assert axes["Weight of LoRA mole"] == "lora:mole"
    assert axes["Weight of LoRA old"] == "lora:old"
    remove_lora(studio.database, studio.settings, "old")


def test_a_removed_lora_stays_offered_where_it_is_the_chosen_axis(
    studio: StudioContext, sweeps: SweepPanel, tmp_path: Path
) -> None:
    _add_stable_diffusion_lora(studio, tmp_path)
    values = sweep_values(sweeps, across="lora:old", across_values="0, 1")
    remove_lora(studio.database, studio.settings, "old")
    offered = sweeps.offer(studio, values)
    gone = ("Weight of LoRA old (not on the shelf)", "lora:old")
    assert gone in offered[sweeps.across].constructor_args["choices"]
    assert gone not in offered[sweeps.down].constructor_args["choices"]
    assert set(offered) == set(sweeps.axes) <= sweeps.inputs
    across = gr.Dropdown(**offered[sweeps.across].constructor_args)
    assert across.preprocess("lora:old") == "lora:old"
    assert sweeps.read(values).across.values == (0, 1)


def _add_stable_diffusion_lora(studio: StudioContext, folder: Path) -> None:
    module = "lora_unet_mid_block_attentions_0_transformer_blocks_0_attn1_to_q"
    halves = {"lora_down": (2, 32), "lora_up": (32, 2)}
    tensors = {f"{module}.{half}.weight": torch.ones(shape) for half, shape in halves.items()}
    view = add_lora(
        studio.database, studio.settings, save_lora(folder / "old.safetensors", tensors)
    )
    assert view.family is Family.SD1


def test_the_set_form_designs_as_many_captions_as_images_in_balance(builder: BuilderForm) -> None:
    values = shown(builder.components) | {builder.per_class: 6}
    design = builder.design(values)
    assert (design.plan, design.count) == (Plan.HYPERCUBE, 12)
    table = write_table(design)
    assert table.counts() == {Label.BENIGN: 6, Label.MALIGNANT: 6}
    said = captions_html(table, per_class=6, best_of=4)
    assert "<strong>12 captions</strong>: 6 benign, 6 malignant" in said
    assert "12 images, from 48 candidates" in said


def test_captions_that_would_not_be_used_are_said(builder: BuilderForm) -> None:
    values = shown(builder.components) | {builder.plan: "factorial", builder.per_class: 2}
    table = write_table(builder.design(values))
    assert "Only the first 2 captions of a class are used" in captions_html(table, 2, 1)


def test_values_are_narrowed_line_by_line(builder: BuilderForm) -> None:
    lines = "Border = regular, Slightly irregular\ncolours=light brown, dark brown + black\n"
    design = builder.design(shown(builder.components) | {builder.levels: lines})
    assert design.vary.border == (Border.REGULAR, Border.SLIGHTLY_IRREGULAR)
    assert [len(colours) for colours in design.vary.colours] == [1, 2]
    assert len(design.vary.asymmetry) == 3


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("classes", [], "A set needs a class"),
        ("per_class", 0, "at least one image"),
        ("levels", "depth=1", "names no attribute"),
        ("levels", "border", "has no value"),
        ("levels", "border=round", "border of the design"),
        ("template", "A {site} mole", "which the design leaves out"),
        ("captions", 60_000, "60,000 rows"),
    ],
)
def test_a_bad_set_gets_a_sentence(
    builder: BuilderForm, name: str, value: object, sentence: str
) -> None:
    values = shown(builder.components) | {getattr(builder, name): value}
    with pytest.raises(DesignError) as caught:
        write_table(builder.design(values))
    assert sentence in str(caught.value)


def test_the_page_holds_one_page_of_the_gallery_however_large_it_is(
    studio: StudioContext, gallery: Gallery
) -> None:
    values = shown(gallery.inputs)
    first = gallery.draw(studio, values)
    assert str(first[gallery.cards]).count("data-image=") == PAGE_SIZE
    last = gallery.draw(studio, values, page=99)
    assert str(last[gallery.cards]).count("data-image=") == IMAGES % PAGE_SIZE
    assert last[gallery.page] == IMAGES // PAGE_SIZE
    everything = gallery.select_all(studio, values)
    assert everything[gallery.selected] == []
    assert str(everything[gallery.cards]).count("checked") == PAGE_SIZE
    assert len(repr(everything)) < 2 * len(repr(first))


@pytest.mark.parametrize("change", ["draw", "refresh", "select_all"])
def test_images_are_counted_once_whatever_is_drawn(
    studio: StudioContext, gallery: Gallery, change: str
) -> None:
    counted: list[str] = []

    def listen(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        if "count(*)" in statement and "FROM image " in " ".join(statement.split()) + " ":
            counted.append(statement)

    engine = studio.database.engine
    event.listen(engine, "before_cursor_execute", listen)
    try:
        drawn = getattr(gallery, change)(studio, shown(gallery.inputs))
    finally:
        event.remove(engine, "before_cursor_execute", listen)
    assert f"of {IMAGES}" in drawn[gallery.place]
    assert len(counted) == 1


def test_all_that_match_is_the_filter_and_single_choices_are_ids(gallery: Gallery) -> None:
    values = shown(gallery.inputs) | {gallery.selected: ["one"], gallery.filters.text: "brown"}
    assert gallery.chosen(values) == ["one"]
    chosen = gallery.chosen(values | {gallery.everything: True})
    assert chosen == GalleryFilter(text="brown")


def test_a_set_that_is_gone_stays_named_in_the_filter(
    studio: StudioContext, gallery: Gallery
) -> None:
    make_set(studio.database, "pilot")
    add_to_set(studio.database, "pilot", GalleryFilter())
    opened = gallery.narrow(studio, shown(gallery.inputs), f"{SET}gone")
    offered = opened[gallery.filters.within].constructor_args
    assert (f"pilot ({IMAGES})", f"{SET}pilot") in offered["choices"]
    assert (offered["choices"][-1], offered["value"]) == (("gone", f"{SET}gone"), f"{SET}gone")


def test_undo_names_one_deletion_and_an_empty_one_offers_none(studio: StudioContext) -> None:
    deletion = delete_all(studio.database, GalleryFilter(text="no caption has these words"))
    assert undo_html(deletion) == ""
    said = undo_html(replace(deletion, images=1_200))
    assert "1,200 images deleted." in said
    assert deletion.moment.isoformat() in said


def test_an_export_is_offered_with_its_progress(studio: StudioContext, gallery: Gallery) -> None:
    submit_export(studio.database, studio.settings, GalleryFilter(), ExportFormat.CSV)
    said = gallery.look_at_exports(studio)[gallery.exports]
    assert f"Export of {count_images(studio.database)} images as csv" in said
    assert 'data-state="queued"' in said
