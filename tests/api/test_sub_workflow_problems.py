"""A sub-workflow step that names what this workspace does not have: the check and the publishing say so."""

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from designer.services.workflows import archive_workflow
from orchestrator.api import Version, Workflow
from tests.designer_cast import Cast, document, transform
from tests.factories import make_workspace

pytestmark = pytest.mark.django_db


@pytest.fixture
def cast(valkey: str) -> Cast:
    return Cast("demo")


def calling(slug: Any, version: Any = None, name: str = "Caller", **more: Any) -> dict[str, Any]:
    config = {"workflow": slug} | ({} if version is None else {"version": version})
    return document(
        {"key": "call", "name": "Call", "kind": "sub_workflow", "at": [0, 0], "config": config, **more}, name=name
    )


def found(cast: Cast, drawing: dict[str, Any], workflow: str = "caller") -> list[dict[str, Any]]:
    answer = cast.client.post(cast.url(f"workflows/{workflow}/draft/problems/"), drawing, format="json")
    assert answer.status_code == 200, answer.content
    problems: list[dict[str, Any]] = answer.json()["problems"]
    return problems


def told(cast: Cast, drawing: dict[str, Any]) -> list[tuple[str, str, str]]:
    return [(one["code"], one["severity"], one["field"]) for one in found(cast, drawing)]


def billing(cast: Cast, versions: int = 1) -> Workflow:
    workflow = cast.workflow(document(transform("a"), name="Billing"), name="Billing")
    for _ in range(versions):
        answer = cast.client.post(cast.url("workflows/billing/publish/"), {}, format="json")
        assert answer.status_code == 201
    return workflow


def test_what_is_there_is_no_problem(cast: Cast) -> None:
    billing(cast, versions=2)
    cast.workflow(calling("billing"), name="Caller")
    for config in (
        ("billing",),
        ("billing", 1),
        ("billing", 2),
        ({"$": "input.which"},),
        ("billing", {"$": "input.v"}),
    ):
        assert told(cast, calling(*config)) == []


def test_a_workflow_that_is_not_there_is_a_warning_with_its_slug_and_a_way_out(cast: Cast) -> None:
    billing(cast)
    cast.workflow(calling("billing"), name="Caller")
    (problem,) = found(cast, calling("biling"))
    assert (problem["code"], problem["severity"], problem["step"], problem["field"]) == (
        "unknown_workflow",
        "warning",
        "call",
        "config.workflow",
    )
    assert '"biling"' in problem["message"]
    assert 'Did you mean "billing"?' in problem["message"]
    assert "publish" in problem["message"]


def test_another_workspaces_workflow_is_not_there(cast: Cast) -> None:
    other = make_workspace("other")
    Workflow.objects.create(workspace=other, slug="secret", name="Secret")
    cast.workflow(calling("secret"), name="Caller")
    (problem,) = found(cast, calling("secre"))
    assert "Did you mean" not in problem["message"]
    assert told(cast, calling("secret")) == [("unknown_workflow", "warning", "config.workflow")]


def test_one_that_is_not_published_yet_is_a_warning(cast: Cast) -> None:
    billing(cast, versions=0)
    cast.workflow(calling("billing"), name="Caller")
    assert told(cast, calling("billing")) == [("not_published", "warning", "config.workflow")]


def test_one_that_calls_itself_is_published_by_then(cast: Cast) -> None:
    cast.workflow(calling("caller"), name="Caller")
    assert told(cast, calling("caller")) == []


def test_an_archived_one_is_an_error(cast: Cast) -> None:
    archive_workflow(workflow=billing(cast), actor=cast.actor)
    cast.workflow(calling("billing"), name="Caller")
    assert told(cast, calling("billing")) == [("workflow_archived", "error", "config.workflow")]


def test_a_version_that_is_not_there_is_an_error_and_keeps_the_draft_from_being_published(cast: Cast) -> None:
    billing(cast, versions=2)
    cast.workflow(calling("billing", 3), name="Caller")
    (problem,) = found(cast, calling("billing", 3))
    assert (problem["code"], problem["severity"], problem["field"]) == ("unknown_version", "error", "config.version")
    assert "no version 3" in problem["message"]
    assert "2" in problem["message"]
    answer = cast.client.post(cast.url("workflows/caller/publish/"), {}, format="json")
    assert (answer.status_code, answer.json()["code"]) == (400, "draft_has_problems")
    assert not Version.objects.filter(workflow__slug="caller").exists()


def test_in_a_disabled_step_it_only_warns(cast: Cast) -> None:
    billing(cast)
    cast.workflow(calling("billing"), name="Caller")
    assert told(cast, calling("billing", 3, disabled=True)) == [("unknown_version", "warning", "config.version")]


def test_publishing_with_a_warning_says_so(cast: Cast) -> None:
    cast.workflow(calling("later"), name="Caller")
    answer = cast.client.post(cast.url("workflows/caller/publish/"), {}, format="json")
    assert answer.status_code == 201, answer.content
    assert [(one["code"], one["step"]) for one in answer.json()["warnings"]] == [("unknown_workflow", "call")]


def test_a_drawing_without_sub_workflows_asks_nothing_more(cast: Cast) -> None:
    billing(cast)
    cast.workflow(calling("billing"), name="Caller")

    def asked(drawing: dict[str, Any]) -> int:
        with CaptureQueriesContext(connection) as queries:
            found(cast, drawing)
        return len(queries)

    plain = asked(document(transform("a"), name="Caller"))
    assert asked(calling("billing")) == plain + 1
