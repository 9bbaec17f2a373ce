"""H1 on the real PostgreSQL: bounded here, longer by `make chaos`."""

import os

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.engine.house import House
from tests.harness.conftest import limit_queue
from tests.harness.machine import Engine

pytestmark = pytest.mark.chaos

LONG = os.environ.get("BRANCHLINE_CHAOS") == "long"
EXAMPLES = 500 if LONG else 45
STEPS = 60 if LONG else 40

BOUNDED = settings(
    max_examples=EXAMPLES,
    stateful_step_count=STEPS,
    deadline=None,
    database=None,  # the same on every machine
    derandomize=not LONG,
    suppress_health_check=list(HealthCheck),
)


def test_a_limited_queue_gives_no_place_twice_and_loses_none(engine: type[Engine], house: House) -> None:
    """fsck's I19 after each step, whoever dies, is stopped, paused or cancelled; and every run ends."""
    limit_queue(house)
    run_state_machine_as_test(engine, settings=settings(BOUNDED, max_examples=EXAMPLES if LONG else 20))


def test_events_are_neither_missed_nor_doubled_nor_out_of_order(told_engine: type[Engine]) -> None:
    """I12 to I14 after each step, where turns of repeats wait for one event after another."""
    run_state_machine_as_test(told_engine, settings=settings(BOUNDED, max_examples=EXAMPLES if LONG else 20))


def test_nothing_is_lost_or_doubled_whatever_happens_to_a_call(engine: type[Engine]) -> None:
    run_state_machine_as_test(engine, settings=BOUNDED)
