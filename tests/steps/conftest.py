from collections.abc import Iterator

import pytest

from orchestrator.engine.sandbox import Sandbox
from orchestrator.steps import load_modules
from orchestrator.steps.registered import forget, functions


@pytest.fixture(scope="session")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as sandbox:
        yield sandbox


@pytest.fixture
def own_functions() -> Iterator[None]:
    """Functions that a test registers are gone after it."""
    before = set(load_modules(["designer.samples.functions"]))
    yield
    forget([name for name in functions() if name not in before])
