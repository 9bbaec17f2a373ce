"""The deadline of a wait for an event counts from its beginning, whatever comes meanwhile."""

from datetime import datetime
from uuid import UUID

import pytest

from orchestrator.models import Delivery, StepLog, Token
from tests.engine.drawings import document, step
from tests.engine.house import House
from tests.engine.test_events import awaiting, heard, publish, waits
from tests.waiting import wait_until


def alarm(run_id: UUID) -> datetime | None:
    return Token.objects.get(run_id=run_id, state="W").wake_at


def test_what_is_not_wanted_does_not_prolong_it(house: House, at_work: None) -> None:
    drawn = awaiting(config={"where": {"$": "event.data > 10"}, "deadline": "PT1H", "look_back": "PT0S"})
    run_id = house.start(house.publish(document([drawn])), {"order": 17})
    waits(run_id)
    first = alarm(run_id)
    assert first is not None
    for number, amount in enumerate((1, 2), 1):
        publish(house, amount)
        ignored = Delivery.objects.filter(run_id=run_id, state="I")
        wait_until(lambda: ignored.count() == number, 10, "the event to be looked at")  # noqa: B023  asked at once
        waits(run_id)
        assert alarm(run_id) == first
    publish(house, 11)
    house.end_of(run_id)
    assert heard(run_id) == [11]


@pytest.mark.parametrize(("kept", "outcome"), [(True, "S"), (False, "T")])
def test_a_deadline_of_nothing_takes_what_is_there(house: House, at_work: None, kept: bool, outcome: str) -> None:
    if kept:
        publish(house, "early")
    drawn = [awaiting(config={"deadline": "PT0S", "look_back": "PT1H"}), step("there"), step("late")]
    run_id = house.start(house.publish(document(drawn, "hear > there", "hear.timeout > late")), {"order": 17})
    run = house.end_of(run_id)
    assert run.state == "succeeded"
    (row,) = StepLog.objects.filter(run_id=run_id, node=run.version.plan["keys"].index("hear"))
    assert row.outcome == outcome
    assert heard(run_id) == (["early"] if kept else [])
