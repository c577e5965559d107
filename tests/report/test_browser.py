"""The page in headless Chromium; skipped where no Chromium is found."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), ""
)
#: axe-core from the npm registry, where its file is named.
AXE = os.environ.get("AXE_CORE", "")
pytestmark = pytest.mark.skipif(not CHROMIUM, reason="no chromium on PATH")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with sync_api.sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield launched
        launched.close()


class Opened:
    """A page in a browser, with its errors and requests."""

    def __init__(self, browser: Any, path: Path, width: int, scheme: str) -> None:
        self.context = browser.new_context(
            viewport={"width": width, "height": 900}, color_scheme=scheme, bypass_csp=bool(AXE)
        )
        self.tab = self.context.new_page()
        self.errors: list[str] = []
        self.requests: list[str] = []
        self.tab.on("pageerror", lambda error: self.errors.append(str(error)))
        self.tab.on("console", self._console)
        self.tab.on("request", lambda request: self.requests.append(request.url))
        self.tab.goto(path.as_uri())
        self.tab.evaluate("Promise.all([...document.querySelectorAll('.chart')].map(draw))")

    def _console(self, message: Any) -> None:
        if message.type == "error":
            self.errors.append(message.text)

    @property
    def hosts(self) -> list[str]:
        """Requests to anything but the file itself."""
        return [url for url in self.requests if not url.startswith(("file:", "data:", "blob:"))]


@pytest.mark.parametrize(("width", "scheme"), [(400, "dark"), (1600, "light")])
def test_map_gallery_and_toggles_answer(browser: Any, page: Path, width: int, scheme: str) -> None:
    opened = Opened(browser, page, width, scheme)
    tab = opened.tab
    assert tab.evaluate("views.size") == tab.locator(".chart").count() > 5
    assert tab.evaluate("document.documentElement.scrollWidth") <= width
    assert tab.evaluate("document.documentElement.dataset.theme") == scheme
    tab.click("#theme")
    assert tab.evaluate("document.documentElement.dataset.theme") != scheme

    # The map: keys, and the location by its number.
    start = "views.get(document.querySelector('.map')).model.x_range.start"
    before = tab.evaluate(start)
    tab.focus(".map")
    tab.keyboard.press("+")
    assert tab.evaluate(start) > before
    tab.keyboard.press("0")
    assert tab.evaluate(start) == before
    hidden = next(i for i in range(4) if not tab.locator(f"[data-location='{i}']").count())
    tab.fill(".go input", str(hidden))
    tab.press(".go input", "Enter")
    assert f"--location {hidden}" in tab.inner_text("#facts")
    tab.keyboard.press("Escape")

    # A click on a point opens its stack.
    shown = tab.locator(".stack").first.get_attribute("data-location")
    tab.evaluate(
        """(id) => {
          for (const model of views.get(document.querySelector('.map')).model.references()) {
            if (model.name !== 'locations') continue;
            const i = Array.from(model.data_source.get_array('id')).indexOf(id);
            if (i >= 0) model.data_source.selected.indices = [i];
          }
        }""",
        int(shown),
    )
    tab.wait_for_selector("#viewer[open]")
    assert tab.inner_text("#viewer-title").startswith(shown)
    tab.keyboard.press("Escape")

    # The gallery: keys step through dates and locations.
    tab.locator(".tile").first.click()
    texts = [tab.inner_text("#viewer-text")]
    for _ in range(10):
        tab.keyboard.press("ArrowRight")
        texts.append(tab.inner_text("#viewer-text"))
    assert len(set(texts[:10])) == 10
    assert texts[10] == texts[0]
    title = tab.inner_text("#viewer-title")
    tab.keyboard.press("ArrowDown")
    assert tab.inner_text("#viewer-title") != title
    tab.keyboard.press("b")
    assert tab.get_attribute("[data-do=blink]", "aria-pressed") == "true"
    tab.wait_for_selector("#viewer-text:text('late:')")
    tab.keyboard.press("Escape")
    assert not tab.evaluate("document.getElementById('viewer').open")

    # Toggles of tables.
    toggle = tab.locator("summary").first
    toggle.focus()
    tab.keyboard.press("Enter")
    assert tab.locator("details").first.get_attribute("open") is not None
    if AXE:
        tab.evaluate(Path(AXE).read_text())
        found = tab.evaluate("axe.run()")["violations"]
        assert [v["id"] for v in found if v["impact"] in ("serious", "critical")] == []
    assert opened.errors == []
    assert opened.hosts == []
    opened.context.close()
