"""Fixtures of the engine's tests."""

from collections.abc import Iterator

import pytest
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from orchestrator.engine.sandbox import Sandbox
from tests.engine.house import House, keeper_at_work, make_house, make_tools, worker_at_work
from tests.engine.spans import recorded


@pytest.fixture(scope="session")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as pool:
        yield pool


@pytest.fixture
def house(transactional_db: None) -> House:
    return make_house()


@pytest.fixture
def at_work(house: House, sandbox: Sandbox) -> Iterator[None]:
    """A worker serves the queue `default`, a keeper sweeps."""
    with worker_at_work(make_tools(sandbox)) as house.worker, keeper_at_work(house.worker.poke):
        yield


@pytest.fixture
def spans() -> Iterator[InMemorySpanExporter]:
    """Everything recorded meanwhile."""
    with recorded() as exporter:
        yield exporter
