"""A real browser for the pages that people look at: whichever chromium is installed."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from mlflow_pages import MINUTE, Open, Picture
from playwright.sync_api import Browser, ConsoleMessage, Page, expect, sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome")
# MLflow's own: it asks who is signed in, which a server without users does not answer; and chromium reports that a
# page changed its size while it was laid out, which harms nothing.
MLFLOWS_OWN = re.compile(r"/ajax-api/2\.0/mlflow/users/current$|ResizeObserver loop completed")


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("browser")
    group.addoption("--screenshots", type=Path, help="the folder that gets the pictures of the guide")


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Skips where no browser is installed; nothing is downloaded."""
    path = next((found for name in NAMES if (found := shutil.which(name))), None)
    if path is None:
        pytest.skip("no chromium is installed: apt-get install chromium")
    with sync_playwright() as running:
        opened = running.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page of a small laptop's size; the test fails when it logs an error to the console or a script throws."""
    with watched(browser, 1280) as opened:
        yield opened


@pytest.fixture
def go(browser: Browser) -> Iterator[Open]:
    """Opens one of MLflow's addresses; an error that its page logs, not one of its own, fails the test."""
    with watched(browser, 1440, MLFLOWS_OWN) as page:
        page.context.set_default_timeout(MINUTE)

        def open_page(address: str) -> Page:
            page.goto(address)
            assistant = page.locator('[data-component-id="mlflow.assistant.chat_panel.close"]')
            assistant.click()  # covers a quarter of the page until it is closed, once in a browser
            expect(assistant).to_have_count(0)
            return page

        yield open_page


@pytest.fixture
def picture(pytestconfig: pytest.Config) -> Picture:
    """Keeps what the page shows, where the pictures of the guide are asked for."""
    folder: Path | None = pytestconfig.getoption("--screenshots", None)  # unknown where other folders are asked for

    def keep(page: Page, name: str) -> None:
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
            page.mouse.move(0, 0)
            page.screenshot(path=folder / f"mlflow-{name}.png")

    return keep


@contextmanager
def watched(browser: Browser, width: int, allowed: re.Pattern[str] | None = None) -> Iterator[Page]:
    """A page in a window of its own; an error that it logs, or that a script throws, fails when it closes.

    Args:
        browser: that opens it.
        width: of the window, in pixels.
        allowed: the errors that do not count.
    """
    context = browser.new_context(viewport={"width": width, "height": 900})
    opened = context.new_page()
    errors: list[str] = []

    def heard(message: ConsoleMessage) -> None:
        if message.type == "error":
            errors.append(f"{message.text} {message.location.get('url', '')}")

    opened.on("console", heard)
    opened.on("pageerror", lambda error: errors.append(str(error)))
    yield opened
    context.close()
    assert [error for error in errors if allowed is None or not allowed.search(error)] == []
