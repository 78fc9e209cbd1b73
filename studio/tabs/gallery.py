"""The gallery of generated images: pages, filters, single images, and what is done to many."""

from collections.abc import Mapping
from typing import Any

import gradio as gr
from gradio.components import Component

from backend.generation.bulk import star_all
from backend.generation.gallery import get_image
from backend.generation.image_sets import remove_set
from backend.permissions import Deed
from studio.actions import ActionError, PageAction, bridge, on_action, read_action
from studio.context import StudioContext
from studio.guard import guarded
from studio.markup import html_block
from studio.permissions import permit
from studio.tabs.gallery_bulk import delete_one, undo, wire_bulk
from studio.tabs.gallery_export import format_choices
from studio.tabs.gallery_filter import SET, build_filters
from studio.tabs.gallery_page import ON_PAGE, ON_SELECTION, Gallery
from studio.tabs.gallery_sets import NO_SETS
from studio.tabs.gallery_view import BRIDGE, NO_IMAGES, undo_html
from studio.tabs.image_overlay import overlay_file
from studio.tabs.image_view import image_dialog

Values = Mapping[Component, Any]
Updates = dict[Component, Any]


def build_gallery(studio: StudioContext, timer: gr.Timer) -> Gallery:
    """Lay the gallery out and wire it; `timer` watches its exports."""
    gr.Markdown("## Gallery", elem_classes="df-heading", container=False)
    filters, clear = build_filters()
    notice = html_block(elem_id="gallery-notice")
    act: dict[str, gr.Button] = {}
    with gr.Row(elem_classes="df-toolbar"):
        selection = gr.Markdown("Nothing selected", container=False, elem_id="selection")
        act |= {name: _button(name, label) for name, label in ON_PAGE.items()}
        marks = ("drop", "star", "unstar", "delete")
        act |= {name: _button(name, ON_SELECTION[name], idle=True) for name in marks}
        compare = _button("compare", "Compare two", idle=True)
    with gr.Row(elem_classes="df-toolbar df-takeaway"):
        form = gr.Dropdown(
            format_choices(),
            value=format_choices()[0][1],
            label="Format",
            filterable=False,
            elem_id="export-format",
        )
        act["export"] = _button("export", ON_SELECTION["export"], idle=True)
        set_name = gr.Textbox(
            label="Set", placeholder="Name of a set", max_lines=1, elem_id="gallery-set-name"
        )
        act |= {name: _button(name, ON_SELECTION[name], idle=True) for name in ("add", "take")}
    exports = html_block(elem_id="exports")
    with gr.Accordion("Sets of images", open=False, elem_id="image-sets"):
        sets = html_block(NO_SETS, elem_id="image-set-entries")
    cards = html_block(NO_IMAGES, elem_id="gallery")
    with gr.Row(elem_classes="df-pager"):
        newer = gr.Button("← Newer", size="sm", interactive=False, min_width=80)
        place = gr.Markdown("", container=False, elem_id="gallery-place")
        older = gr.Button("Older →", size="sm", interactive=False, min_width=80)
    gallery = Gallery(
        filters=filters,
        cards=cards,
        notice=notice,
        exports=exports,
        sets=sets,
        dialog=html_block(elem_id="image-dialog-slot"),
        selection=selection,
        place=place,
        newer=newer,
        older=older,
        clear=clear,
        act=act,
        compare=compare,
        form=form,
        set_name=set_name,
        actions=bridge(BRIDGE),
        page=gr.State(0),
        selected=gr.State([]),
        everything=gr.State(False),
        shown=gr.State([]),
    )
    _wire_browsing(gallery, studio)
    wire_bulk(gallery, studio, timer)
    _wire_images(gallery, studio)
    return gallery


def _wire_browsing(gallery: Gallery, studio: StudioContext) -> None:
    inputs, outputs = gallery.inputs, gallery.outputs

    @guarded
    def first_page(values: Values) -> Updates:
        """Other filters match other images: what was selected by the filters is no longer."""
        if values[gallery.everything]:
            return gallery.draw_with(studio, {**values, gallery.page: 0}, []) | {gallery.page: 0}
        return gallery.draw(studio, values, page=0)

    @guarded
    def newer(values: Values) -> Updates:
        return gallery.draw(studio, values, page=values[gallery.page] - 1)

    @guarded
    def older(values: Values) -> Updates:
        return gallery.draw(studio, values, page=values[gallery.page] + 1)

    @guarded
    def clear(values: Values) -> Updates:
        return gallery.narrow(studio, values, "")

    filters = gallery.filters
    chosen = [getattr(filters, name) for name in filters.__dataclass_fields__ if name != "text"]
    gr.on(
        [filters.text.change, *(component.input for component in chosen)],
        first_page,
        inputs,
        outputs,
        show_progress="hidden",
        trigger_mode="always_last",
    )
    gallery.newer.click(newer, inputs, outputs, show_progress="hidden")
    gallery.older.click(older, inputs, outputs, show_progress="hidden")
    gallery.clear.click(clear, inputs, _with_filters(gallery), show_progress="hidden")


def _wire_images(gallery: Gallery, studio: StudioContext) -> None:
    @guarded
    def act(values: Values) -> Updates:
        action = read_action(values[gallery.actions])
        if action.action in ("open_set", "remove_set"):
            return _on_set(gallery, studio, values, action)
        return _on_image(gallery, studio, values, action)

    inputs = {*gallery.inputs, gallery.actions}
    on_action(gallery.actions, act, inputs, _with_filters(gallery))


def _on_set(gallery: Gallery, studio: StudioContext, values: Values, action: PageAction) -> Updates:
    """Show a set alone, or forget it."""
    if action.action == "open_set":
        return gallery.narrow(studio, values, f"{SET}{action.value}")
    permit(studio, Deed.COLLECT)
    remove_set(studio.database, action.value)
    if values[gallery.filters.within] == f"{SET}{action.value}":
        return gallery.narrow(studio, values, "")
    return gallery.draw(studio, values)


def _on_image(
    gallery: Gallery, studio: StudioContext, values: Values, action: PageAction
) -> Updates:
    """What a button or a checkbox of a card or of the open image does."""
    if action.action == "select":
        return _select(gallery, studio, values, action)
    if action.action in ("show", "overlay"):
        return {gallery.dialog: _dialog(gallery, studio, values, action)}
    if action.action in ("star", "star_open"):
        star_all(studio.database, [action.value], action.on)
        opened = action.action == "star_open"
        dialog = {gallery.dialog: _dialog(gallery, studio, values, action)} if opened else {}
        return gallery.draw(studio, values) | dialog
    if action.action == "delete":
        deletion, drawn = delete_one(gallery, studio, values, action.value)
        return drawn | {gallery.notice: undo_html(deletion), gallery.dialog: ""}
    if action.action == "undo":
        return undo(gallery, studio, values, action.value)
    raise ActionError(f"The gallery does not know {action.action!r}: reload the page.")


def _select(gallery: Gallery, studio: StudioContext, values: Values, action: PageAction) -> Updates:
    """A checkbox; where all that match were selected, those of the page alone stay so."""
    if values[gallery.everything]:
        ids = [image.id for image in gallery.images(studio, values, values[gallery.page])]
    else:
        ids = values[gallery.selected]
    kept = [image_id for image_id in ids if image_id != action.value]
    return gallery.select([*kept, action.value] if action.on else kept)


def _dialog(gallery: Gallery, studio: StudioContext, values: Values, action: PageAction) -> str:
    image = get_image(studio.database, studio.settings, action.value)
    ids = [entry.id for entry in gallery.images(studio, values, values[gallery.page])]
    place = ids.index(image.id) if image.id in ids else -1
    return image_dialog(
        image,
        opening=action.nonce,
        overlay=overlay_file(image) if action.action == "overlay" else None,
        previous=ids[place - 1] if place > 0 else None,
        following=ids[place + 1] if 0 <= place < len(ids) - 1 else None,
    )


def _with_filters(gallery: Gallery) -> list[Component]:
    """What changes where the filters are set by a button."""
    return list({*gallery.outputs, *gallery.filters.components})


def _button(name: str, label: str, *, idle: bool = False) -> gr.Button:
    return gr.Button(
        label,
        size="sm",
        variant="stop" if name == "delete" else "secondary",
        interactive=not idle,
        elem_id=f"gallery-{name.replace('_', '-')}",
        min_width=60,
    )
