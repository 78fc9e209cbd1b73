"""What is done to a selection at once: star, delete, export, sets, compare two."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

import gradio as gr
from gradio.components import Component

from backend.generation.bulk import Deletion, delete_all, star_all, undo_deletion
from backend.generation.export.running import submit_export
from backend.generation.export_format import ExportFormat
from backend.generation.gallery import get_image
from backend.generation.image_sets import add_to_set, list_sets, make_set, take_from_set
from backend.generation.selection import count_drafts, left_out
from backend.permissions import Deed
from studio.actions import ActionError
from studio.context import StudioContext
from studio.guard import guarded
from studio.markup import notice_html
from studio.permissions import permit
from studio.tabs.compare_view import compare_dialog
from studio.tabs.gallery_page import Gallery
from studio.tabs.gallery_view import count_words, undo_html

Values = Mapping[Component, Any]
Updates = dict[Component, Any]


def wire_bulk(gallery: Gallery, studio: StudioContext, timer: gr.Timer) -> None:
    """Wire the buttons of the toolbar; `timer` is woken for an export."""
    _wire_choice(gallery, studio)
    _wire_marks(gallery, studio)
    _wire_sets(gallery, studio)
    _wire_export(gallery, studio, timer)


def undo(gallery: Gallery, studio: StudioContext, values: Values, moment: str) -> Updates:
    """Take one deletion back.

    Raises AccountError where the role forbids it, ActionError for what is no moment.
    """
    permit(studio, Deed.DELETE)
    try:
        when = datetime.fromisoformat(moment)
    except ValueError as error:
        raise ActionError("This deletion cannot be taken back: reload the page.") from error
    if when.tzinfo is None:
        raise ActionError("This deletion cannot be taken back: reload the page.")
    undo_deletion(studio.database, when)
    return gallery.draw(studio, values) | {gallery.notice: ""}


def delete_one(
    gallery: Gallery, studio: StudioContext, values: Values, image_id: str
) -> tuple[Deletion, Updates]:
    """Delete one image; the rest of a selection of ids stays selected."""
    permit(studio, Deed.DELETE)
    deletion = delete_all(studio.database, [image_id])
    left = [chosen for chosen in values[gallery.selected] if chosen != image_id]
    return deletion, gallery.draw_with(studio, values, left)


def _wire_choice(gallery: Gallery, studio: StudioContext) -> None:
    @guarded
    def pick_page(values: Values) -> Updates:
        images = gallery.images(studio, values, values[gallery.page])
        ids = dict.fromkeys([*values[gallery.selected], *(image.id for image in images)])
        return gallery.draw_with(studio, values, list(ids))

    @guarded
    def pick_all(values: Values) -> Updates:
        return gallery.select_all(studio, values)

    @guarded
    def drop(values: Values) -> Updates:
        return gallery.draw_with(studio, values, [])

    @guarded
    def compare(values: Values) -> Updates:
        first, second = (
            get_image(studio.database, studio.settings, image_id)
            for image_id in values[gallery.selected]
        )
        opening = round(datetime.now().astimezone().timestamp() * 1000)
        return {gallery.dialog: compare_dialog(first, second, opening=opening)}

    _on_press(gallery, {"pick": pick_page, "pick_all": pick_all, "drop": drop})
    gallery.compare.click(compare, {gallery.selected}, [gallery.dialog], show_progress="hidden")


def _wire_marks(gallery: Gallery, studio: StudioContext) -> None:
    @guarded
    def star(values: Values) -> Updates:
        return marked(values, on=True)

    @guarded
    def unstar(values: Values) -> Updates:
        return marked(values, on=False)

    def marked(values: Values, *, on: bool) -> Updates:
        changed = star_all(studio.database, gallery.chosen(values), on)
        words = f"{count_words(changed)} {'starred' if on else 'without a star now'}."
        return gallery.draw(studio, values) | {gallery.notice: notice_html(words)}

    @guarded
    def delete(values: Values) -> Updates:
        permit(studio, Deed.DELETE)
        deletion = delete_all(studio.database, gallery.chosen(values))
        return gallery.draw_with(studio, values, []) | {gallery.notice: undo_html(deletion)}

    _on_press(gallery, {"star": star, "unstar": unstar, "delete": delete})


def _wire_sets(gallery: Gallery, studio: StudioContext) -> None:
    @guarded
    def add(values: Values) -> Updates:
        permit(studio, Deed.COLLECT)
        name = " ".join((values[gallery.set_name] or "").split())
        if name not in {view.name for view in list_sets(studio.database)}:
            make_set(studio.database, name)
        selection = gallery.chosen(values)
        added = add_to_set(studio.database, name, selection)
        drafts = left_out(count_drafts(studio.database, selection))
        words = f"{count_words(added)} put into the set {name}. {drafts}".rstrip()
        return gallery.draw(studio, values) | {gallery.notice: notice_html(words)}

    @guarded
    def take(values: Values) -> Updates:
        permit(studio, Deed.COLLECT)
        name = " ".join((values[gallery.set_name] or "").split())
        taken = take_from_set(studio.database, name, gallery.chosen(values))
        words = f"{count_words(taken)} taken out of the set {name}."
        return gallery.draw(studio, values) | {gallery.notice: notice_html(words)}

    _on_press(gallery, {"add": add, "take": take}, gallery.set_name)


def _wire_export(gallery: Gallery, studio: StudioContext, timer: gr.Timer) -> None:
    @guarded
    def export(values: Values, request: gr.Request) -> Updates:
        permit(studio, Deed.EXPORT)
        selection, form = gallery.chosen(values), ExportFormat(values[gallery.form])
        submit_export(studio.database, studio.settings, selection, form, owner=request.username)
        drafts = left_out(count_drafts(studio.database, selection))
        notice = notice_html(drafts) if drafts else ""
        shown = gallery.look_at_exports(studio)
        return shown | {timer: gr.Timer(active=True), gallery.notice: notice}

    gallery.act["export"].click(
        export,
        {*gallery.inputs, gallery.form},
        [gallery.exports, gallery.notice, timer],
        show_progress="hidden",
    )


def _on_press(
    gallery: Gallery, handlers: Mapping[str, Callable[..., Any]], *more: Component
) -> None:
    for name, handler in handlers.items():
        gallery.act[name].click(
            handler, {*gallery.inputs, *more}, gallery.outputs, show_progress="hidden"
        )
