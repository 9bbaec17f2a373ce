"""Tests of the test: the sender sends again until it is told, and what was told and is not so must be seen."""

from uuid import uuid4

import pytest

from orchestrator.engine.sandbox import Sandbox
from orchestrator.models import Delivery, Event
from tests.chaos.sender import SOURCE, TYPE, Sender, wrong_events
from tests.engine.drawings import document, step
from tests.engine.house import House, keeper_at_work, make_house, make_tools, worker_at_work
from tests.engine.rows import own_connection, rows
from tests.waiting import wait_until

pytestmark = pytest.mark.django_db(transaction=True)
TURNS = 3


@pytest.fixture
def house() -> House:
    return make_house()


def told(house: House) -> Sender:
    """A sender after a run whose three turns had an event each; its connection was cut meanwhile."""
    box = step("box", "repeat", config={"turns": 3, "until": {"$": "turn == 3"}})
    hear = step("hear", "wait_event", parent="box", config={"type": TYPE, "key": {"$": "input.mark"}})
    version = house.publish(document([box, hear]))
    with (
        Sandbox() as sandbox,
        worker_at_work(make_tools(sandbox)) as house.worker,
        keeper_at_work(house.worker.poke),
        Sender(house.workspace.pk) as sender,
    ):
        run_id = house.start(version, {"mark": uuid4().hex})
        wait_until(lambda: bool(sender.acknowledged), 20, "an event to be acknowledged")
        rows("SELECT pg_terminate_backend(pid) AS it FROM pg_stat_activity WHERE application_name LIKE '%%sender%%'")
        house.end_of(run_id)
    return sender


def test_nothing_is_said_where_nothing_is_wrong(house: House) -> None:
    sender = told(house)
    assert len(sender.acknowledged) >= TURNS
    assert list(wrong_events(sender)) == []


def test_an_event_that_is_gone_and_one_that_came_twice(house: House) -> None:
    sender = told(house)
    gone, twice, *_ = sorted(sender.acknowledged)
    Event.objects.filter(source=SOURCE, event_id=gone).delete()
    sender.acknowledged[twice] += 1_000
    assert [text.partition(":")[0] for text in wrong_events(sender)] == ["lost", "doubled"]


def test_an_effect_out_of_order(house: House) -> None:
    sender = told(house)
    first, second, _ = Delivery.objects.filter(state="D").order_by("event_id")
    with own_connection() as database:
        for pk, event in ((first.pk, 0), (second.pk, first.event_id), (first.pk, second.event_id)):
            database.execute("UPDATE orchestrator_delivery SET event_id = %s WHERE id = %s", (event, pk))
    (text,) = wrong_events(sender)
    assert "out of order" in text
