"""The studio's page as a person uses it, for the browser tests."""

import shutil
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, Literal

from playwright.sync_api import (
    Browser,
    ConsoleMessage,
    Error,
    Locator,
    Page,
    Playwright,
    Request,
    expect,
)
from playwright.sync_api import TimeoutError as NotInTime

CHROMIUMS = ("chromium-headless-shell", "chromium", "chromium-browser")
FLAGS = [
    "--no-sandbox",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
INTERACTIVE_WITHIN_MS = 60_000
SETTLES_WITHIN_MS = 300
OPENS_WITHIN_MS = 5_000
ANSWERS_WITHIN_MS = 60_000
MADE_WITHIN_MS = 180_000


def launch_chromium(playwright: Playwright) -> Browser:
    """The system's Chromium where it is installed, Playwright's own elsewhere.

    Without a window where there is such a build: it spends nothing on bars that nobody sees.
    """
    path = next(filter(None, map(shutil.which, CHROMIUMS)), None)
    return playwright.chromium.launch(executable_path=path, args=FLAGS)


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass(frozen=True)
class Pace:
    """How long a run takes: its images' side in pixels and its steps."""

    side: int
    steps: int


AXE_RULES: Mapping[Literal["light", "dark"], Mapping[str, Any]] = {
    "light": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]},
    "dark": {"type": "rule", "values": ["color-contrast", "link-in-text-block"]},
}
AXE_ON_WHAT_IS_SHOWN = """async options => {
    const frame = () => new Promise(resolve => requestAnimationFrame(resolve));
    for (let still = 0, frames = 0; still < 3 && frames < 100; frames += 1) {
        await frame();
        const passing = document.getAnimations().filter(one => one instanceof CSSTransition);
        passing.forEach(one => one.finish()); // one that ends may start that of a part inside
        still = passing.length ? 0 : still + 1;
    }
    const panels = [...document.querySelectorAll('[role="tabpanel"]')];
    const folded = document.querySelectorAll("details:not([open]) > :not(summary)");
    const closed = [...panels, ...folded].filter(part => !part.checkVisibility());
    const found = await axe.run(closed.length ? {exclude: closed} : document, options);
    return found.violations;
}"""
STREAM_ENDED = (
    "AbortError: signal is aborted without reason",
    "Unexpected error Connection errored out.",
)


class StudioPage:
    """One window of the studio and everything it complained about or asked for."""

    def __init__(self, page: Page, address: str) -> None:
        self.page = page
        self.address = address
        self.complaints: list[str] = []
        self.foreign: list[str] = []
        page.set_default_timeout(ANSWERS_WITHIN_MS)
        page.on("console", self._hear)
        page.on("pageerror", self._hear_error)
        page.on("request", self._see)

    def open(self) -> None:
        """Load the page and wait until it can be used."""
        self.page.goto(self.address)
        self.page.locator("#compose-generate").wait_for(timeout=INTERACTIVE_WITHIN_MS)
        self.page.locator('[data-fact="worker"]').wait_for(timeout=INTERACTIVE_WITHIN_MS)

    def reload(self) -> None:
        """Press F5.

        Gradio's client ends its event stream when a page goes, which may be reported as an error
        of the page that is gone.
        """
        self.page.reload()
        self.complaints = [said for said in self.complaints if not said.startswith(STREAM_ENDED)]
        self.page.locator('[data-fact="worker"]').wait_for(timeout=INTERACTIVE_WITHIN_MS)

    def tab(self, name: str) -> None:
        """Open a tab by its id."""
        self.page.locator(f'[role="tab"][data-tab-id="{name}"]').click()

    def choose(self, group: str, value: str) -> None:
        """Choose one of a group of radio buttons or tick one of its boxes, by its words."""
        self.page.locator(f"#{group}").get_by_text(value, exact=True).click()

    def pick(self, dropdown: str, option: str) -> None:
        """Choose an option of a drop-down list.

        An answer that draws the list anew closes it: it is opened once more, as a person would.
        """
        field = self.page.locator(f"#{dropdown} input")
        entry = self.page.locator(f"#{dropdown}").get_by_role("option", name=option, exact=True)

        def chosen() -> bool:
            field.click()
            try:
                entry.click(timeout=OPENS_WITHIN_MS)
            except NotInTime:
                field.blur()
                return False
            return True

        self.eventually(chosen)

    @property
    def caption(self) -> Locator:
        """The caption box of Compose."""
        return self.page.locator("#caption textarea")

    @property
    def generate_caption(self) -> Locator:
        """The caption box of Generate."""
        return self.page.locator("#generate-caption textarea")

    def number(self, name: str) -> Locator:
        """The box of a number in the Generate form."""
        return self.page.locator(f"#{name} input")

    def fill_number(self, name: str, value: int) -> None:
        """Type a number and leave the box."""
        self.type_into(self.number(name), value)

    def type_into(self, box: Locator, value: object) -> None:
        """Type and leave the box, once more where an answer on its way undid it."""

        def kept() -> bool:
            box.fill(str(value))
            box.blur()
            self.page.wait_for_timeout(SETTLES_WITHIN_MS)
            return box.input_value() == str(value)

        self.eventually(kept)

    def set_steps(self, steps: int) -> None:
        """Set the steps in the part of the form that is folded away."""
        field = self.page.locator('#steps input[type="number"]')
        if not field.is_visible():
            self.page.locator("#more-settings .label-wrap").click()
        # The answer to opening the tab may come after the typing and draw the form anew; the
        # slider beside the box shows what the form holds.
        slider = self.page.locator('#steps input[type="range"]')

        def taken() -> bool:
            field.fill(str(steps))
            field.blur()
            self.page.wait_for_timeout(SETTLES_WITHIN_MS)
            return slider.input_value() == field.input_value() == str(steps)

        self.eventually(taken)

    def set_pace(self, pace: Pace) -> None:
        """Choose size and steps."""
        self.pick("size", f"{pace.side} × {pace.side}")
        self.set_steps(pace.steps)

    def generate(self) -> str:
        """Press Generate and return the id of the job that appears first among the runs."""
        first = "document.querySelector('#runs .df-run')?.dataset.job"
        before = self.page.evaluate(first)
        self.page.locator("#generate").click()
        appeared = f"before => {first} !== undefined && {first} !== before"
        self.page.wait_for_function(appeared, arg=before)
        return str(self.page.evaluate(first))

    def run(self, job_id: str) -> Locator:
        """What is shown of a run."""
        return self.page.locator(f'#runs .df-run[data-job="{job_id}"]')

    def run_state(self, job_id: str, state: str, timeout: int = MADE_WITHIN_MS) -> None:
        """Wait until a run is shown in this state."""
        expect(self.run(job_id)).to_have_attribute("data-state", state, timeout=timeout)

    @property
    def toast(self) -> Locator:
        """The last sentence that was shown to the person."""
        return self.page.locator('[data-testid="toast-text"]').last

    def expect_sentence(self, text: str) -> None:
        """Wait for a sentence that contains this, and close it."""
        expect(self.toast).to_contain_text(text)
        self.page.locator('[data-testid="toast-close"]').last.click()

    def eventually(self, holds: Callable[[], bool], timeout_ms: int = ANSWERS_WITHIN_MS) -> None:
        """Wait until something outside the page holds."""
        for _ in range(timeout_ms // 100):
            if holds():
                return
            self.page.wait_for_timeout(100)
        raise AssertionError("It did not come about in time.")

    def axe(self) -> list[dict[str, Any]]:
        """What axe-core finds against WCAG 2.1 A and AA on the page as it is shown, light and dark.

        In the dark only what depends on colours is looked at again.
        """
        if not self.page.evaluate("typeof window.axe === 'object'"):
            self.page.evaluate(files("axe_core_python").joinpath("axe.min.js").read_text("utf-8"))
        return [
            violation
            for scheme, rules in AXE_RULES.items()
            for violation in self._axe_in(scheme, rules)
        ]

    def _axe_in(self, scheme: Literal["light", "dark"], rules: Mapping[str, Any]) -> Any:
        self.page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        expect(self.page.locator("body.dark")).to_have_count(1 if scheme == "dark" else 0)
        options = {"runOnly": rules, "resultTypes": ["violations"]}
        return self.page.evaluate(AXE_ON_WHAT_IS_SHOWN, options)

    def expect_clean(self) -> None:
        """No error on the console, and no request to any other machine."""
        assert not self.complaints, self.complaints
        assert not self.foreign, self.foreign

    def _hear(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.complaints.append(f"{message.text} ({message.location.get('url', '')})")

    def _hear_error(self, error: Error) -> None:
        self.complaints.append(str(error))

    def _see(self, request: Request) -> None:
        if not request.url.startswith((self.address, "data:", "blob:")):
            self.foreign.append(request.url)
