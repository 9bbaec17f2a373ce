"""A sandbox, and what its texts may read."""

from collections.abc import Iterator

import pytest

from orchestrator.core.json_types import Json
from orchestrator.engine.sandbox import Sandbox

ROOTS: dict[str, Json] = {
    "input": {"name": "ann", "rows": [{"a": 1}, {"a": 2}], "n": 3},
    "steps": {"first": {"id": 7}},
    "errors": {},
    "run": {"id": "r1"},
}
HANGS = 60.0  # seconds: bounded, these take less than one; unbounded, hours


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as sandbox:
        yield sandbox


@pytest.fixture(scope="module")
def patient_sandbox() -> Iterator[Sandbox]:
    """With so much time that an overloaded machine, too, comes to the limit of memory first."""
    with Sandbox(expression_seconds=HANGS / 2) as sandbox:
        yield sandbox
