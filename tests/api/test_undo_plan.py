"""workflows/{slug}/draft/undo-plan/ and its like of versions."""

from typing import Any

import pytest

from designer.services.publishing import publish
from tests.designer_cast import Cast, document, transform

pytestmark = pytest.mark.django_db
UNDO = {"kind": "transform", "config": {"value": {"$": "output"}}}


@pytest.fixture
def cast(valkey: str) -> Cast:
    return Cast("demo")


def drawing(**more: Any) -> dict[str, Any]:
    steps = [
        {**transform("first"), "name": "The first", "undo": UNDO},
        {**transform("mail"), "kind": "email", "config": {"to": ["ann@example.org"], "subject": "s", "text": "t"}},
        {**transform("second"), "undo": UNDO},
        transform("last"),
    ]
    return document(*steps, name="Flow", **more)


def test_it_tells_order_and_what_stays(cast: Cast) -> None:
    cast.workflow(drawing(settings={"on_failure": "undo"}))
    body = cast.client.get(cast.url("workflows/flow/draft/undo-plan/"), {"step": "last"}).json()
    assert (body["step"], body["on_failure"], body["irreversible"]) == ("last", "undo", ["mail"])
    assert [(one["key"], one["undo"], one["certainty"]) for one in body["steps"] if one["undo"]] == [
        ("second", "transform", "certain"),
        ("first", "transform", "certain"),
    ]
    stages = {one["key"]: one["stage"] for one in body["steps"]}
    assert stages["second"] < stages["first"]
    assert {one["name"] for one in body["steps"]} >= {"The first"}


def test_it_tells_what_takes_the_failure(cast: Cast) -> None:
    steps = [
        {**transform("before"), "undo": UNDO},
        {**transform("box"), "kind": "scope", "config": {"on_failure": "undo"}},
        {**transform("a"), "parent": "box", "undo": UNDO},
        {**transform("bad"), "parent": "box"},
        transform("rescue"),
    ]
    raw = document(*steps, name="Flow", settings={"on_failure": "undo"})
    drawn = [("before", "out", "box"), ("a", "out", "bad"), ("box", "error", "rescue")]
    raw["edges"] = [{"from": source, "port": port, "to": target} for source, port, target in drawn]
    cast.workflow(raw)
    body = cast.client.get(cast.url("workflows/flow/draft/undo-plan/"), {"step": "bad"}).json()
    assert body["run_fails"] == "never"
    assert body["goes_on"] == [{"key": "box", "name": "Box", "port": "error", "certainty": "certain"}]
    assert [(one["key"], one["by"], one["certainty"]) for one in body["steps"]] == [("a", "box", "certain")]


def test_a_version_has_its_own(cast: Cast) -> None:
    workflow = cast.workflow(drawing())
    publish(workflow=workflow, note="", actor=cast.actor)
    url = cast.url("workflows/flow/versions/1/undo-plan/")
    body = cast.client.get(url, {"step": "second"}).json()
    assert (body["on_failure"], [one["key"] for one in body["steps"] if one["undo"]]) == ("fail", ["second", "first"])
    assert cast.client.get(cast.url("workflows/flow/versions/9/undo-plan/"), {"step": "second"}).status_code == 404


@pytest.mark.parametrize("place", ["draft", "versions/1"])
@pytest.mark.parametrize(("step", "status", "code"), [("", 400, "step_missing"), ("nobody", 404, "not_found")])
def test_it_needs_a_step_of_the_drawing(cast: Cast, place: str, step: str, status: int, code: str) -> None:
    publish(workflow=cast.workflow(drawing()), note="", actor=cast.actor)
    answer = cast.client.get(cast.url(f"workflows/flow/{place}/undo-plan/"), {"step": step} if step else {})
    assert (answer.status_code, answer.json()["code"]) == (status, code)


def test_a_draft_with_errors_says_why_nothing_can_be_told(cast: Cast) -> None:
    raw = drawing()
    raw["steps"][0]["config"] = {"value": {"$": "1 +"}}
    cast.workflow(raw)
    answer = cast.client.get(cast.url("workflows/flow/draft/undo-plan/"), {"step": "last"})
    assert (answer.status_code, answer.json()["steps"]) == (200, [])
    assert answer.json()["why_not"] == (
        "The drawing has 1 error, so nobody can say what an undo would do. Repair it first."
    )


def test_approvers_do_not_read_drawings(cast: Cast) -> None:
    cast.workflow(drawing())
    answer = cast.member("approver").get(cast.url("workflows/flow/draft/undo-plan/"), {"step": "last"})
    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
