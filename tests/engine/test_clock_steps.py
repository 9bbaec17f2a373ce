"""The database's clock is put back: nothing stands still for that."""

from collections.abc import Iterator
from uuid import UUID

import pytest

from orchestrator.engine import statements
from orchestrator.engine.database import Connection
from orchestrator.models import QueueLimit
from orchestrator.services.queue_limits import Rate, set_queue_limit
from tests.engine.drawings import document, step
from tests.engine.house import House
from tests.engine.rows import beat, claim, rows
from tests.harness.clock import movable_clock, shift

A = 11
HOUR = 3600.0


@pytest.fixture
def clock(house: House) -> Iterator[Connection]:
    with movable_clock() as opened:
        beat(A)
        yield opened


def begin(house: House, *keys: str) -> UUID:
    return house.start(house.publish(document([step(key) for key in keys])))


def test_what_was_ready_before_is_claimed(house: House, clock: Connection) -> None:
    begin(house, "a")
    shift(clock, -HOUR)
    assert len(claim(A)) == 1


def test_a_lost_wake_up_is_noticed(house: House, clock: Connection) -> None:
    begin(house, "a")
    shift(clock, -HOUR)
    assert [row["queue"] for row in rows(statements.NEGLECTED_QUEUES, 2.0)] == ["default"]


def test_a_rate_begins_anew(house: House, clock: Connection) -> None:
    """As if all that it allows at once had begun this moment: the next start is half a minute away, not an hour."""
    rate = Rate(starts=2, period=60, burst=2)
    set_queue_limit(actor=house.actor, queue="default", concurrency=None, rate=rate)
    begin(house, "a", "b", "c", "d")
    assert len(claim(A, 4)) == 2
    assert claim(A, 4) == []
    shift(clock, -HOUR)
    rows(statements.SETTLE_LINES, None)
    assert QueueLimit.objects.get().line == "T"
    assert claim(A, 4) == []
    shift(clock, 31)
    assert [row["queue"] for row in rows(statements.OPEN_DUE_LINES)] == ["default"]
    assert len(claim(A, 4)) == 1
