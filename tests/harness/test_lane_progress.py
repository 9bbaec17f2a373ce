"""I15: what a lane has stored is not done again, each item counts once, and containers hold what runs in them."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from orchestrator.engine import statements
from orchestrator.models import Scope
from orchestrator.queries.fsck import breaches
from tests.engine.drawings import document, step
from tests.engine.house import House, leftovers
from tests.engine.rows import beat, claim, rows, take_over
from tests.engine.test_closed_while_parking import PARKING, advanced, in_its_box, sweep, unpacked, while_it_parks
from tests.harness.faults import Breached
from tests.harness.mutants import mutated

A, B = 11, 22
ITEMS = {"total": 4, "chunk": 4, "lanes": 1, "timeout": 30, "tolerate": 0, "items": [1, 2, 3, 4]}
STARTS = [{"node": 1, "queue": "default", "timeout": 30}]


def its_lane(house: House) -> dict[str, Any]:
    """The one lane of a for-each, in a worker's hands."""
    each = step("each", "for_each", config={"items": [1, 2, 3, 4]})
    house.start(house.publish(document([each, step("a", parent="each")])))
    beat(A)
    (outer,) = claim(A)
    rows(*unpacked(advanced(outer, then="items", scope=ITEMS, waiting={"kind": "items", "text": "for its items"})))
    (lane,) = claim(A)
    return lane


def flushed(lane: dict[str, Any], **more: Any) -> dict[str, Any]:
    call = {"t": lane["id"], "e": lane["epoch"], "ok": 0, "fail": 0, "rows": [], "pay": [], **more}
    return rows(statements.FLUSH, A, json.dumps(call))[0]


def stored(*indexes: int) -> list[dict[str, Any]]:
    """Rows of items that have ended well; the first item is 1."""
    row = {"node": 1, "attempt": 1, "o": "S", "final": True, "ports": ["out"], "began": 0, "ended": 0}
    return [{**row, "index": index} for index in indexes]


def a_worker_dies_after_a_call(house: House) -> None:
    """It has stored two items of four; the next one gets the others."""
    lane = its_lane(house)
    assert flushed(lane, lo=2, ok=2, rows=stored(1, 2))["status"] == "go"
    rows("DELETE FROM orchestrator_worker_session RETURNING id")
    take_over()
    beat(B)
    (again,) = claim(B)
    signal = json.loads(again["signal"])
    if (signal["lo"], signal["hi"]) != (2, 4):
        raise Breached("I15 what is stored is not done again", f"items 1 and 2 are stored; next: {signal}")


def a_call_arrives_twice(house: House) -> None:
    """The lane has heard how an item ended that had left it: that stores no row that could refuse the second call."""
    lane = its_lane(house)
    assert flushed(lane, lo=0, leave={"index": 1, "starts": STARTS})["status"] == "parked"
    (inside,) = claim(A)
    rows(*unpacked(advanced(inside, then="go", o="S", ports=["out"], sig=[3, 0, 0])))
    (lane,) = claim(A)
    for _ in range(2):
        flushed(lane, lo=1, ok=1)
    if (ok := Scope.objects.get().ok) != 1:
        raise Breached("I15 each item counts once", f"one has ended, {ok} are counted")


def an_item_leaves_its_lane(house: House) -> None:
    """The lane waits for it, and for nothing else."""
    lane = its_lane(house)
    assert flushed(lane, lo=0, leave={"index": 1, "starts": STARTS})["status"] == "parked"
    if found := [str(one) for one in breaches()]:
        raise Breached("I15 what waits for a body has one", "; ".join(found))


def a_step_parks_while_its_container_closes(house: House) -> None:
    """The next sweep takes it away."""
    run_id, outer, inner = in_its_box(house)
    with while_it_parks(run_id, inner, PARKING["for a time"]):
        rows(*unpacked(advanced(outer, o="F", end={"state": "failed"})))
    sweep()
    if left := leftovers(run_id):
        raise Breached("I15 closed containers drain", f"{left} after a sweep")


#: scene -> the function that is changed, what it said and what it says instead, and the promise that is seen to break
MUTANTS: dict[Callable[[House], None], tuple[str, str, str, str]] = {
    a_worker_dies_after_a_call: (
        "branchline_stored_lane",
        "'lo', p_lo",
        "'lo', (t.signal->>'lo')::int",
        "not done again",
    ),
    a_call_arrives_twice: ("branchline_flush", "AND k.epoch = (p->>'e')::int", "", "counts once"),
    an_item_leaves_its_lane: (
        "branchline_flush",
        "inner_scope = t.scope_id + (p->'leave'->>'index')::int",
        "inner_scope = t.scope_id + (p->'leave'->>'index')::int + 1",
        "has one",
    ),
    a_step_parks_while_its_container_closes: (
        "branchline_close_scopes",
        "SET draining_since = clock_timestamp()",
        "SET draining_since = NULL",
        "closed containers drain",
    ),
}


@pytest.mark.parametrize("scene", MUTANTS)
def test_items_and_what_stands_in_containers(house: House, scene: Callable[[House], None]) -> None:
    scene(house)


@pytest.mark.parametrize("scene", MUTANTS)
def test_without_a_safeguard_that_is_seen_to_break(house: House, scene: Callable[[House], None]) -> None:
    name, text, instead, promise = MUTANTS[scene]
    with mutated(name, (text, instead)), pytest.raises(Breached, match=f"I15 .*{promise}"):
        scene(house)
