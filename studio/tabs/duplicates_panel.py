"""The components of the panel of duplicates and what they show: one page of groups."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import gradio as gr
from gradio.components import Component

from backend.corpus.decisions import count_pairs, pairs_mark
from backend.corpus.duplicate_groups import DuplicateGroup, open_groups, outline_groups
from backend.corpus.duplicate_search import DUPLICATES
from backend.corpus.picture_cards import picture_cards
from backend.corpus.states import PairState
from backend.jobs.queue import JobView, count_jobs, job_log, list_jobs, queue_position
from backend.jobs.states import OPEN, JobState
from studio.context import StudioContext
from studio.tabs.duplicates_view import (
    SHOWN_IMAGES,
    SearchRun,
    counts_html,
    empty_html,
    groups_html,
    searches_html,
)
from studio.tabs.set_choice import SetChoice

PAGE_SIZE = 6
LATEST = 2
Values = Mapping[Component, Any]
Updates = dict[Component, Any]


@dataclass(frozen=True)
class DuplicatesPanel:
    """The components of the panel; a parent tab calls `look` when it is opened.

    `timer` runs while a search is open. `groups` holds the groups as this window shows them, and
    `history` what was decided in it; `seen` tells the state of all pairs that was drawn.
    """

    sets: SetChoice
    find: gr.Button
    searches: gr.Markdown
    counts: gr.Markdown
    state: gr.Radio
    undo: gr.Button
    export: gr.Button
    notice: gr.Markdown
    cards: gr.Markdown
    earlier: gr.Button
    place: gr.Markdown
    later: gr.Button
    actions: gr.Textbox
    timer: gr.Timer
    page: gr.State
    groups: gr.State
    history: gr.State
    seen: gr.State

    @property
    def inputs(self) -> set[Component]:
        """What drawing the panel depends on."""
        return {self.sets.sets, self.state, self.page, self.seen}

    @property
    def outputs(self) -> list[Component]:
        """What drawing the panel may change."""
        drawn = [self.searches, self.counts, self.cards, self.place, self.earlier, self.later]
        return [self.sets.sets, *drawn, self.timer, self.page, self.groups, self.seen]

    def look(self, studio: StudioContext, values: Values) -> Updates:
        """Sets, searches and groups as the database has them now."""
        return self.follow(studio, values) | self.sets.offer(studio, values)

    def follow(self, studio: StudioContext, values: Values) -> Updates:
        """Searches, and groups where they changed; the timer runs while a search is open.

        Open work is counted first: a job that ends meanwhile is drawn once more, as ended.
        """
        watching = count_jobs(studio.database, states=OPEN, kinds=(DUPLICATES,)) > 0
        jobs = list_jobs(studio.database, kinds=(DUPLICATES,), limit=LATEST)
        drawn: Updates = {
            self.searches: searches_html([_run(studio, job) for job in jobs]),
            self.timer: gr.Timer(active=watching),
        }
        if pairs_mark(studio.database) != values[self.seen]:
            drawn |= self.draw(studio, values)
        return drawn

    def draw(self, studio: StudioContext, values: Values, *, page: int | None = None) -> Updates:
        """One page of the groups of the chosen state, and no other group."""
        database = studio.database
        state = PairState(values[self.state])
        seen, outlines, pairs = (
            pairs_mark(database),
            outline_groups(database),
            count_pairs(database),
        )
        found = outlines[state]
        last = max(0, (len(found) - 1) // PAGE_SIZE)
        page = min(last, max(0, values[self.page] if page is None else page))
        first = page * PAGE_SIZE
        groups = open_groups(database, found[first : first + PAGE_SIZE])
        drawn: Updates = {
            self.cards: _groups(studio, groups) or empty_html(state, sum(pairs.values())),
            self.counts: counts_html({one: len(outlines[one]) for one in PairState}, pairs),
            self.place: _place(first, len(groups), len(found)),
            self.earlier: gr.Button(interactive=page > 0),
            self.later: gr.Button(interactive=page < last),
            self.groups: groups,
            self.seen: seen,
        }
        return drawn | ({self.page: page} if page != values[self.page] else {})


def _groups(studio: StudioContext, groups: list[DuplicateGroup]) -> str:
    ids = [one for group in groups for one in group.outline.images[:SHOWN_IMAGES]]
    ids += [one for group in groups for pair in group.pairs for one in pair.ids]
    return groups_html(groups, picture_cards(studio.database, studio.settings, ids))


def _run(studio: StudioContext, job: JobView) -> SearchRun:
    lines = job_log(studio.database, job.id, limit=1) if job.state is JobState.DONE else []
    finding = lines[-1].text if lines else ""
    return SearchRun(job, queue_position(studio.database, job.id), finding)


def _place(first: int, shown: int, total: int) -> str:
    return f"{first + 1:,} to {first + shown:,} of {total:,} groups" if shown else ""
