"""The components of the gallery and what they show: one page of images, and a selection."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import gradio as gr
from gradio.components import Component

from backend.generation.gallery import (
    GalleryFilter,
    ImageView,
    count_images,
    list_used_models,
    query_images,
)
from backend.generation.selection import Selection
from studio.context import StudioContext
from studio.tabs.gallery_export import exports_html
from studio.tabs.gallery_filter import JOB, FilterControls, within_choices
from studio.tabs.gallery_sets import sets_html
from studio.tabs.gallery_view import NO_IMAGES, NO_MATCH, count_words, gallery_html
from studio.wording import ANY

PAGE_SIZE = 24
ON_PAGE = {"pick": "Select page", "pick_all": "Select all that match"}
ON_SELECTION = {
    "drop": "Clear",
    "star": "Star",
    "unstar": "Unstar",
    "delete": "Delete",
    "export": "Export",
    "add": "Add to set",
    "take": "Take from set",
}
Values = Mapping[Component, Any]
Updates = dict[Component, Any]


@dataclass(frozen=True)
class Gallery:
    """The components of the gallery.

    `selected` holds ids, `everything` whether all that match the filters are selected instead;
    `shown` says which state of the table is on the page.
    """

    filters: FilterControls
    cards: gr.Markdown
    notice: gr.Markdown
    exports: gr.Markdown
    sets: gr.Markdown
    dialog: gr.Markdown
    selection: gr.Markdown
    place: gr.Markdown
    newer: gr.Button
    older: gr.Button
    clear: gr.Button
    act: dict[str, gr.Button]
    compare: gr.Button
    form: gr.Dropdown
    set_name: gr.Textbox
    actions: gr.Textbox
    page: gr.State
    selected: gr.State
    everything: gr.State
    shown: gr.State

    @property
    def inputs(self) -> set[Component]:
        """What drawing the gallery depends on."""
        return {*self.filters.components, self.page, self.selected, self.everything, self.shown}

    @property
    def outputs(self) -> list[Component]:
        """What drawing the gallery may change."""
        drawn = [self.cards, self.place, self.newer, self.older, self.selection]
        lists = [self.filters.model, self.filters.within, self.exports, self.sets]
        states = [self.page, self.selected, self.everything, self.shown]
        buttons = [self.act[name] for name in ON_SELECTION]
        return [*drawn, *lists, *states, self.notice, self.dialog, self.compare, *buttons]

    def chosen(self, values: Values) -> Selection:
        """What is selected: ids, or the filters for all that match them."""
        if values[self.everything]:
            return self.filters.read(values)
        return list(values[self.selected])

    def draw(
        self,
        studio: StudioContext,
        values: Values,
        *,
        page: int | None = None,
        total: int | None = None,
    ) -> Updates:
        """The page of cards that the filters and the pager ask for, and no other image.

        `total` is how many images match, where that is known; else they are counted. States that
        did not change are left out: a tick must not undo what was pressed meanwhile.
        """
        criteria = self.filters.read(values)
        total = self.count(studio, values) if total is None else total
        last = max(0, (total - 1) // PAGE_SIZE)
        page = min(last, max(0, values[self.page] if page is None else page))
        images = self.images(studio, values, page)
        everything, selected = values[self.everything], frozenset(values[self.selected])
        empty = NO_MATCH if criteria != GalleryFilter() else NO_IMAGES
        cards = gallery_html(images, lambda image_id: everything or image_id in selected)
        drawn: Updates = {
            self.cards: cards if images else empty,
            self.place: _place(page * PAGE_SIZE, len(images), total),
            self.newer: gr.Button(interactive=page > 0),
            self.older: gr.Button(interactive=page < last),
            self.shown: self.mark(studio, values, page, total),
        }
        if page != values[self.page]:
            drawn[self.page] = page
        if everything:
            drawn[self.selection] = _all_words(total)
        return drawn | self._offered(studio, values, criteria) | self.look_at_exports(studio)

    def images(self, studio: StudioContext, values: Values, page: int) -> list[ImageView]:
        """The images of one page."""
        criteria, offset = self.filters.read(values), page * PAGE_SIZE
        return query_images(
            studio.database, studio.settings, criteria, limit=PAGE_SIZE, offset=offset
        )

    def refresh(self, studio: StudioContext, values: Values) -> Updates:
        """The same page again, only if something was made, starred or deleted since."""
        total = self.count(studio, values)
        if self.mark(studio, values, values[self.page], total) == values[self.shown]:
            return self.look_at_exports(studio)
        return self.draw(studio, values, total=total)

    def look_at_exports(self, studio: StudioContext) -> Updates:
        """The exports as the job table has them now."""
        return {self.exports: exports_html(studio)}

    def count(self, studio: StudioContext, values: Values) -> int:
        """How many images match the filters."""
        return count_images(studio.database, self.filters.read(values))

    def mark(self, studio: StudioContext, values: Values, page: int, total: int) -> list[Any]:
        """What tells one state of the gallery from another."""
        criteria = self.filters.read(values)
        newest = query_images(studio.database, studio.settings, criteria, limit=1)
        return [total, [image.id for image in newest], page]

    def select(self, ids: list[str]) -> Updates:
        """What the page shows for a selection of ids."""
        text = "Nothing selected" if not ids else f"{len(ids):,} selected"
        return {
            self.selected: ids,
            self.everything: False,
            self.selection: text,
            self.compare: gr.Button(interactive=len(ids) == 2),
        } | self._usable(bool(ids))

    def select_all(self, studio: StudioContext, values: Values) -> Updates:
        """What the page shows where all that match the filters are selected."""
        total = self.count(studio, values)
        chosen = {self.selected: [], self.everything: total > 0}
        drawn = self.draw(studio, {**values, **chosen}, total=total)
        text = _all_words(total) if total else "Nothing selected"
        idle = {self.compare: gr.Button(interactive=False), self.selection: text}
        return drawn | chosen | idle | self._usable(total > 0)

    def draw_with(self, studio: StudioContext, values: Values, ids: list[str]) -> Updates:
        """The page anew with another selection of ids."""
        chosen = {self.selected: ids, self.everything: False}
        return self.draw(studio, {**values, **chosen}) | self.select(ids)

    def narrow(self, studio: StudioContext, values: Values, within: str) -> Updates:
        """The images of one set or job alone, whatever was filtered before."""
        cleared = self.filters.cleared() | {self.filters.within: within}
        drawn = self.draw_with(studio, {**values, **cleared, self.page: 0}, [])
        places, models = within_choices(studio.database, within), model_choices(studio, None)
        offered = {
            self.filters.within: gr.Dropdown(choices=places, value=within),
            self.filters.model: gr.Dropdown(choices=models, value=""),
        }
        return cleared | drawn | offered | {self.page: 0}

    def show_job(self, studio: StudioContext, values: Values, job_id: str) -> Updates:
        """The images of one job alone."""
        return self.narrow(studio, values, f"{JOB}{job_id}")

    def _offered(self, studio: StudioContext, values: Values, criteria: GalleryFilter) -> Updates:
        models = model_choices(studio, criteria.model)
        within = within_choices(studio.database, values[self.filters.within] or "")
        return {
            self.filters.model: gr.Dropdown(choices=models),
            self.filters.within: gr.Dropdown(choices=within),
            self.sets: sets_html(studio.database),
        }

    def _usable(self, usable: bool) -> Updates:
        return {self.act[name]: gr.Button(interactive=usable) for name in ON_SELECTION}


def model_choices(studio: StudioContext, chosen: str | None) -> list[tuple[str, str]]:
    """Any model, then those that made images; the chosen one stays offered."""
    used = {*list_used_models(studio.database), *filter(None, [chosen])}
    return [(ANY, ""), *((name, name) for name in sorted(used))]


def _all_words(total: int) -> str:
    return f"All that match: {count_words(total)} selected"


def _place(offset: int, count: int, total: int) -> str:
    return f"{offset + 1:,} to {offset + count:,} of {total:,}" if total else "0 images"
