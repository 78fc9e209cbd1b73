"""The gallery of generated images: pages, filters, selection, star, delete with undo, export."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import gradio as gr
from gradio.components import Component

from backend.generation.bulk import star_all
from backend.generation.gallery import (
    GalleryFilter,
    count_images,
    delete,
    get_image,
    list_used_models,
    query_images,
    restore,
)
from backend.permissions import Deed
from studio.actions import ActionError, PageAction, bridge, on_action, read_action
from studio.context import StudioContext
from studio.guard import guarded
from studio.markup import html_block
from studio.permissions import permit
from studio.tabs.gallery_export import export_link
from studio.tabs.gallery_filter import FilterControls, build_filters
from studio.tabs.gallery_view import BRIDGE, NO_IMAGES, NO_MATCH, gallery_html, undo_html
from studio.tabs.image_overlay import overlay_file
from studio.tabs.image_view import image_dialog
from studio.wording import ANY

PAGE_SIZE = 24
ON_PAGE = {"pick": "Select page", "export_all": "Export all"}
ON_SELECTION = {"drop": "Clear", "star": "Star", "export": "Export", "delete": "Delete"}
Values = Mapping[Component, Any]
Updates = dict[Component, Any]


@dataclass(frozen=True)
class Gallery:
    """The components of the gallery; `shown` says which state of the table is on the page."""

    filters: FilterControls
    cards: gr.Markdown
    notice: gr.Markdown
    dialog: gr.Markdown
    selection: gr.Markdown
    place: gr.Markdown
    newer: gr.Button
    older: gr.Button
    clear: gr.Button
    act: dict[str, gr.Button]
    actions: gr.Textbox
    page: gr.State
    selected: gr.State
    shown: gr.State

    @property
    def inputs(self) -> set[Component]:
        """What drawing the gallery depends on."""
        return {*self.filters.components, self.page, self.selected, self.shown}

    @property
    def outputs(self) -> list[Component]:
        """What drawing the gallery may change."""
        drawn = [self.cards, self.place, self.newer, self.older, self.selection, self.filters.model]
        states = [self.page, self.selected, self.shown]
        return [*drawn, *states, self.notice, self.dialog, *self._selection_buttons]

    @property
    def _selection_buttons(self) -> list[gr.Button]:
        return [self.act[name] for name in ON_SELECTION]

    def draw(self, studio: StudioContext, values: Values, *, page: int | None = None) -> Updates:
        """The page of cards that the filters and the pager ask for.

        States that did not change are left out: a tick must not undo what was pressed meanwhile.
        """
        criteria = self.filters.read(values)
        total = count_images(studio.database, criteria)
        last = max(0, (total - 1) // PAGE_SIZE)
        page = min(last, max(0, values[self.page] if page is None else page))
        offset = page * PAGE_SIZE
        images = query_images(
            studio.database, studio.settings, criteria, limit=PAGE_SIZE, offset=offset
        )
        empty = NO_MATCH if criteria != GalleryFilter() else NO_IMAGES
        selected = values[self.selected]
        used = {*list_used_models(studio.database), *filter(None, [criteria.model])}
        models = [(ANY, ""), *((name, name) for name in sorted(used))]
        return {
            self.cards: gallery_html(images, selected) if images else empty,
            self.place: _place(offset, len(images), total),
            self.newer: gr.Button(interactive=page > 0),
            self.older: gr.Button(interactive=page < last),
            self.filters.model: gr.Dropdown(choices=models),
            self.shown: self.mark(studio, values, page),
        } | ({self.page: page} if page != values[self.page] else {})

    def refresh(self, studio: StudioContext, values: Values) -> Updates:
        """The same page again, only if something was made, starred or deleted since."""
        if self.mark(studio, values, values[self.page]) == values[self.shown]:
            return {}
        return self.draw(studio, values)

    def mark(self, studio: StudioContext, values: Values, page: int) -> list[Any]:
        """What tells one state of the gallery from another."""
        criteria = self.filters.read(values)
        newest = query_images(studio.database, studio.settings, criteria, limit=1)
        return [count_images(studio.database, criteria), [image.id for image in newest], page]

    def select(self, ids: list[str]) -> Updates:
        """What the page shows for a selection."""
        text = "Nothing selected" if not ids else f"{len(ids)} selected"
        usable = gr.Button(interactive=bool(ids))
        return {self.selected: ids, self.selection: text} | dict.fromkeys(
            self._selection_buttons, usable
        )


def build_gallery(studio: StudioContext) -> Gallery:
    """Lay the gallery out and wire it."""
    gr.Markdown("## Gallery", elem_classes="df-heading", container=False)
    filters, clear = build_filters()
    notice = html_block(elem_id="gallery-notice")
    with gr.Row(elem_classes="df-toolbar"):
        selection = gr.Markdown("Nothing selected", container=False, elem_id="selection")
        act = {name: _button(name, label) for name, label in ON_PAGE.items()}
        act |= {name: _button(name, label, idle=True) for name, label in ON_SELECTION.items()}
    cards = html_block(NO_IMAGES, elem_id="gallery")
    with gr.Row(elem_classes="df-pager"):
        newer = gr.Button("← Newer", size="sm", interactive=False, min_width=80)
        place = gr.Markdown("", container=False, elem_id="gallery-place")
        older = gr.Button("Older →", size="sm", interactive=False, min_width=80)
    gallery = Gallery(
        filters=filters,
        cards=cards,
        notice=notice,
        dialog=html_block(elem_id="image-dialog-slot"),
        selection=selection,
        place=place,
        newer=newer,
        older=older,
        clear=clear,
        act=act,
        actions=bridge(BRIDGE),
        page=gr.State(0),
        selected=gr.State([]),
        shown=gr.State([]),
    )
    _wire_browsing(gallery, studio)
    _wire_selection(gallery, studio)
    _wire_images(gallery, studio)
    return gallery


def _wire_browsing(gallery: Gallery, studio: StudioContext) -> None:
    inputs, outputs = gallery.inputs, gallery.outputs

    @guarded
    def first_page(values: Values) -> Updates:
        return gallery.draw(studio, values, page=0)

    @guarded
    def newer(values: Values) -> Updates:
        return gallery.draw(studio, values, page=values[gallery.page] - 1)

    @guarded
    def older(values: Values) -> Updates:
        return gallery.draw(studio, values, page=values[gallery.page] + 1)

    @guarded
    def clear(values: Values) -> Updates:
        cleared = gallery.filters.cleared()
        return cleared | gallery.draw(studio, {**values, **cleared}, page=0)

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
    every = [*outputs, *filters.components - {filters.model}]
    gallery.clear.click(clear, inputs, every, show_progress="hidden")


def _wire_selection(gallery: Gallery, studio: StudioContext) -> None:
    inputs, outputs = gallery.inputs, gallery.outputs
    database, settings = studio.database, studio.settings

    @guarded
    def pick_page(values: Values) -> Updates:
        criteria = gallery.filters.read(values)
        offset = values[gallery.page] * PAGE_SIZE
        images = query_images(database, settings, criteria, limit=PAGE_SIZE, offset=offset)
        ids = dict.fromkeys([*values[gallery.selected], *(image.id for image in images)])
        return _drawn_with(gallery, studio, values, list(ids))

    @guarded
    def drop(values: Values) -> Updates:
        return _drawn_with(gallery, studio, values, [])

    @guarded
    def star_selection(values: Values) -> Updates:
        star_all(database, values[gallery.selected])
        return gallery.draw(studio, values)

    @guarded
    def delete_selection(values: Values) -> Updates:
        permit(studio, Deed.DELETE)
        deleted = delete(database, values[gallery.selected])
        return _drawn_with(gallery, studio, values, []) | {gallery.notice: undo_html(deleted)}

    @guarded
    def export_selection(values: Values) -> Updates:
        permit(studio, Deed.EXPORT)
        return {gallery.notice: export_link(studio, values[gallery.selected])}

    @guarded
    def export_all(values: Values) -> Updates:
        permit(studio, Deed.EXPORT)
        return {gallery.notice: export_link(studio, gallery.filters.read(values))}

    handlers = {
        "pick": pick_page,
        "drop": drop,
        "star": star_selection,
        "delete": delete_selection,
        "export": export_selection,
        "export_all": export_all,
    }
    for name, handler in handlers.items():
        gallery.act[name].click(handler, inputs, outputs, show_progress="hidden")


def _wire_images(gallery: Gallery, studio: StudioContext) -> None:
    @guarded
    def act(values: Values) -> Updates:
        action = read_action(values[gallery.actions])
        return _on_image(gallery, studio, values, action)

    on_action(gallery.actions, act, {*gallery.inputs, gallery.actions}, gallery.outputs)


def _on_image(
    gallery: Gallery, studio: StudioContext, values: Values, action: PageAction
) -> Updates:
    """What a button or a checkbox of a card or of the open image does."""
    ids = action.value.split(",")
    if action.action == "select":
        kept = [image_id for image_id in values[gallery.selected] if image_id not in ids]
        return gallery.select([*kept, *ids] if action.on else kept)
    if action.action in ("show", "overlay"):
        return {gallery.dialog: _dialog(gallery, studio, values, action)}
    if action.action in ("star", "star_open"):
        star_all(studio.database, ids, action.on)
        opened = action.action == "star_open"
        dialog = {gallery.dialog: _dialog(gallery, studio, values, action)} if opened else {}
        return gallery.draw(studio, values) | dialog
    if action.action == "delete":
        permit(studio, Deed.DELETE)
        deleted = delete(studio.database, ids)
        left = [image_id for image_id in values[gallery.selected] if image_id not in deleted]
        drawn = _drawn_with(gallery, studio, values, left)
        return drawn | {gallery.notice: undo_html(deleted), gallery.dialog: ""}
    if action.action == "restore":
        permit(studio, Deed.DELETE)
        restore(studio.database, ids)
        return gallery.draw(studio, values) | {gallery.notice: ""}
    raise ActionError(f"The gallery does not know {action.action!r}: reload the page.")


def _drawn_with(
    gallery: Gallery, studio: StudioContext, values: Values, selected: list[str]
) -> Updates:
    drawn = gallery.draw(studio, {**values, gallery.selected: selected})
    return drawn | gallery.select(selected)


def _dialog(gallery: Gallery, studio: StudioContext, values: Values, action: PageAction) -> str:
    image = get_image(studio.database, studio.settings, action.value)
    page = query_images(
        studio.database,
        studio.settings,
        gallery.filters.read(values),
        limit=PAGE_SIZE,
        offset=values[gallery.page] * PAGE_SIZE,
    )
    ids = [entry.id for entry in page]
    place = ids.index(image.id) if image.id in ids else -1
    return image_dialog(
        image,
        opening=action.nonce,
        overlay=overlay_file(image) if action.action == "overlay" else None,
        previous=ids[place - 1] if place > 0 else None,
        following=ids[place + 1] if 0 <= place < len(ids) - 1 else None,
    )


def _button(name: str, label: str, *, idle: bool = False) -> gr.Button:
    return gr.Button(
        label,
        size="sm",
        variant="stop" if name == "delete" else "secondary",
        interactive=not idle,
        elem_id=f"gallery-{name.replace('_', '-')}",
        min_width=60,
    )


def _place(offset: int, count: int, total: int) -> str:
    return f"{offset + 1} to {offset + count} of {total:,}" if total else "0 images"
