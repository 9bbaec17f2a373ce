"""Trying expressions at a step where branches meet."""

from typing import Any

import pytest

from designer.preview import shown_roots
from designer.services.publishing import publish
from orchestrator.core.json_types import Json
from orchestrator.models import GateArrival, Run
from tests.designer_cast import Cast, document, transform
from tests.factories import actor_of, make_member
from tests.run_factories import make_gate, make_log, make_run, node_of

pytestmark = pytest.mark.django_db
EDGES = [{"from": "first", "to": one} for one in ("paid", "late")] + [
    {"from": one, "to": "z"} for one in ("paid", "late")
]
ARRIVED = {"state": "succeeded", "output": None, "error": None}


@pytest.fixture
def cast(valkey: str) -> Cast:
    return Cast("demo")


@pytest.fixture
def workflow(cast: Cast) -> Any:
    steps = [transform(key) for key in ("first", "paid", "late")]
    z = transform("z", join={"mode": "any"}, undo={"kind": "transform", "config": {"value": 1}})
    return cast.workflow(document(*steps, z, name="Flow", edges=EDGES))


def ask(cast: Cast, expression: str, step: str = "z", *, undo: bool = False) -> Any:
    body = {"expression": expression, "step": step, "undo": undo}
    answer = cast.client.post(cast.url("workflows/flow/draft/preview/"), body, format="json")
    assert answer.status_code == 200, answer.content
    return answer.json()


def roots(cast: Cast) -> Any:
    return cast.client.get(cast.url("workflows/flow/draft/preview/"), {"step": "z"}).json()["roots"]


def decided(cast: Cast, workflow: Any, fault: Json = None) -> Run:
    """A run whose join fired with `paid`, which had succeeded or failed; `late` came after it."""
    run = make_run(publish(workflow=workflow, note="", actor=cast.actor), state="succeeded")
    paid = {"output": {"id": "paid"}} if fault is None else {"outcome": "F", "error": fault}
    entries = [make_log(run, "paid", **paid).entry, make_log(run, "late", output={"id": "late"}).entry]
    make_gate(run, "z", size=2, ok=2, verdict="F", decided=1)
    for edge, (entry, outcome) in enumerate(zip(entries, ["o" if fault is None else "f", "o"], strict=True)):
        GateArrival.objects.create(
            run=run, gate=node_of(run, "z"), edge=edge, entry=entry, outcome=outcome, late=edge == 1
        )
    return run


@pytest.mark.usefixtures("workflow")
def test_without_a_run_all_branches_have_arrived(cast: Cast) -> None:
    shown = {"branches": {"paid": ARRIVED, "late": ARRIVED}, "arrived": ["paid", "late"], "missing": []}
    assert roots(cast)["join"] == shown
    assert ask(cast, "join") == {"value": shown}
    assert ask(cast, "join.branches.late.output.id") == {"unknown": 'Shown once a run has been through step "late".'}


def test_the_last_runs_verdict_comes_first(cast: Cast, workflow: Any) -> None:
    decided(cast, workflow)
    assert ask(cast, "[join.arrived, join.missing]") == {"value": [["paid"], ["late"]]}
    assert ask(cast, "join.branches.paid.output.id + join.branches.late.state") == {"value": "paidmissing"}
    assert roots(cast)["join"]["branches"]["late"] == {"state": "missing", "output": None, "error": None}
    assert ask(cast, "steps.late.id") == {"value": "late"}, "the step itself has an output by now"


def test_a_failed_branch_shows_why(cast: Cast, workflow: Any) -> None:
    decided(cast, workflow, {"code": "card_declined", "message": "No money."})
    assert ask(cast, "join.branches.paid.error.code") == {"value": "card_declined"}
    assert ask(cast, "[join.branches.paid.state, join.arrived]") == {"value": ["failed", []]}


def test_a_branch_that_was_drawn_since_counts_as_arrived(cast: Cast, workflow: Any) -> None:
    decided(cast, workflow)
    newer = document(
        *(transform(key) for key in ("first", "paid", "fresh", "z")),
        name="Flow",
        edges=[{"from": "first", "to": "paid"}, *({"from": key, "to": "z"} for key in ("paid", "fresh"))],
    )
    saved = cast.client.put(cast.url("workflows/flow/draft/"), newer, format="json", headers={"If-Match": "1"})
    assert saved.status_code == 200, saved.content
    assert ask(cast, "[join.arrived, join.missing]") == {"value": [["paid", "fresh"], []]}


def test_who_may_not_see_data_reads_the_example(cast: Cast, workflow: Any) -> None:
    decided(cast, workflow)
    assert roots(cast)["join"]["missing"] == ["late"]
    viewer = actor_of(cast.workspace, make_member(cast.workspace, "viewer"))
    shown: Any = shown_roots(workflow, "z", viewer)["join"]
    assert shown["branches"] == {"paid": ARRIVED, "late": ARRIVED}


@pytest.mark.usefixtures("workflow")
@pytest.mark.parametrize(("step", "undo"), [("paid", False), ("first", False), ("z", True), ("", False)])
def test_elsewhere_there_is_none(cast: Cast, step: str, undo: bool) -> None:
    assert "branches meet" in ask(cast, "join.arrived", step, undo=undo)["error"]["message"]
