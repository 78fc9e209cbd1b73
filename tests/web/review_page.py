"""The Review tab as its users go through it, by keyboard, and its HTTP API beside it."""

import re
import time
import uuid
from collections.abc import Callable
from typing import Any

import httpx
from playwright.sync_api import Browser, Locator, expect

from tests.web.running_studio import MADE_WITHIN_S
from tests.web.studio_page import ANSWERS_WITHIN_MS, StudioPage

MOST_STOPS = 80
SAVED_WITHIN_MS = 30_000


class ReviewPage(StudioPage):
    """A window of the studio on its Review tab."""

    def open_review(self) -> None:
        """Load the page and open the tab."""
        self.open()
        self.tab("review")
        self.root.wait_for()

    @property
    def root(self) -> Locator:
        """All of the tab."""
        return self.page.locator(".rv-root")

    @property
    def title(self) -> Locator:
        """The title of the screen that is shown."""
        return self.root.locator(".rv-title")

    def card(self, name: str) -> Locator:
        """A set in the list."""
        return self.root.locator(f'[data-set="{name}"]')

    def button(self, name: str, within: Locator | None = None) -> Locator:
        """A button by its words."""
        return (within or self.root).get_by_role("button", name=name, exact=True)

    def part(self, name: str) -> None:
        """Go to another part of the tab with the mouse."""
        self.button(name, self.root.get_by_role("navigation", name="Review")).click()

    def judge(self, name: str) -> None:
        """Open a set for judging with the mouse."""
        self.card(name).get_by_role("button", name=re.compile("^(Judge|Go on judging)$")).click()
        expect(self.title).to_contain_text("Item")
        expect(self.picture).to_be_visible()

    @property
    def picture(self) -> Locator:
        """The picture that is judged."""
        return self.root.locator(".rv-stage img")

    def press(self, *keys: str) -> None:
        """Press keys one after the other."""
        for key in keys:
            self.page.keyboard.press(key)

    def reach(self, target: Locator) -> None:
        """Go to a control with Tab alone."""
        target.wait_for()
        for _ in range(MOST_STOPS):
            if target.evaluate("one => one === document.activeElement"):
                return
            self.press("Tab")
        raise AssertionError(f"{target} cannot be reached by keyboard.")

    def enter(self, target: Locator) -> None:
        """Go to a control with Tab alone and press it."""
        self.reach(target)
        self.press("Enter")

    def write(self, target: Locator, text: str) -> None:
        """Go to a field with Tab alone and type over what is in it."""
        self.reach(target)
        self.press("ControlOrMeta+a")
        self.page.keyboard.type(text)

    def at_item(self, position: int) -> None:
        """Wait for an item to be shown."""
        expect(self.title).to_have_text(re.compile(rf"^Item {position} of "))

    def wait_saved(self) -> None:
        """Wait until everything that was decided is saved."""
        expect(self.root).to_have_attribute("data-unsaved", "0", timeout=SAVED_WITHIN_MS)

    def runs_over(self) -> list[str]:
        """What is wider than the screen and not inside something that scrolls."""
        found: list[str] = self.page.evaluate(
            """() => {
                 const inside = '.df-scroll, .rv-parts, .rv-frame, .df-sr';
                 const edge = document.documentElement.clientWidth + 1;
                 return [...document.querySelectorAll('.rv-root *')]
                   .filter((one) => one.checkVisibility() && !one.closest(inside))
                   .filter((one) => one.getBoundingClientRect().right > edge)
                   .map((one) => one.outerHTML.slice(0, 120));
               }"""
        )
        return found


def review_window(
    browser: Browser, address: str, name: str | None, *, width: int = 1280, scheme: str = "light"
) -> ReviewPage:
    """A fresh profile on the Review tab, under a name where one is given; the caller closes it."""
    context = browser.new_context(
        viewport={"width": width, "height": 900},
        color_scheme="dark" if scheme == "dark" else "light",
        reduced_motion="reduce",
        accept_downloads=True,
    )
    context.add_init_script("localStorage.setItem('dermaflux.walkthrough', '1')")
    if name:
        context.add_init_script(f"localStorage.setItem('dermaflux.review.name', '{name}')")
    opened = ReviewPage(context.new_page(), address)
    opened.open_review()
    return opened


class ReviewClient:
    """A script that reviews over HTTP under a name."""

    def __init__(self, address: str, name: str) -> None:
        self._root = f"{address}review/api"
        self._name = name

    def _ask(self, method: str, path: str, body: object = None) -> Any:
        answer = httpx.request(
            method,
            self._root + path,
            json=body,
            headers={"X-Reviewer": self._name},
            timeout=ANSWERS_WITHIN_MS / 1000,
        )
        return answer.raise_for_status().json()

    def get(self, path: str) -> Any:
        """The answer to a question."""
        return self._ask("GET", path)

    def post(self, path: str, **body: object) -> Any:
        """The answer to an order."""
        return self._ask("POST", path, body or None)

    def make(self, **asked: object) -> str:
        """The id of a new set, once the worker has made it."""
        job = self.post("/sets", **asked)["job"]
        deadline = time.monotonic() + MADE_WITHIN_S
        while not (one := self.get(f"/jobs/{job}"))["set"]:
            assert not one["error"], one["error"]
            assert time.monotonic() < deadline, "The set was not made in time."
            time.sleep(0.1)
        return str(one["set"])

    def set_id(self, name: str) -> str:
        """The id of a set."""
        return next(str(one["id"]) for one in self.get("/sets") if one["name"] == name)

    def give(self, set_id: str, item: dict[str, Any], answer: str, **more: object) -> Any:
        """A first verdict."""
        body = {"key": uuid.uuid4().hex, "revision": 0, "answer": answer, "seconds": 5.0, **more}
        return self._ask("PUT", f"/sets/{set_id}/items/{item['id']}/verdict", body)

    def judge_all(self, set_id: str, verdict: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
        """Judge everything that is left, as `verdict` says of each item."""
        while items := self.get(f"/sets/{set_id}/next?count=10")["items"]:
            for item in items:
                self.give(set_id, item, **verdict(item))
