"""Whatever changes events or their deliveries says so: who publishes, and the worker at whose step one arrives."""

from typing import Any
from uuid import UUID

import pytest

from orchestrator.engine.dispatch import Herald
from orchestrator.models import Delivery
from orchestrator.services.dead_letters import discard_delivery
from tests.engine.drawings import document
from tests.engine.house import House
from tests.engine.test_events import awaiting, publish, waits
from tests.waiting import wait_until


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[UUID | None]:
    """The runs of which was said that an event had to do with them; None for an event alone."""
    said: list[UUID | None] = []
    changed = Herald.changed

    def noted(self: Herald, workspace_id: int, run_id: UUID | None, *, event: bool = False, **more: Any) -> None:
        if event:
            said.append(run_id)
        changed(self, workspace_id, run_id, event=event, **more)

    monkeypatch.setattr(Herald, "changed", noted)
    return said


def test_the_way_of_an_event_is_told(house: House, at_work: None, told: list[UUID | None]) -> None:
    drawn = [awaiting(config={"where": {"$": "event.data.amount > 10"}}, retry={"attempts": 1})]
    version = house.publish(document(drawn))
    publish(house, key="18")
    assert told == [None]
    run_id = house.start(version, {"order": 17})
    waits(run_id)
    wait_until(lambda: told.count(run_id) == 1, 5, "the beginning of the wait to be told")
    publish(house, "no amount here")
    assert house.end_of(run_id).state == "failed"
    wait_until(lambda: told.count(run_id) == 3, 5, "the event and then the dead letter to be told")
    discard_delivery(actor=house.actor, delivery=Delivery.objects.get(run_id=run_id).pk)
    assert told == [None, *[run_id] * 4]
