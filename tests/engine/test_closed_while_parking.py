"""A step that parks at the very moment its container closes: neither call sees the other, the next sweep sees both."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID, uuid4

import pytest

from orchestrator.engine import statements
from orchestrator.engine.keeper import Keeper
from orchestrator.models import HumanTask, Run, Scope, Token
from orchestrator.queries.fsck import breaches
from orchestrator.services.control import fail_overdue_run
from tests.engine.drawings import document, step
from tests.engine.house import House, leftovers
from tests.engine.rows import beat, claim, own_connection, rows

A = 11
UNDO = {"kind": "transform", "config": {"value": 1}}
STARTS = [{"node": 2, "queue": "default", "timeout": 30}]
FORM: dict[str, Any] = {
    "step_key": "s",
    "title": "Well?",
    "text": "",
    "fields": [],
    "outcomes": [{"key": "yes", "label": "Yes"}],
}
FORM |= {"users": [], "roles": [], "groups": [], "quorum": 1, "allow_requester": True}
HOUR = {"delay": 3600, "waiting": {"kind": "delay", "text": "for an hour"}}
ITEMS = {"total": 2, "chunk": 1, "lanes": 2, "timeout": 30, "tolerate": 0, "items": [1, 2]}
BODY = {"waiting": {"kind": "body", "text": "for its steps"}}

PARKING: dict[str, dict[str, Any]] = {
    "for a person": {"then": "wait", "waiting": {"kind": "person", "text": "for somebody"}, "form": FORM},
    "for a time": {"then": "wait", **HOUR},
    "until it is tried again": {"then": "retry", "o": "F", "err": {"code": "bad", "message": "Bad."}, **HOUR},
    "for a body": {"then": "open", "scope": {"index": 1, "starts": STARTS}, **BODY},
    "for items": {"then": "items", "scope": ITEMS, "waiting": {"kind": "items", "text": "for its items"}},
    "for a sub-workflow": {"then": "child", "starts": [{**STARTS[0], "node": 0}], **BODY},
}


def advanced(lease: dict[str, Any], **item: Any) -> tuple[str, tuple[Any, ...]]:
    return statements.ADVANCE, (A, json.dumps([{"t": lease["id"], "e": lease["epoch"], **item}]))


def child_of(run: Run) -> dict[str, Any]:
    """What a sub-workflow step starts: here, the workflow of its own run."""
    own = {"workspace": run.workspace_id, "workflow": run.workflow_id, "version": run.version_id}
    above = {"parent_run": str(run.pk), "root_run": str(run.pk), "depth": 1, "priority": run.priority}
    return {"id": str(uuid4()), **own, **above, "correlation_id": "c", "trigger": "sub_workflow", "via": "engine"}


def in_its_box(house: House, **config: Any) -> tuple[UUID, dict[str, Any], dict[str, Any]]:
    """A run whose container `box` is about to end with time-out, and whose step in it is at work."""
    inside = [step("s", "scope", parent="box"), step("i", parent="s")]
    run_id = house.start(house.publish(document([step("box", "scope", config=config), *inside])))
    beat(A)
    (outer,) = claim(A)
    starts = [{"node": 1, "queue": "default", "timeout": 30}]
    rows(*unpacked(advanced(outer, then="open", scope={"index": 1, "starts": starts}, delay=0, **BODY)))
    (inner,) = claim(A)
    rows(statements.FIRE_TIMERS, 10)
    (outer,) = claim(A)
    return run_id, outer, inner


def unpacked(call: tuple[str, tuple[Any, ...]]) -> tuple[Any, ...]:
    return call[0], *call[1]


@contextmanager
def while_it_parks(run_id: UUID, inner: dict[str, Any], how: dict[str, Any]) -> Iterator[None]:
    """Inside the block the step in the box has done everything but commit."""
    more = {"child": child_of(Run.objects.get(pk=run_id))} if how["then"] == "child" else {}
    with own_connection("parker") as parker, parker.transaction():
        (row, *_) = parker.execute(*advanced(inner, **how, **more)).fetchall()
        assert row["status"] in {"waiting", "retrying"}
        yield


def sweep() -> None:
    """What a keeper does in a second."""
    keeper = Keeper(fail_overdue_run, wake=nothing, notify=nothing, announce=nothing)
    with own_connection("keeper") as keeper._connection:
        keeper.sweep()


def nothing(*_: Any) -> None:
    """Nobody is told."""


def assert_nothing_remains(run_id: UUID) -> None:
    assert not Token.objects.filter(node__gte=0).exclude(waiting__kind="undo").exists()
    assert not HumanTask.objects.waiting().exists()
    assert not Scope.objects.filter(state="O").exists()
    assert not Run.objects.filter(parent_run=run_id).exclude(state="cancelled").exists()
    assert list(breaches()) == []


@pytest.mark.parametrize("how", PARKING)
def test_what_parks_while_its_run_ends_is_taken_away(house: House, how: str) -> None:
    run_id, outer, inner = in_its_box(house)
    with while_it_parks(run_id, inner, PARKING[how]):
        (row,) = rows(*unpacked(advanced(outer, o="F", end={"state": "failed"})))
        assert row["status"] == "ended"
    assert leftovers(run_id) != {}
    sweep()
    assert leftovers(run_id) == {}
    assert_nothing_remains(run_id)


@pytest.mark.parametrize("how", PARKING)
def test_the_undo_of_a_container_begins_although_something_parked_in_it(house: House, how: str) -> None:
    run_id, outer, inner = in_its_box(house, on_failure="undo")
    with while_it_parks(run_id, inner, PARKING[how]):
        rows(*unpacked(advanced(outer, then="undo_inside", waiting={"kind": "undo", "text": "undo"})))
    sweep()
    assert_nothing_remains(run_id)
    # Nothing had happened in there: the container goes on at once.
    assert Token.objects.get(run_id=run_id).state == "R"


def test_a_container_closes_without_waiting_for_who_decides_in_it(house: House) -> None:
    run_id, outer, inner = in_its_box(house)
    rows(*unpacked(advanced(inner, **PARKING["for a person"])))
    with own_connection("person") as person, person.transaction():
        person.execute("SELECT FROM orchestrator_human_task FOR UPDATE")
        rows(*unpacked(advanced(outer, o="F", end={"state": "failed"})))
    assert HumanTask.objects.waiting().count() == 1
    sweep()
    assert leftovers(run_id) == {}
    assert_nothing_remains(run_id)
