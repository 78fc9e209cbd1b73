"""Browsing: pages of images under filters, at any size of the corpus, and one image at a time."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr
from gradio.components import Component

from backend.corpus.licences import terms_of
from backend.corpus.outlines import outlined
from backend.corpus.queries import (
    CorpusFilter,
    CorpusView,
    count_corpus,
    count_subset,
    find_corpus,
    get_corpus_image,
    query_corpus,
    query_subset,
)
from studio.actions import ActionError, PageAction, bridge, on_action, read_action
from studio.context import StudioContext
from studio.guard import guarded
from studio.markup import html_block
from studio.tabs.corpus_filter import CHOSEN, CorpusFilters, build_corpus_filters
from studio.tabs.corpus_overview import NO_IMAGES
from studio.tabs.corpus_view import BRIDGE, NO_MATCH, Shown, cards_html, corpus_dialog

PAGE_SIZE = 24
MOST_FOUND = 100
Values = Mapping[Component, Any]
Updates = dict[Component, Any]


@dataclass(frozen=True)
class BrowsePanel:
    """Filters, a page of cards, a pager and the open image."""

    filters: CorpusFilters
    cards: gr.Markdown
    dialog: gr.Markdown
    place: gr.Markdown
    previous: gr.Button
    following: gr.Button
    number: gr.Number
    page: gr.State
    actions: gr.Textbox

    @property
    def inputs(self) -> set[Component]:
        """What drawing the page depends on."""
        return {*self.filters.components, self.page}

    @property
    def outputs(self) -> list[Component]:
        """What drawing the page may change."""
        drawn = [self.cards, self.place, self.previous, self.following, self.number, self.page]
        return [*drawn, self.dialog, *self.filters.components]

    def draw(self, studio: StudioContext, values: Values, *, page: int | None = None) -> Updates:
        """The page of cards that the filters and the pager ask for, and no other image."""
        total = self.count(studio, values)
        last = max(0, (total - 1) // PAGE_SIZE)
        page = min(last, max(0, values[self.page] if page is None else page))
        images = self.images(studio, values, page * PAGE_SIZE, PAGE_SIZE)
        unfiltered = self.filters.read(values) == CorpusFilter() and not self._named(values)
        empty = NO_IMAGES if unfiltered and not values[self.filters.within] else NO_MATCH
        offset = page * PAGE_SIZE
        place = f"{offset + 1:,} to {offset + len(images):,} of {total:,}" if images else "0 images"
        return {
            self.cards: cards_html(images) if images else empty,
            self.place: place,
            self.previous: gr.Button(interactive=page > 0),
            self.following: gr.Button(interactive=page < last),
            self.number: gr.Number(value=page + 1, label=f"Page of {last + 1:,}"),
            self.page: page,
            **self.filters.offer(studio.database, values),
        }

    def count(self, studio: StudioContext, values: Values) -> int:
        """How many images the filters leave."""
        db, criteria = studio.database, self.filters.read(values)
        if name := self._named(values):
            return len(find_corpus(db, studio.settings, name, limit=MOST_FOUND))
        subset = self.filters.subset(values)
        return count_corpus(db, criteria) if subset is None else count_subset(db, subset, criteria)

    def images(
        self, studio: StudioContext, values: Values, offset: int, limit: int
    ) -> Sequence[CorpusView]:
        """The images that stand there."""
        db, settings = studio.database, studio.settings
        criteria, subset = self.filters.read(values), self.filters.subset(values)
        if name := self._named(values):
            return find_corpus(db, settings, name, limit=MOST_FOUND)[offset : offset + limit]
        if subset is None:
            return query_corpus(db, settings, criteria, limit=limit, offset=offset)
        return query_subset(db, settings, subset, criteria, limit=limit, offset=offset)

    def open(self, studio: StudioContext, values: Values, action: PageAction) -> Updates:
        """One image with its neighbours; the page follows where they lead beyond it."""
        page = values[self.page]
        for turned in (page, page + 1, page - 1):
            before = min(1, max(0, turned))
            start = max(0, turned) * PAGE_SIZE
            around = self.images(studio, values, start - before, before + PAGE_SIZE + 1)
            ids = [image.id for image in around]
            if action.value in ids[before : before + PAGE_SIZE]:
                drawn = self.draw(studio, values, page=turned) if turned != page else {}
                return drawn | {self.dialog: self._dialog(studio, ids, action)}
        return {self.dialog: self._dialog(studio, [], action)}

    def narrow(self, studio: StudioContext, values: Values, changed: Updates) -> Updates:
        """The filters set to `changed` alone, whatever was filtered before."""
        asked = {**values, **self.filters.cleared(), **changed}
        return self.draw(studio, asked, page=0) | self.filters.set_all(studio.database, asked)

    def look_into(self, studio: StudioContext, values: Values, subset: str) -> Updates:
        """The images of one subset alone."""
        return self.narrow(studio, values, {self.filters.within: f"{CHOSEN}{subset}"})

    def look_at(self, studio: StudioContext, values: Values, dataset: str) -> Updates:
        """The images of one dataset alone."""
        return self.narrow(studio, values, {self.filters.facets["dataset"]: f"{CHOSEN}{dataset}"})

    def _named(self, values: Values) -> str:
        return (values[self.filters.name] or "").strip()

    def _dialog(self, studio: StudioContext, ids: Sequence[str], action: PageAction) -> str:
        image = get_corpus_image(studio.database, studio.settings, action.value)
        shown = Shown(action.action)
        place = ids.index(image.id) if image.id in ids else -1
        return corpus_dialog(
            image,
            terms_of(studio.database, [image.dataset])[image.dataset],
            opening=action.nonce,
            shown=shown,
            measured=None if shown is Shown.IMAGE else outlined(studio.settings, image),
            previous=ids[place - 1] if place > 0 else None,
            following=ids[place + 1] if 0 <= place < len(ids) - 1 else None,
        )


def build_browse(studio: StudioContext) -> BrowsePanel:
    """Lay the panel out and wire it."""
    with gr.Column(elem_classes="df-panel"):
        gr.Markdown("## Browse", elem_classes="df-heading", container=False)
        filters = build_corpus_filters()
        cards = html_block(NO_IMAGES, elem_id="corpus-cards")
        with gr.Row(elem_classes="df-pager"):
            previous = gr.Button("← Previous", size="sm", interactive=False, min_width=80)
            place = gr.Markdown("", container=False, elem_id="corpus-place")
            following = gr.Button(
                "Next →", size="sm", interactive=False, min_width=80, elem_id="corpus-next"
            )
            number = gr.Number(
                value=1,
                label="Page of 1",
                precision=0,
                elem_id="corpus-page",
                elem_classes="df-page-number",
            )
    panel = BrowsePanel(
        filters=filters,
        cards=cards,
        dialog=html_block(elem_id="corpus-dialog-slot"),
        place=place,
        previous=previous,
        following=following,
        number=number,
        page=gr.State(0),
        actions=bridge(BRIDGE),
    )
    _wire(panel, studio)
    return panel


def _wire(panel: BrowsePanel, studio: StudioContext) -> None:
    @guarded
    def first(values: Values) -> Updates:
        return panel.draw(studio, values, page=0)

    @guarded
    def previous(values: Values) -> Updates:
        return panel.draw(studio, values, page=values[panel.page] - 1)

    @guarded
    def following(values: Values) -> Updates:
        return panel.draw(studio, values, page=values[panel.page] + 1)

    @guarded
    def go(values: Values) -> Updates:
        return panel.draw(studio, values, page=int(values[panel.number] or 1) - 1)

    @guarded
    def clear(values: Values) -> Updates:
        return panel.narrow(studio, values, {})

    @guarded
    def act(values: Values) -> Updates:
        action = read_action(values[panel.actions])
        if action.action not in [*Shown]:
            raise ActionError(f"Browse does not know {action.action!r}: reload the page.")
        return panel.open(studio, values, action)

    filters, inputs, outputs = panel.filters, panel.inputs, panel.outputs
    quiet: dict[str, Any] = {"show_progress": "hidden"}
    chosen = [part.input for part in (filters.within, *filters.facets.values())]
    gr.on(
        [filters.name.change, *chosen], first, inputs, outputs, trigger_mode="always_last", **quiet
    )
    panel.previous.click(previous, inputs, outputs, **quiet)
    panel.following.click(following, inputs, outputs, **quiet)
    panel.number.submit(go, {*inputs, panel.number}, outputs, **quiet)
    filters.clear.click(clear, inputs, outputs, **quiet)
    on_action(panel.actions, act, {*inputs, panel.actions}, outputs)
