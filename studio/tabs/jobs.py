"""The Jobs tab: everything long, with cancel, retry, log and remove."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import gradio as gr
from gradio.components import Component

from backend.jobs.queue import (
    count_jobs,
    get_job,
    job_log,
    list_jobs,
    queue_position,
)
from backend.jobs.states import OPEN, JobState
from backend.store.columns import now
from studio.actions import PageAction, bridge, on_action, read_action
from studio.context import StudioContext
from studio.guard import guarded, guarded_tick
from studio.job_actions import act_on_job
from studio.markup import html_block
from studio.tabs.jobs_view import BRIDGE, NO_JOBS, jobs_table, log_html
from studio.wording import ANY, choices

PAGE_SIZE = 20
TICK_S = 1.0
Values = Mapping[Component, Any]
Updates = dict[Component, Any]


@dataclass(frozen=True)
class JobsTab:
    """The components of the tab; `read_log` is the job whose log is open."""

    state: gr.Dropdown
    table: gr.Markdown
    log: gr.Markdown
    place: gr.Markdown
    newer: gr.Button
    older: gr.Button
    actions: gr.Textbox
    timer: gr.Timer
    page: gr.State
    read_log: gr.State

    @property
    def inputs(self) -> set[Component]:
        """What drawing the tab depends on."""
        return {self.state, self.page, self.read_log}

    @property
    def outputs(self) -> list[Component]:
        """What drawing the tab may change."""
        shown = [self.table, self.log, self.place, self.newer, self.older, self.timer]
        return [*shown, self.page, self.read_log]

    def draw(self, studio: StudioContext, values: Values, *, page: int | None = None) -> Updates:
        """The page of jobs and the open log; the timer runs while a job is open.

        States that did not change are left out: a tick must not undo what was pressed meanwhile.
        """
        database = studio.database
        # Counted before the rows are read: a job that ends meanwhile is drawn once more, as ended.
        busy = count_jobs(database, states=OPEN) > 0
        states = (JobState(values[self.state]),) if values[self.state] else ()
        total = count_jobs(database, states=states)
        last = max(0, (total - 1) // PAGE_SIZE)
        page = min(last, max(0, values[self.page] if page is None else page))
        offset = page * PAGE_SIZE
        jobs = list_jobs(database, states=states, limit=PAGE_SIZE, offset=offset)
        positions = {
            job.id: queue_position(database, job.id) for job in jobs if job.state is JobState.QUEUED
        }
        return {
            self.table: jobs_table(jobs, positions, now()),
            self.log: self._log(studio, values[self.read_log]),
            self.place: f"{offset + 1} to {offset + len(jobs)} of {total:,}" if jobs else "",
            self.newer: gr.Button(interactive=page > 0),
            self.older: gr.Button(interactive=page < last),
            self.timer: gr.Timer(active=busy),
        } | ({self.page: page} if page != values[self.page] else {})

    def _log(self, studio: StudioContext, job_id: str | None) -> str:
        if job_id is None:
            return ""
        return log_html(get_job(studio.database, job_id), job_log(studio.database, job_id))


def build_jobs(studio: StudioContext) -> JobsTab:
    """Lay the tab out and wire it."""
    with gr.Column(elem_classes="df-panel"):
        gr.Markdown("## Jobs", elem_classes="df-heading", container=False)
        state = gr.Dropdown(
            choices(JobState, ANY),
            value="",
            label="State",
            filterable=False,
            elem_id="jobs-state",
            elem_classes="df-narrow",
        )
        table = html_block(NO_JOBS, elem_id="jobs")
        with gr.Row(elem_classes="df-pager"):
            newer = gr.Button("← Newer", size="sm", interactive=False, min_width=80)
            place = gr.Markdown("", container=False, elem_id="jobs-place")
            older = gr.Button(
                "Older →", size="sm", interactive=False, min_width=80, elem_id="jobs-older"
            )
        log = html_block(elem_id="job-log")
    tab = JobsTab(
        state=state,
        table=table,
        log=log,
        place=place,
        newer=newer,
        older=older,
        actions=bridge(BRIDGE),
        timer=gr.Timer(TICK_S, active=False),
        page=gr.State(0),
        read_log=gr.State(None),
    )
    _wire(tab, studio)
    return tab


def _wire(tab: JobsTab, studio: StudioContext) -> None:
    @guarded
    def first_page(values: Values) -> Updates:
        return tab.draw(studio, values, page=0)

    @guarded
    def newer(values: Values) -> Updates:
        return tab.draw(studio, values, page=values[tab.page] - 1)

    @guarded
    def older(values: Values) -> Updates:
        return tab.draw(studio, values, page=values[tab.page] + 1)

    @guarded_tick
    def look(values: Values) -> Updates:
        return tab.draw(studio, values)

    @guarded
    def act(values: Values) -> Updates:
        log = _act(studio, read_action(values[tab.actions]), values[tab.read_log])
        return {tab.read_log: log} | tab.draw(studio, {**values, tab.read_log: log})

    quiet = {"show_progress": "hidden", "concurrency_limit": None}
    tab.state.input(first_page, tab.inputs, tab.outputs, **quiet)
    tab.newer.click(newer, tab.inputs, tab.outputs, **quiet)
    tab.older.click(older, tab.inputs, tab.outputs, **quiet)
    tab.timer.tick(look, tab.inputs, tab.outputs, **quiet)
    on_action(tab.actions, act, {*tab.inputs, tab.actions}, tab.outputs)


def _act(studio: StudioContext, action: PageAction, read_log: str | None) -> str | None:
    """Do what was pressed; returns the job whose log is open afterwards."""
    if action.action == "log":
        return action.value
    if action.action == "close_log":
        return None
    act_on_job(studio, action.action, action.value)
    return None if action.action == "remove" and read_log == action.value else read_log
