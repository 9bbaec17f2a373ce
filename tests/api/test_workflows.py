"""Workflows: list, create, rename, archive, copy, import, export, step kinds."""

import json
from typing import Any

import pytest
from django.core import mail
from django.db import connection
from django.test.utils import CaptureQueriesContext

from designer.queries.drafts import load_draft
from designer.services.publishing import publish
from orchestrator.api import Run, Workflow
from orchestrator.models import AuditEntry
from tests.designer_cast import Cast, document, transform
from tests.run_factories import make_run

pytestmark = pytest.mark.django_db


@pytest.fixture
def cast(valkey: str) -> Cast:
    return Cast("demo")


def test_it_creates_a_workflow_with_an_empty_draft_and_a_free_slug(cast: Cast) -> None:
    url = cast.url("workflows/")
    slugs = [
        cast.client.post(url, {"name": name}, format="json").json()["slug"]
        for name in ("Ünïted Orders!", "United orders")
    ]
    assert slugs == ["united-orders", "united-orders-2"]
    made = Workflow.objects.get(slug="united-orders")
    assert made.name == "Ünïted Orders!"
    assert load_draft(made).document["steps"] == []
    assert AuditEntry.objects.filter(action="workflow.create").count() == 2


@pytest.mark.parametrize("name", ["import", "Import", "New", "日本", "---"])
def test_no_slug_hides_an_address(cast: Cast, name: str) -> None:
    slug = cast.client.post(cast.url("workflows/"), {"name": name}, format="json").json()["slug"]
    assert slug not in {"import", "new", ""}
    assert cast.client.get(cast.url(f"workflows/{slug}/")).json()["name"] == name


def test_slugs_are_free_per_workspace(cast: Cast) -> None:
    other = Cast("other")
    assert cast.workflow(name="Same").slug == other.workflow(name="Same").slug == "same"


@pytest.mark.parametrize("name", ["", "  ", "x" * 201, "two\nlines", "bell\x07"])
def test_it_refuses_a_name_that_is_none(cast: Cast, name: str) -> None:
    assert cast.client.post(cast.url("workflows/"), {"name": name}, format="json").status_code == 400
    assert not Workflow.objects.exists()


@pytest.mark.parametrize("field", ["id", "slug", "workspace", "owner", "live_version", "archived_at", "created_at"])
def test_it_refuses_unknown_fields(cast: Cast, field: str) -> None:
    workflow = cast.workflow()
    for method, path in (("post", "workflows/"), ("patch", f"workflows/{workflow.slug}/")):
        answer = getattr(cast.client, method)(cast.url(path), {"name": "x", field: 1}, format="json")
        assert (answer.status_code, answer.json()["code"]) == (400, "unknown_field")
    assert list(Workflow.objects.values_list("name", flat=True)) == [workflow.name]


def test_the_list_shows_draft_live_version_and_runs_in_few_queries(cast: Cast) -> None:
    other = Cast("other")
    other.workflow(document(transform("a"), name="Theirs"))
    workflow = cast.workflow(document(transform("a"), name="Mine"))
    cast.client.get(cast.url("workflows/"))  # warms what is counted per minute
    with CaptureQueriesContext(connection) as few:
        cast.client.get(cast.url("workflows/"))
    version = publish(workflow=workflow, note="", actor=cast.actor)
    run = make_run(version)
    for number in range(30):
        cast.workflow(document(transform("a"), name=f"More {number}"))
    with CaptureQueriesContext(connection) as many:
        body = cast.client.get(cast.url("workflows/")).json()
    assert len(many) == len(few)
    assert len(body["items"]) == 31
    mine = next(item for item in body["items"] if item["name"] == "Mine")
    assert mine["live_version"] == 1
    assert mine["open_runs"] == 1
    assert mine["last_run"]["id"] == str(run.pk)
    assert mine["draft"]["state"] == "published"
    assert next(item for item in body["items"] if item["name"] == "More 3")["draft"]["state"] == "unpublished"
    assert "Theirs" not in {item["name"] for item in body["items"]}


def test_the_list_is_paged_and_searched(cast: Cast) -> None:
    for number in range(5):
        cast.workflow(name=f"Flow {number}")
    seen: list[str] = []
    cursor: str | None = ""
    for _ in range(3):
        page = cast.client.get(cast.url("workflows/"), {"limit": "2", **({"cursor": cursor} if cursor else {})}).json()
        seen += [item["name"] for item in page["items"]]
        cursor = page["next"]
    assert seen == [f"Flow {number}" for number in range(5)]
    assert cursor is None
    found = cast.client.get(cast.url("workflows/"), {"search": "w 3"}).json()["items"]
    assert [item["name"] for item in found] == ["Flow 3"]
    assert cast.client.get(cast.url("workflows/"), {"ordering": "name"}).status_code == 400
    assert cast.client.get(cast.url("workflows/"), {"search": "%"}).json()["items"] == []


def test_renaming_keeps_the_address_and_makes_open_editors_stale(cast: Cast) -> None:
    workflow = cast.workflow(name="Before")
    answer = cast.client.patch(cast.url("workflows/before/"), {"name": "After"}, format="json")
    assert answer.json()["name"] == "After"
    assert answer.json()["slug"] == "before"
    assert load_draft(workflow).revision == 2
    assert load_draft(workflow).document["name"] == "After"


def test_an_archived_workflow_is_gone_but_keeps_its_slug(cast: Cast) -> None:
    workflow = cast.workflow(document(transform("a"), name="Old"))
    publish(workflow=workflow, note="", actor=cast.actor)
    assert cast.client.delete(cast.url("workflows/old/")).status_code == 204
    assert cast.client.get(cast.url("workflows/old/")).status_code == 404
    assert cast.client.get(cast.url("workflows/")).json()["items"] == []
    assert cast.client.post(cast.url("workflows/old/runs/"), {}, format="json").status_code == 404
    assert cast.client.delete(cast.url("workflows/old/")).status_code == 404
    assert cast.workflow(name="Old").slug == "old-2"


def test_a_copy_has_the_drawing_and_no_versions(cast: Cast) -> None:
    workflow = cast.workflow(document(transform("a"), name="Original"))
    publish(workflow=workflow, note="", actor=cast.actor)
    answer = cast.client.post(cast.url("workflows/original/copy/"), {}, format="json")
    assert answer.status_code == 201
    assert answer.json()["name"] == "Original (copy)"
    assert answer.json()["live_version"] is None
    copy = Workflow.objects.get(slug=answer.json()["slug"])
    assert load_draft(copy).document["steps"] == load_draft(workflow).document["steps"]


@pytest.mark.parametrize("role", ["viewer", "operator", "approver"])
def test_only_editors_and_admins_change_workflows(cast: Cast, role: str) -> None:
    workflow = cast.workflow(document(transform("a"), name="Mine"))
    publish(workflow=workflow, note="", actor=cast.actor)
    client = cast.member(role)
    attempts = [
        ("post", "workflows/", {"name": "x"}),
        ("post", "workflows/import/", document(transform("a"))),
        ("patch", "workflows/mine/", {"name": "x"}),
        ("delete", "workflows/mine/", None),
        ("post", "workflows/mine/copy/", {}),
        ("post", "workflows/mine/publish/", {}),
        ("post", "workflows/mine/versions/1/live/", {}),
        ("post", "workflows/mine/draft/preview/", {"expression": "1"}),
    ]
    for method, path, body in attempts:
        assert getattr(client, method)(cast.url(path), body, format="json").status_code == 403, path
    assert list(Workflow.objects.values_list("name", "archived_at")) == [("Mine", None)]
    assert AuditEntry.objects.filter(allowed=False).count() == len(attempts)


HUMAN: dict[str, Any] = {
    "key": "sign",
    "name": "Sign",
    "kind": "human_task",
    "at": [0, 0],
    "config": {
        "title": {"$": "f'Sign {input.name}'"},
        "assignees": {"users": ["mallory"], "groups": ["managers"], "roles": ["approver"]},
    },
}


def test_an_import_is_a_draft_only_and_says_what_it_took_out(cast: Cast) -> None:
    secretive = transform("call", {"deep": [{"token": {"$secret": "prod_key"}}]})
    secretive["undo"] = {"kind": "transform", "config": {"value": {"$secret": "other"}}}
    body = document(secretive, HUMAN, name="Brought in", output={"$secret": "out"})
    body["settings"] = {"concurrency": {"limit": 1, "key": {"$secret": "other"}}}
    answer = cast.client.post(cast.url("workflows/import/"), body, format="json")
    assert answer.status_code == 201, answer.content
    changes = {(change["code"], change["step"], change["field"]) for change in answer.json()["changes"]}
    assert changes == {
        ("secret_unlinked", "call", "config.value.deep.0.token"),
        ("secret_unlinked", "call", "undo.config.value"),
        ("secret_unlinked", None, "output"),
        ("secret_unlinked", None, "settings.concurrency.key"),
        ("people_removed", "sign", "config.assignees.users"),
        ("people_removed", "sign", "config.assignees.groups"),
    }
    workflow = Workflow.objects.get(slug="brought-in")
    kept = json.dumps(load_draft(workflow).document)
    assert not [word for word in ("prod_key", "other", "mallory", "managers") if word in kept]
    assert '"roles": ["approver"]' in kept
    assert workflow.live_version is None
    assert not Run.objects.exists()
    assert mail.outbox == []


def test_export_and_import_give_the_same_drawing(cast: Cast) -> None:
    cast.workflow(document(transform("a", {"z": 1, "a": 2}), transform("b"), name="There and back"))
    exported = cast.client.get(cast.url("workflows/there-and-back/export/"))
    assert exported["Content-Disposition"] == 'attachment; filename="there-and-back.json"'
    assert exported["X-Content-Type-Options"] == "nosniff"
    again = cast.client.post(cast.url("workflows/import/"), exported.content, content_type="application/json")
    assert again.json()["changes"] == []
    slug = again.json()["workflow"]["slug"]
    assert cast.client.get(cast.url(f"workflows/{slug}/export/")).content == exported.content


def test_a_nested_drawing_survives_saving_exporting_and_importing(cast: Cast) -> None:
    undo = {"kind": "transform", "config": {"value": {"$": "output"}}}
    nested = document(
        {**transform("each"), "kind": "for_each", "config": {"items": {"$": "input.orders"}, "parallel": 8}},
        transform("pick", parent="each", undo=undo),
        {**transform("turns"), "kind": "repeat", "config": {"until": {"$": "last"}, "turns": 5}, "parent": "each"},
        transform("ask", at=(24, 80), parent="turns", queue="slow"),
        {**transform("other"), "kind": "sub_workflow", "config": {"workflow": "report", "input": {}}},
        name="In each other",
        edges=[{"from": "pick", "to": "turns"}, {"from": "each", "to": "other"}],
        regions=[{"key": "loop", "pattern": "sequence", "steps": ["pick", "turns"]}],
        settings={
            "on_failure": "undo",
            "concurrency": {"limit": 2, "key": {"$": "input.customer"}, "on_limit": "replace"},
            "priority": 5,
        },
    )
    workflow = cast.workflow()
    saved = cast.client.put(
        cast.url(f"workflows/{workflow.slug}/draft/"), nested, format="json", headers={"If-Match": "1"}
    )
    assert saved.status_code == 200, saved.content
    read = cast.client.get(cast.url(f"workflows/{workflow.slug}/draft/")).json()["document"]
    assert read == nested
    exported = cast.client.get(cast.url(f"workflows/{workflow.slug}/export/")).content
    again = cast.client.post(cast.url("workflows/import/"), exported, content_type="application/json").json()
    assert again["changes"] == []
    assert cast.client.get(cast.url(f"workflows/{again['workflow']['slug']}/export/")).content == exported


@pytest.mark.parametrize("raw", [b"[", b"[" * 100_000, b'"text"', b"{}", b"x" * 5_000_001, b'{"a":"\\ud800"}'])
def test_it_imports_no_nonsense(cast: Cast, raw: bytes) -> None:
    answer = cast.client.post(cast.url("workflows/import/"), raw, content_type="application/json")
    assert answer.status_code in {400, 413}
    assert not Workflow.objects.exists()


def test_step_kinds_lists_kinds_and_functions(cast: Cast) -> None:
    body = cast.member("viewer").get(cast.url("step-kinds/")).json()
    assert {"call", "script", "http", "transform", "human_task"} <= {kind["kind"] for kind in body["kinds"]}
    assert all({"ports", "config_schema", "group", "icon"} <= set(kind) for kind in body["kinds"])
