"""Per key the events have their effect in the order in which they were accepted (I13)."""

import json
from threading import Thread
from typing import Any

import pytest
from django.db import connections

from orchestrator.engine import statements
from orchestrator.engine.sandbox import Sandbox
from orchestrator.models import Delivery, Event, Token
from orchestrator.queries.fsck import breaches
from tests.engine.drawings import document, step
from tests.engine.house import House, make_tools, worker_at_work
from tests.engine.rows import beat, claim, own_connection, rows, take_over
from tests.engine.test_events import awaiting, heard, publish, states, waits
from tests.harness.clock import movable_clock, shift
from tests.harness.faults import Breached
from tests.harness.mutants import mutated

A = 11


def turns(count: int, *more: dict[str, Any], edges: tuple[str, ...] = (), **hear: Any) -> dict[str, Any]:
    """A repeat whose turns wait for the key one after another."""
    box = step("box", "repeat", config={"turns": count, "until": {"$": f"turn >= {count}"}})
    return document([box, awaiting(parent="box", **hear), *more], *edges)


def test_a_dead_letter_does_not_stop_the_turns_after_it(house: House, at_work: None) -> None:
    where = {"where": {"$": "event.data.amount > 10"}}
    note = step("note", parent="box")
    raw = turns(2, note, edges=("hear.error > note",), config=where, retry={"attempts": 1})
    run_id = house.start(house.publish(raw), {"order": 17})
    waits(run_id)
    publish(house, "no amount here")
    publish(house, {"amount": 20})
    assert house.end_of(run_id).state == "succeeded"
    assert heard(run_id) == [{"amount": 20}]
    assert states(run_id) == "DX"
    assert Delivery.objects.filter(run_id=run_id, state="X").count() == 1
    assert list(breaches(everything=True)) == []


def publish_from(house: House, number: int, count: int) -> None:
    """One of several publishers; each has a connection of its own."""
    try:
        for place in range(count):
            publish(house, [number, place])
    finally:
        connections.close_all()


def accepted() -> list[Any]:
    """What was accepted, by the numbers of the events and by their times, which must agree."""
    by_number = list(Event.objects.order_by("id").values_list("data", flat=True))
    assert by_number == list(Event.objects.order_by("accepted_at", "id").values_list("data", flat=True))
    return by_number


def test_many_publishers_of_one_key(house: House, at_work: None) -> None:
    """Turns, a few of whose events are passed over, have the others in the order in which they were accepted."""
    publishers, each = 4, 10
    wanted = publishers * each // 2
    raw = turns(wanted, config={"where": {"$": "event.data[1] % 2 == 0"}})
    runs = [house.start(house.publish(raw), {"order": 17}) for _ in range(2)]
    threads = [Thread(target=publish_from, args=(house, number, each)) for number in range(publishers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for run_id in runs:
        assert house.end_of(run_id, 60).state == "succeeded"
        assert heard(run_id) == [data for data in accepted() if data[1] % 2 == 0]
    assert list(breaches(everything=True)) == []


def test_a_worker_that_dies_with_an_event_does_not_change_the_order(house: House, sandbox: Sandbox) -> None:
    """Its step is taken over, and ends with the same event; those that came meanwhile have kept their places."""
    raw = turns(4, config={"where": {"$": "event.data >= 0"}})
    with worker_at_work(make_tools(sandbox)) as house.worker:
        run_id = house.start(house.publish(raw), {"order": 17})
        waits(run_id)
    house.worker = None
    publish(house, 1)
    dead = 99
    (lease,) = claim(dead)
    for number in (2, 3, 4):
        publish(house, number)
    assert [row["n"] for row in take_over()] == [1]
    late = {"t": lease["id"], "e": lease["epoch"], "n": lease["node"], "event": {"no": 0, "state": "I"}, "then": "back"}
    assert rows(statements.ADVANCE_EVENTS, dead, json.dumps([late]))[0]["status"] == "fenced"
    with worker_at_work(make_tools(sandbox)) as house.worker:
        house.worker.poke()
        assert house.end_of(run_id).state == "succeeded"
    assert heard(run_id) == accepted() == [1, 2, 3, 4]
    assert states(run_id) == "DDDD"
    assert list(breaches(everything=True)) == []


def test_the_order_is_kept_when_the_clock_is_put_back(house: House) -> None:
    with movable_clock() as clock:
        for number, jump in enumerate((0, -3600, -3600, 7200)):
            shift(clock, jump)
            publish(house, number)
    assert accepted() == [0, 1, 2, 3]


def what_is_left_keeps_its_place(house: House) -> None:
    """An event finds the token in somebody's hands; the next one must not go past it."""
    run_id = house.start(house.publish(document([awaiting()])), {"order": 17})
    beat(A)
    (lease,) = claim(A)
    topic = f"{house.workspace.pk}/order.paid#17"
    parked = {
        "t": lease["id"], "e": lease["epoch"], "n": lease["node"], "then": "wait",
        "waiting": {"kind": "event", "text": "", "memo": None, "topic": topic},
        "await": {"workspace": house.workspace.pk, "type": "order.paid", "key": "17"},
    }  # fmt: skip
    rows(statements.ADVANCE_EVENTS, A, json.dumps([parked]))
    with own_connection() as other, other.transaction():
        other.execute("SELECT FROM orchestrator_token WHERE id = %s FOR UPDATE", (lease["id"],))
        publish(house, "first")
    publish(house, "second")
    signal = Token.objects.get(pk=lease["id"]).signal or {}
    if signal["event"]["data"] != "first":
        raise Breached("I13 events have their effect in order", f"{signal}")
    assert [row["more"] for row in rows(statements.DELIVER, topic, 10)] == [False]
    assert states(run_id) == "D"


def test_what_is_left_keeps_its_place_before_what_comes_later(house: House) -> None:
    what_is_left_keeps_its_place(house)


def test_in_another_order_the_later_one_comes_first(house: House) -> None:
    other = ("ORDER BY x.event_id,", "ORDER BY x.event_id DESC,")
    with mutated("branchline_deliver_held", other), pytest.raises(Breached, match="I13"):
        what_is_left_keeps_its_place(house)
