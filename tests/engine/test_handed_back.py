"""Since when a step counts its time that a worker has handed back."""

import json
from typing import Any

from orchestrator.engine import statements
from tests.engine.drawings import document, step
from tests.engine.house import House
from tests.engine.rows import beat, claim, rows
from tests.harness.clock import movable_clock, shift

A = 11


def begin(house: House) -> dict[str, Any]:
    """The lease of a run's one step."""
    house.start(house.publish(document([step("a")])))
    beat(A)
    (lease,) = claim(A)
    return lease


def answer(lease: dict[str, Any], **item: Any) -> None:
    rows(statements.ADVANCE, A, json.dumps([{"t": lease["id"], "e": lease["epoch"], **item}]))


def test_a_step_that_was_handed_back_has_not_begun(house: House) -> None:
    lease = begin(house)
    began = lease["started_at"]
    answer(lease, then="back")
    with movable_clock() as clock:
        shift(clock, 900)
        (lease,) = claim(A)
    assert (lease["attempt"], lease["first_started_at"]) == (1, lease["started_at"])
    assert (lease["started_at"] - began).total_seconds() > 800


def test_one_that_had_begun_before_has(house: House) -> None:
    lease = begin(house)
    began = lease["started_at"]
    answer(lease, then="retry", o="F", delay=0, waiting={"kind": "retry"})
    rows(statements.FIRE_TIMERS, 10)
    (lease,) = claim(A)
    answer(lease, then="back")
    (lease,) = claim(A)
    assert (lease["attempt"], lease["first_started_at"]) == (2, began)


def test_so_has_one_that_has_waited(house: House) -> None:
    lease = begin(house)
    began = lease["started_at"]
    answer(lease, then="wait", delay=0, waiting={"kind": "time"})
    rows(statements.FIRE_TIMERS, 10)
    (lease,) = claim(A)
    answer(lease, then="back")
    (lease,) = claim(A)
    assert (lease["attempt"], lease["first_started_at"]) == (1, began)
