"""Old events go with the workspace's policy, but for those that a kept run has had."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from orchestrator.engine import statements
from orchestrator.models import Delivery, Event, Version
from tests.engine.drawings import document, step
from tests.engine.house import House, keeper_at_work, make_house
from tests.engine.rows import own_connection, rows
from tests.run_factories import make_delivery, make_event, make_run
from tests.waiting import wait_until


def forget(limit: int = 500) -> int:
    return int(rows(statements.FORGET_EVENTS, limit)[0]["forgotten"])


def accepted(house: House, days: float, **fields: Any) -> Event:
    return make_event(house.workspace, accepted_at=timezone.now() - timedelta(days=days), **fields)


def keep(house: House, days: int | None) -> None:
    house.workspace.keep_runs_days = days
    house.workspace.save()


@pytest.fixture
def version(house: House) -> Version:
    keep(house, 30)
    return house.publish(document([step("a")]))


def test_old_events_go_the_oldest_first(house: House) -> None:
    young, old = accepted(house, 29), [accepted(house, 31 + number) for number in range(4)]
    assert forget() == 0, "without a policy nothing goes"
    keep(house, 30)
    assert forget(2) == 2
    assert set(Event.objects.values_list("pk", flat=True)) == {young.pk, old[0].pk, old[1].pk}
    assert [forget(2), forget(2)] == [2, 0]
    assert Event.objects.get() == young


def test_each_workspace_has_its_own_policy(house: House) -> None:
    other = make_house()
    keep(other, 400)
    keep(house, 30)
    theirs, ours = accepted(other, 100), accepted(house, 31)
    assert forget() == 1
    assert Event.objects.get() == theirs
    assert not Event.objects.filter(pk=ours.pk).exists()


@pytest.mark.parametrize("state", ["P", "D", "I", "X"])
def test_an_event_stays_as_long_as_a_run_that_had_it(house: House, version: Version, state: str) -> None:
    run = make_run(version, state="succeeded", started_at=timezone.now() - timedelta(days=29))
    event = accepted(house, 40)
    make_delivery(event, run, "a", state)
    assert forget() == 0
    run.finished_at = timezone.now() - timedelta(days=31)
    run.save()
    assert rows(statements.FORGET_RUNS, 10)[0]["forgotten"] == 1
    assert not Delivery.objects.exists()
    assert forget() == 1
    assert not Event.objects.exists()


@pytest.mark.parametrize("shared", [False, True], ids=["somebody publishes it", "somebody begins to wait for it"])
def test_an_event_in_somebodys_hands_is_left_alone(house: House, version: Version, *, shared: bool) -> None:
    accepted(house, 40, key="7")
    topics = [f"{house.workspace.pk}/order.paid#7"]
    with own_connection() as other, other.transaction():
        given = (topics, []) if shared else ([], topics)
        other.execute("SELECT branchline_lock_topics(%s::text[], %s::text[])", given)
        assert forget() == 0
    with own_connection() as other, other.transaction():  # for any key
        other.execute("SELECT branchline_lock_topics(NULL, %s::text[])", [[f"{house.workspace.pk}/order.paid"]])
        assert forget() == 0
    assert forget() == 1


def test_the_keeper_carries_it_out_batch_by_batch(
    house: House, version: Version, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("orchestrator.engine.keeper.FORGET_EVENTS_LIMIT", 3)
    stays = accepted(house, 1)
    for number in range(7):
        accepted(house, 31 + number)
    with keeper_at_work(lambda: None):
        wait_until(lambda: Event.objects.count() == 1, 20, "the old events to go")
    assert Event.objects.get() == stays


def test_due_events_are_found_by_the_index_over_acceptance(house: House, version: Version) -> None:
    moment = timezone.now() - timedelta(days=3)
    Event.objects.bulk_create(
        Event(workspace=house.workspace, source="/s", event_id=str(number), type="t", accepted_at=moment)
        for number in range(6_000)
    )
    due = """SELECT e.id FROM orchestrator_event e WHERE e.workspace_id = %s AND e.accepted_at < now() - interval '30 d'
        AND NOT EXISTS (SELECT FROM orchestrator_delivery d WHERE d.event_id = e.id)
        ORDER BY e.accepted_at, e.id LIMIT 500"""
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE orchestrator_event")
        cursor.execute(f"EXPLAIN {due}", [house.workspace.pk])
        plan = "\n".join(line for (line,) in cursor.fetchall())
    assert "event_by_workspace" in plan, plan
    assert "Seq Scan on orchestrator_event" not in plan, plan
