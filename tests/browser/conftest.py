"""The real product in front of a real Chromium.

Everything that is slow to start (web process, worker node, browser) lives as long as the tests of this folder, which
therefore run together, after all others; each test has a workspace of its own.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.db import connection
from playwright.sync_api import Browser, sync_playwright
from pytest_django.plugin import DjangoDbBlocker

from tests.browser.site import Site
from tests.browser.web import Web, web_at_work
from tests.emptying import empty_tables
from tests.open_sessions import check_closed
from tests.scenarios.driver import workers
from tests.servers import child_environment

HERE = Path(__file__).parent
ARGUMENTS = ("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-dev-shm-usage")
UNSAFE = "DJANGO_ALLOW_ASYNC_UNSAFE"


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Together and last: Playwright keeps an event loop in the main thread that tests of coroutines cannot share."""
    items.sort(key=lambda item: item.path.is_relative_to(HERE))
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.browser)
            item.add_marker(pytest.mark.django_db)


@pytest.fixture
def _django_db_helper() -> None:
    """The mark makes pytest-django set the database up; emptying it after each test would take the worker's session."""


@pytest.fixture(scope="package")
def browser_database(
    django_db_setup: None, running_servers: None, django_db_blocker: DjangoDbBlocker
) -> Iterator[dict[str, str]]:
    """The test database, which keeps its rows until the last test here; yields the environment of child processes."""
    with pytest.MonkeyPatch.context() as patch, django_db_blocker.unblock():
        # Playwright's loop runs in this thread, but no coroutine of ours does.
        patch.setenv(UNSAFE, "true")
        yield {name: value for name, value in child_environment().items() if name != UNSAFE}
        empty_tables()
        check_closed()


@pytest.fixture(scope="package")
def web(browser_database: dict[str, str]) -> Iterator[Web]:
    """The web process and a worker node."""
    with web_at_work(browser_database) as running, workers(browser_database):
        yield running


@pytest.fixture
def process_environment(browser_database: dict[str, str]) -> dict[str, str]:
    """Variables for further child processes: unlike elsewhere, nothing is emptied after the test."""
    return browser_database


@pytest.fixture(scope="package")
def chromium() -> Iterator[Browser]:
    """A headless Chromium."""
    path = os.environ.get("CHROMIUM") or "/usr/bin/chromium"
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path, args=list(ARGUMENTS))
        yield browser
        browser.close()
        # Under Playwright's loop this thread has a connection of its own, which nobody finds once the loop has ended.
        connection.close()


@pytest.fixture
def site(web: Web, chromium: Browser) -> Iterator[Site]:
    """A fresh workspace and windows on it; what the browser complains about fails the test."""
    opened = Site(web, chromium)
    yield opened
    opened.close()
