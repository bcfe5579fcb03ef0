"""The Chromium of this machine, and pages in it that remember what went wrong.

All of it blocks, and needs no reactor.
"""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib.resources import files
from typing import Any, Literal
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, Request, sync_playwright

__all__ = ["DESKTOP", "WAIT_MS", "Opened", "Theme", "accessibility_faults", "chromium", "opened"]

Theme = Literal["light", "dark"]

WAIT_MS = 20_000
"""For anything that a page is about to show. A machine may be busy with other things."""
DESKTOP = 1280, 900

_OPTIONS = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync"
)
_NOTICE_VIOLATIONS = """
window.violations = [];
addEventListener("securitypolicyviolation", (event) =>
  violations.push(`${event.violatedDirective}: ${event.blockedURI}`));
"""
_AXE = """async () => (await axe.run()).violations.map(
  (each) => `${each.id}: ${each.nodes.map((node) => node.html + node.failureSummary).join()}`)"""


@contextmanager
def chromium() -> Iterator[Browser]:
    """The browser; skips the test where there is none."""
    program = shutil.which("chromium")
    if program is None:
        pytest.skip("there is no chromium here")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=_OPTIONS.split())
        yield browser
        browser.close()


class Opened:
    """The live page of the front-end at `url`, in a window of its own."""

    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        self.errors: list[str] = []
        """What the browser or a script complained of."""
        self.hosts: set[str] = set()
        """What it asked for anything."""
        page.set_default_timeout(WAIT_MS)
        page.add_init_script(_NOTICE_VIOLATIONS)
        page.on("console", self._said)
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("request", self._requested)
        page.goto(f"{url}/")

    def _said(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.errors.append(f"{message.text} ({message.location['url']})")

    def _requested(self, request: Request) -> None:
        address = urlsplit(request.url)
        if address.scheme != "data":
            self.hosts.add(f"{address.scheme}://{address.netloc}")

    def violations(self) -> list[str]:
        """What the policy has forbidden it."""
        found: list[str] = self.page.evaluate("violations")
        return found

    def wait(self, selector: str, text: str = "") -> None:
        """Wait until an element is shown, with `text` in it."""
        self.page.locator(selector).filter(has_text=text).first.wait_for()

    def wait_live(self) -> None:
        """Wait until it shows the present."""
        self.wait("#state[data-state=live]")

    def text(self, selector: str) -> str:
        """What an element shows."""
        return self.page.locator(selector).inner_text()

    def said(self) -> str:
        """What a screen reader is told of what happens."""
        return self.page.locator("#read-out").text_content() or ""

    def numbers(self) -> list[int]:
        """The orders on the tape, the last one first."""
        script = "[...document.querySelectorAll('#tape tr')].map((row) => +row.dataset.number)"
        found: list[int] = self.page.evaluate(script)
        return found

    def wait_number(self, number: int) -> None:
        """Wait until an order is on the tape."""
        self.page.locator(f"#tape tr[data-number='{number}']").wait_for()


@contextmanager
def opened(
    browser: Browser, url: str, size: tuple[int, int] = DESKTOP, theme: Theme = "light"
) -> Iterator[Opened]:
    """The live page, as somebody sees it who comes for the first time."""
    width, height = size
    context = browser.new_context(
        viewport={"width": width, "height": height}, color_scheme=theme, locale="en-GB"
    )
    page = context.new_page()
    try:
        yield Opened(page, url)
    finally:
        # An answer that a test is changing when the page is closed is not wanted any more.
        page.unroute_all(behavior="ignoreErrors")
        context.close()


@cache
def _axe() -> str:
    return files("axe_playwright_python").joinpath("axe.min.js").read_text()


def accessibility_faults(page: Page) -> list[str]:
    """What axe-core finds."""
    # The debugger's own evaluation is not bound by the policy of the page.
    if not page.evaluate("'axe' in window"):
        page.evaluate(_axe())
    found: Any = page.evaluate(_AXE)
    return [*found]
