"""Fixtures of the harnesses."""

from collections.abc import Iterator
from contextlib import contextmanager
from math import inf
from random import Random
from typing import ClassVar
from unittest.mock import patch

import pytest

from orchestrator.engine.sandbox import Sandbox
from orchestrator.models import QueueLimit, Version
from orchestrator.services.queue_limits import set_queue_limit
from tests.engine.drawings import document, step
from tests.engine.house import House, make_house
from tests.harness.clock import movable_clock
from tests.harness.drawings import Wanted, publish_drawings, publish_nested, publish_told
from tests.harness.machine import Engine
from tests.harness.world import World

DRAWINGS = 20  # of each sort


def limit_queue(house: House) -> None:
    """Two steps of the queue `default` at once, as if for years: whatever is leased counts."""
    house.publish(document([step("a")]))
    set_queue_limit(actor=house.actor, queue="default", concurrency=2)
    QueueLimit.objects.update(changed_at="2020-01-01T00:00:00Z")


@pytest.fixture
def house(transactional_db: None) -> House:
    return make_house()


@pytest.fixture(scope="session")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as pool:
        yield pool


@pytest.fixture
def engine(house: House, sandbox: Sandbox) -> Iterator[type[Engine]]:
    """The machine on this test's database: flat and nested drawings in turn."""
    sorts = publish_drawings(house, Random(3), DRAWINGS), publish_nested(house, Random(3), DRAWINGS)
    with machine(house, sandbox, [one for pair in zip(*sorts, strict=True) for one in pair]) as made:
        yield made


@pytest.fixture
def told_engine(house: House, sandbox: Sandbox) -> Iterator[type[Engine]]:
    """The same with drawings of little else than waits for events."""
    with machine(house, sandbox, publish_told(house)) as made:
        yield made


@contextmanager
def machine(house: House, sandbox: Sandbox, drawings: list[tuple[Version, Wanted]]) -> Iterator[type[Engine]]:
    """The machine, which starts runs of these drawings."""
    # How often a lane stores follows from its items alone, not from how fast this machine does them.
    with movable_clock() as database, patch.multiple("orchestrator.engine.lane", BATCH=2, PACE=inf):

        class Machine(Engine):
            seen: ClassVar[list[str]] = []
            new_world = staticmethod(lambda: World(house, database, drawings, sandbox))

        yield Machine
