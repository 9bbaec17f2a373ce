"""What every test may ask for: a real PostgreSQL and Valkey, started once per session when first needed."""

from collections.abc import Iterator
from unittest.mock import patch

import pytest
from django.conf import settings
from django.core.cache import cache
from django.test import TransactionTestCase

from orchestrator.engine import log_context
from tests.emptying import empty_tables
from tests.open_sessions import check_closed, stop_observing
from tests.servers import child_environment, servers, stop_servers


def pytest_unconfigure() -> None:
    stop_observing()
    stop_servers()


@pytest.fixture(scope="session", autouse=True)
def quick_teardown() -> Iterator[None]:
    """Tests that commit leave empty tables, by our means."""
    with patch.object(TransactionTestCase, "_fixture_teardown", empty_tables):
        yield


@pytest.fixture(autouse=True)
def closed_sessions(request: pytest.FixtureRequest) -> Iterator[None]:
    """A test whose sessions stay open fails, not whoever drops the database in the end."""
    yield
    if request.node.get_closest_marker("browser") is None:  # those share processes that go on
        check_closed()


@pytest.fixture(autouse=True)
def own_context() -> Iterator[None]:
    """A test that does a worker's work in its own thread leaves nothing for the log lines of the next."""
    token = log_context.about(dict)
    yield
    log_context.forget(token)


@pytest.fixture(scope="session")
def running_servers() -> None:
    """PostgreSQL and Valkey answer from here on."""
    servers()


@pytest.fixture(scope="session")
def django_db_modify_db_settings(running_servers: None) -> None:
    """pytest-django makes the test database after this: the first database test starts the servers."""


@pytest.fixture
def valkey(running_servers: None) -> Iterator[str]:
    """The URL of a Valkey (as redis-py reads it) whose cache is empty."""
    cache.clear()
    yield settings.REDIS_URL
    cache.clear()


@pytest.fixture
def process_environment(transactional_db: None, running_servers: None) -> dict[str, str]:
    """Variables for a child process (worker, web, command) that must work on this test's database."""
    return child_environment()
