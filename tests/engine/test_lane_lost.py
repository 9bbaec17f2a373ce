"""What a lane may have begun, call by call: known of a worker that was lost, until that is stored or done again."""

import json
from typing import Any
from uuid import UUID

import pytest
from django.db.models.functions import Now

from orchestrator.core.outcome import Done
from orchestrator.engine import lane, statements
from orchestrator.engine.sandbox import Sandbox
from orchestrator.models import Run, Token
from orchestrator.queries.fsck import breaches
from orchestrator.services.control import cancel_run, fail_overdue_run, pause_run
from orchestrator.services.reopen import retry_run
from tests.engine.drawings import step
from tests.engine.house import House, leftovers, make_tools, worker_at_work
from tests.engine.kinds import kinds
from tests.engine.rows import beat, claim, rows, take_over
from tests.engine.test_lane_cut import Outside, logged
from tests.engine.test_lanes import drawing

A, B = 11, 22
TOTAL = 100
SCOPE = {"total": TOTAL, "chunk": TOTAL, "lanes": 1, "timeout": 30, "tolerate": 0, "items": [0] * TOTAL}
DONE = {"node": 1, "index": 1, "attempt": 1, "o": "S", "final": True, "ports": ["out"], "began": 0, "ended": 0}
KNOWN = kinds(told=Outside(lambda _: Done(None)))
MAY_HAVE_BEGUN = dict.fromkeys(range(lane.BATCH), "U")


@pytest.fixture
def run_id(house: House) -> UUID:
    """A run whose for-each has a lane that nobody has."""
    found = house.start(house.publish(drawing(TOTAL, step("a", "told")), kinds=KNOWN))
    beat(A)
    (outer,) = claim(A)
    advanced(A, outer, then="items", scope=SCOPE, waiting={"kind": "items", "text": "-"})
    return found


def advanced(session: int, lease: dict[str, Any], **item: Any) -> str:
    call = json.dumps([{"t": lease["id"], "e": lease["epoch"], **item}])
    return str(rows(statements.ADVANCE, session, call)[0]["status"])


def flushed(session: int, lease: dict[str, Any], **more: Any) -> str:
    call = {"t": lease["id"], "e": lease["epoch"], "lo": 0, "ok": 0, "fail": 0, "rows": [], "pay": [], **more}
    return str(rows(statements.FLUSH, session, json.dumps(call))[0]["status"])


def stopped(house: House, run_id: UUID) -> dict[int, str]:
    """What the log says of the items once the run is cancelled, the grace over."""
    cancel_run(run_id, house.actor)
    rows(statements.STOP_CANCELLED, 0, 100)
    assert (leftovers(run_id), list(breaches())) == ({}, [])
    return logged(run_id)


def test_a_lane_that_was_not_taken_has_begun_nothing(house: House, run_id: UUID) -> None:
    assert stopped(house, run_id) == {}


def test_nor_has_one_that_was_handed_back(house: House, run_id: UUID) -> None:
    (lease,) = claim(A)
    assert advanced(A, lease, then="back") == "back"
    assert stopped(house, run_id) == {}


def test_one_that_is_at_work_may_have_begun_as_much_as_one_call_stores(house: House, run_id: UUID) -> None:
    claim(A)
    assert stopped(house, run_id) == MAY_HAVE_BEGUN


def test_one_that_came_back_as_a_stray_may_have_begun(house: House, run_id: UUID) -> None:
    (lease,) = claim(A)
    assert advanced(A, lease, then="back", stray=True) == "back"
    assert stopped(house, run_id) == MAY_HAVE_BEGUN


@pytest.mark.parametrize("dead", [True, False])
def test_one_that_was_taken_over_may_have_begun(house: House, run_id: UUID, dead: bool) -> None:
    (lease,) = claim(A)
    if dead:
        rows("DELETE FROM orchestrator_worker_session RETURNING id")
    else:
        Token.objects.filter(pk=lease["id"]).update(deadline_at="2026-01-01T00:00Z")
    assert [row["dead"] for row in take_over()] == [dead]
    assert stopped(house, run_id) == MAY_HAVE_BEGUN


def test_what_the_next_worker_has_stored_is_known(house: House, run_id: UUID) -> None:
    claim(A)
    rows("DELETE FROM orchestrator_worker_session RETURNING id")
    take_over()
    beat(B)
    (lease,) = claim(B)
    pause_run(run_id, house.actor)
    assert flushed(B, lease, lo=1, ok=1, rows=[DONE]) == "held"
    assert stopped(house, run_id) == {0: "S"} | {item: "U" for item in MAY_HAVE_BEGUN if item > 0}


def test_an_item_that_overstays_while_its_run_stops_has_acted(house: House, run_id: UUID) -> None:
    (lease,) = claim(A)
    cancel_run(run_id, house.actor)
    token = {"node": 1, "attempt": 1, "timeout": 30, "prev": None, "began": 0, "verdict": "T"}
    assert flushed(A, lease, leave={"index": 1, "token": token, "sig": []}) == "cancelled"
    assert stopped(house, run_id) == {0: "TK"}


def test_nothing_is_held_alone_in_a_run_that_goes_on(house: House, run_id: UUID) -> None:
    (lease,) = claim(A)
    hold = {"node": 1, "index": 1, "timeout": 30, "prev": None, "began": 0}
    assert flushed(A, lease, hold=hold, rows=[DONE]) == "not_stopped"
    assert logged(run_id) == {}
    assert flushed(A, lease, lo=1, ok=1, rows=[DONE]) == "go", "it has changed nothing"


def test_an_item_that_was_to_be_tried_again_when_its_run_stopped_goes_on(
    house: House, run_id: UUID, sandbox: Sandbox
) -> None:
    """Its first attempt is in the log: the next one is its second, in no lane."""
    (lease,) = claim(A)
    Run.objects.filter(pk=run_id).update(deadline_at=Now())
    fail_overdue_run(run_id)
    failed = {**DONE, "o": "F", "final": False, "ports": None, "err": {"code": "flaky", "message": "not yet"}}
    token = {"node": 1, "attempt": 1, "timeout": 30, "prev": 1, "began": 0, "delay": 1, "waiting": {"kind": "retry"}}
    leave = {"index": 1, "token": token, "sig": []}
    assert flushed(A, lease, rows=[failed], leave=leave) == "cancelled"
    rows(statements.STOP_CANCELLED, 0, 100)
    retry_run(run_id, house.actor)
    with worker_at_work(make_tools(sandbox, KNOWN)):
        assert house.end_of(run_id).state == "succeeded"
    assert logged(run_id) == {0: "FS"} | dict.fromkeys(range(1, TOTAL), "S")
