"""Every pending delivery ends, whoever dies; a replay has one effect more (I14)."""

import json
import tracemalloc
from typing import Any
from unittest.mock import patch
from uuid import UUID, uuid4

from orchestrator.engine import statements
from orchestrator.engine.prepared import fetch_one
from orchestrator.engine.sandbox import Sandbox
from orchestrator.models import Delivery, Token
from orchestrator.queries.fsck import breaches
from orchestrator.services import events
from orchestrator.services.control import cancel_run
from orchestrator.services.reopen import retry_run
from tests.engine.drawings import document, step
from tests.engine.house import House, make_tools, worker_at_work
from tests.engine.rows import own_connection, rows
from tests.engine.test_events import awaiting, heard, publish, states, waits
from tests.harness.mutants import mutated
from tests.harness.test_events_at_once import at_once
from tests.waiting import wait_until

STORM = 3_000
PUBLISH = "SELECT event, reached, more FROM branchline_publish(%s::bigint, %s::jsonb)"
DEADLOCK = "PERFORM branchline_lock_topics", "RAISE EXCEPTION USING ERRCODE = '40P01'; PERFORM branchline_lock_topics"


def waiting_items(house: House, count: int) -> UUID:
    each = step("each", "for_each", config={"items": list(range(count))})
    run_id = house.start(house.publish(document([each, awaiting(parent="each", config={"key": None})])))
    waits(run_id, count)
    return run_id


def publish_and_die(house: House) -> dict[str, Any]:
    """The first transaction of a publisher, which does not come to its others."""
    event = {"id": str(uuid4()), "source": "/shop", "type": "order.paid", "key": "17", "data": 1}
    return rows(PUBLISH, house.workspace.pk, json.dumps(event))[0]


def test_the_keeper_goes_on_for_a_publisher_that_died(house: House, at_work: None) -> None:
    run_id = waiting_items(house, 150)
    answer = publish_and_die(house)
    assert (answer["reached"], answer["more"]) == (150, True)
    assert house.end_of(run_id, 40).state == "succeeded"
    assert heard(run_id) == [1] * 150
    assert states(run_id) == "D" * 150
    assert list(breaches(everything=True)) == []


def test_an_event_is_accepted_although_its_deliveries_fail_for_now(house: House, sandbox: Sandbox) -> None:
    """A deadlock comes after the event was accepted: its sender is told so, and the keeper delivers it."""
    with worker_at_work(make_tools(sandbox)) as house.worker:
        run_id = waiting_items(house, 101)
    house.worker = None
    with mutated("branchline_deliver", DEADLOCK):
        assert publish(house).reached == 101
    assert states(run_id) == "D" * 100 + "P"


def parked(house: House, sandbox: Sandbox, **config: Any) -> tuple[UUID, int]:
    """A run that waits while no worker is there, and its token."""
    with worker_at_work(make_tools(sandbox)) as house.worker:
        run_id = house.start(house.publish(document([awaiting(config=config)])), {"order": 17})
        waits(run_id)
    house.worker = None
    return run_id, Token.objects.get(run_id=run_id).pk


def left(house: House, token: int) -> None:
    """An event that finds the token in somebody's hands."""
    with own_connection() as other, other.transaction():
        other.execute("SELECT FROM orchestrator_token WHERE id = %s FOR UPDATE", (token,))
        assert publish_and_die(house)["more"]


def deliver(house: House) -> dict[str, Any]:
    return rows(statements.DELIVER, f"{house.workspace.pk}/order.paid#17", 10)[0]


def test_what_comes_too_late_for_a_cancelled_run_ends_ignored(house: House, sandbox: Sandbox) -> None:
    run_id, token = parked(house, sandbox)
    left(house, token)
    cancel_run(run_id=run_id, actor=house.actor)
    assert deliver(house)["more"] is False
    assert list(Delivery.objects.values_list("state", "why")) == [("I", "wait_ended")]
    assert list(breaches(everything=True)) == []


def test_what_comes_as_the_time_is_over_reaches_nobody(house: House, sandbox: Sandbox) -> None:
    run_id, token = parked(house, sandbox, deadline="PT1H")
    left(house, token)
    Token.objects.update(wake_at="2020-01-01T00:00:00Z")
    rows(statements.FIRE_TIMERS, 10)
    assert deliver(house)["more"] is False
    assert states(run_id) == ""
    assert Token.objects.get(pk=token).signal is None


def test_two_replays_at_once_have_one_effect(house: House, sandbox: Sandbox) -> None:
    drawn = awaiting(config={"where": {"$": "event.data.amount > 10"}}, retry={"attempts": 1})
    with worker_at_work(make_tools(sandbox)) as house.worker:
        run_id = house.start(house.publish(document([drawn])), {"order": 17})
        waits(run_id)
        publish(house, "no amount here")
        assert house.end_of(run_id).state == "failed"
        retry_run(run_id, house.actor)
        house.worker.poke()
        waits(run_id)
    house.worker = None
    letter = Delivery.objects.get(run_id=run_id, state="X")

    def replay(_number: int) -> bool:
        with own_connection() as database:
            (row,) = database.execute(statements.REPLAY, (letter.pk,)).fetchall()
        return row["queues"] is not None

    assert sorted(at_once(4, replay)) == [False, False, False, True]
    told = Delivery.objects.filter(run_id=run_id).order_by("replay").values_list("replay", "state", "why")
    assert list(told) == [(0, "I", "replayed"), (1, "D", "")]
    with worker_at_work(make_tools(sandbox)) as house.worker:
        house.worker.poke()
        assert house.end_of(run_id).state == "failed"
        wait_until(lambda: states(run_id) == "IX", 10, "the replayed letter to be dead again")
    assert list(breaches(everything=True)) == []


CLONES = """
INSERT INTO orchestrator_token (run_id, version_id, node, scope_id, generation, state, queue, priority, ready_at, epoch,
    attempt, timeout, lost, tried_before, phase, verdict, waiting, cause, xid)
SELECT run_id, version_id, node, 131072 * n, generation, state, queue, priority, ready_at, epoch,
    attempt, timeout, lost, tried_before, phase, verdict, waiting, cause, xid
FROM orchestrator_token, generate_series(1, %s) n RETURNING id
"""


def test_one_event_for_thousands_who_wait_is_cut_in_pieces(house: House, sandbox: Sandbox) -> None:
    """No statement hands it to more than some hundreds, and nobody has all of them in memory."""
    parked(house, sandbox)
    assert len(rows(CLONES, STORM - 1)) == STORM - 1
    moved: list[int] = []

    def watched(*call: Any) -> Any:
        row = fetch_one(*call)
        moved.append(max(len(value) for value in row or () if isinstance(value, list)))
        return row

    with patch.object(events, "fetch_one", watched):
        tracemalloc.start()
        try:
            assert publish(house).reached == STORM
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert sum(moved) == STORM
    assert max(moved) <= events.BATCH
    assert len(moved) <= 2 + STORM // events.BATCH
    assert peak < 2_000_000
    assert Delivery.objects.filter(state="D").count() == Token.objects.filter(state="R").count() == STORM
