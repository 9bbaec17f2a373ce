"""Tests of the test: the same draws give the same world, or Hypothesis could not repeat and shrink what it finds."""

import time
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import invariant, run_state_machine_as_test

from orchestrator.engine.database import Connection
from tests.harness.clock import movable_clock, shift
from tests.harness.machine import Engine

FEW = settings(
    max_examples=5,
    stateful_step_count=40,
    phases=[Phase.generate],
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)
#: Where every run stands, told without what is new in each world: ids and times.
ROWS = """
SELECT 'token' AS what, node, state::text, epoch, attempt, lost::int AS more FROM orchestrator_token
UNION ALL
SELECT 'log', node, outcome::text, generation, attempt, final::int FROM orchestrator_steplog
ORDER BY 1, 2, 3, 4, 5, 6
"""


def played(engine: type[Engine], slowness: float) -> list[list[dict[str, Any]]]:
    """How a few examples of one seed go, on a machine that is slower by so many seconds a step."""
    seen: list[list[dict[str, Any]]] = []

    class Told(engine):  # type: ignore[misc, valid-type]  # a fixture's class
        @invariant()
        def tell(self) -> None:
            time.sleep(slowness)  # what a slow machine does; nothing is waited for
            rows = self.world.database.execute(ROWS).fetchall()
            seen.append([{"in hand": [len(one.in_hand) for one in self.world.processes]}, *rows])

    run_state_machine_as_test(seed(7)(Told), settings=FEW)
    return seen


@pytest.mark.django_db(transaction=True)
def test_the_clock_stands_while_time_passes() -> None:
    """It moves when it is told to, and enough at each reading for what comes later to be later."""
    with movable_clock() as database:
        first, second = (read(database) for _ in range(2))
        database.execute("SELECT pg_sleep(0.05)")
        third = read(database)
        shift(database, -1)
        fourth = read(database)
    assert first < second < third < first + timedelta(milliseconds=1)
    assert fourth < first


def read(database: Connection) -> datetime:
    row = database.execute("SELECT clock_timestamp() AS now").fetchone()
    assert row is not None
    now: datetime = row["now"]
    return now


def test_a_slow_machine_plays_the_same_world(engine: type[Engine]) -> None:
    fast, slow = played(engine, 0), played(engine, 0.01)
    assert len(fast) > 50
    assert fast == slow
