"""Publishing, versions, their differences, and rolling back."""

import threading
from typing import Any

import pytest
from django.db import connection

from designer.queries.drafts import load_draft
from designer.queries.workflows import find_workflow
from designer.services.drafts import save_draft
from designer.services.publishing import publish
from orchestrator.api import Version, Workflow
from orchestrator.models import AuditEntry
from tests.designer_cast import Cast, document, transform

pytestmark = pytest.mark.django_db


@pytest.fixture
def cast(valkey: str) -> Cast:
    return Cast("demo")


def publish_url(cast: Cast, workflow: Workflow) -> str:
    return cast.url(f"workflows/{workflow.slug}/publish/")


def save(cast: Cast, workflow: Workflow, drawing: dict[str, Any], base: int) -> None:
    save_draft(workflow=workflow, document=drawing, base_revision=base, actor=cast.actor)


def test_publishing_freezes_the_draft_and_makes_it_live(cast: Cast) -> None:
    workflow = cast.workflow(document(transform("a"), name="Flow"))
    answer = cast.client.post(publish_url(cast, workflow), {"note": "The first"}, format="json")
    assert answer.status_code == 201, answer.content
    assert answer.json()["number"] == 1
    assert answer.json()["live"] is True
    assert len(answer.json()["content_hash"]) == 64
    save(cast, workflow, document(transform("b"), name="Flow"), 1)
    kept = cast.client.get(cast.url("workflows/flow/versions/1/")).json()
    assert [step["key"] for step in kept["document"]["steps"]] == ["a"]
    assert kept["note"] == "The first"
    assert kept["published_by"] == cast.editor.username
    assert AuditEntry.objects.filter(action="workflow.publish").count() == 1


def test_a_draft_with_errors_is_not_published(cast: Cast) -> None:
    workflow = cast.workflow()
    answer = cast.client.post(publish_url(cast, workflow), {}, format="json")
    assert (answer.status_code, answer.json()["code"]) == (400, "draft_has_problems")
    assert {problem["code"] for problem in answer.json()["details"]["problems"]} == {"no_steps"}
    assert not Version.objects.exists()


def test_it_publishes_only_what_was_reviewed_when_asked_so(cast: Cast) -> None:
    workflow = cast.workflow(document(transform("a")))
    save(cast, workflow, document(transform("b")), 1)
    answer = cast.client.post(publish_url(cast, workflow), {}, format="json", headers={"If-Match": '"1"'})
    assert answer.status_code == 412
    assert not Version.objects.exists()
    assert (
        cast.client.post(publish_url(cast, workflow), {}, format="json", headers={"If-Match": "2"}).status_code == 201
    )


def test_rolling_back_moves_the_live_pointer_only(cast: Cast) -> None:
    workflow = cast.workflow(document(transform("a"), name="Flow"))
    publish(workflow=workflow, note="", actor=cast.actor)
    save(cast, workflow, document(transform("b"), name="Flow"), 1)
    publish(workflow=workflow, note="", actor=cast.actor)
    answer = cast.client.post(cast.url("workflows/flow/versions/1/live/"), {}, format="json")
    assert answer.json()["number"] == 1
    live = find_workflow(cast.actor, "flow").live_version
    assert live is not None
    assert live.number == 1
    assert load_draft(workflow).revision == 2
    again = cast.client.post(cast.url("workflows/flow/versions/1/live/"), {}, format="json")
    assert (again.status_code, again.json()["code"]) == (409, "already_live")
    assert cast.client.post(cast.url("workflows/flow/versions/9/live/"), {}, format="json").status_code == 404
    assert AuditEntry.objects.get(action="version.live").detail == {"from": 2, "to": 1}


def test_the_list_is_newest_first_and_paged(cast: Cast) -> None:
    workflow = cast.workflow(document(transform("a"), name="Flow"))
    for _ in range(3):
        publish(workflow=workflow, note="", actor=cast.actor)
    first = cast.client.get(cast.url("workflows/flow/versions/"), {"limit": 2}).json()
    assert [(item["number"], item["live"]) for item in first["items"]] == [(3, True), (2, False)]
    rest = cast.client.get(cast.url("workflows/flow/versions/"), {"limit": 2, "cursor": first["next"]}).json()
    assert ([item["number"] for item in rest["items"]], rest["next"]) == ([1], None)


def test_the_difference_of_two_versions_is_by_step_key(cast: Cast) -> None:
    before = document(transform("same"), transform("moved"), transform("changed"), transform("gone"), name="Flow")
    after = document(
        transform("same"),
        transform("moved", at=(50, 60)),
        transform("changed", 2, note="Why"),
        transform("fresh"),
        name="Flow",
        output={"$": "steps.fresh"},
    )
    workflow = cast.workflow(before)
    publish(workflow=workflow, note="", actor=cast.actor)
    save(cast, workflow, after, 1)
    publish(workflow=workflow, note="", actor=cast.actor)
    assert cast.client.get(cast.url("workflows/flow/versions/1/diff/2/")).json() == {
        "added": ["fresh"],
        "removed": ["gone"],
        "changed": [{"key": "changed", "name": "Changed", "fields": ["note", "config.value"]}],
        "moved": ["moved"],
        "edges_added": [{"from": "changed", "port": "out", "to": "fresh"}],
        "edges_removed": [{"from": "changed", "port": "out", "to": "gone"}],
        "workflow": ["output"],
    }
    assert cast.client.get(cast.url("workflows/flow/versions/1/diff/7/")).status_code == 404


@pytest.mark.parametrize("path", ["versions/1/", "versions/1/diff/1/", "export/?version=1"])
def test_foreign_versions_do_not_exist(cast: Cast, path: str) -> None:
    other = Cast("other")
    publish(workflow=other.workflow(document(transform("a"), name="Flow")), note="", actor=other.actor)
    cast.workflow(document(transform("a"), name="Flow"))
    assert cast.client.get(cast.url(f"workflows/flow/{path}")).status_code == 404
    assert cast.client.get(other.url(f"workflows/flow/{path}")).status_code == 404


def test_a_version_is_exported_as_it_was_drawn(cast: Cast) -> None:
    drawing = document(
        transform("a", {"zeta": 1, "b": 2}), name="Flow", input={"type": "object", "properties": {"zz": {}, "a": {}}}
    )
    workflow = cast.workflow(drawing)
    publish(workflow=workflow, note="", actor=cast.actor)
    exported = cast.client.get(cast.url("workflows/flow/export/?version=1"))
    assert exported.content == cast.client.get(cast.url("workflows/flow/export/")).content
    assert exported.content.index(b"zz") < exported.content.index(b'"a": {}')
    assert cast.client.get(cast.url("workflows/flow/export/?version=1e9")).status_code == 404


@pytest.mark.django_db(transaction=True)
def test_a_save_and_a_publish_at_the_same_moment_never_mix(cast: Cast) -> None:
    workflow = cast.workflow(document(transform("a"), transform("a2"), name="Flow"))
    other = document(transform("b"), transform("b2"), name="Flow")
    barrier = threading.Barrier(2)
    failures: list[BaseException] = []

    def run(deed: Any) -> None:
        try:
            barrier.wait(timeout=10)
            deed()
        except BaseException as error:
            failures.append(error)
        finally:
            connection.close()

    deeds = [
        lambda: publish(workflow=Workflow.objects.get(pk=workflow.pk), note="", actor=cast.actor),
        lambda: save(cast, Workflow.objects.get(pk=workflow.pk), other, 1),
    ]
    threads = [threading.Thread(target=run, args=(deed,)) for deed in deeds]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    assert failures == []
    version = Version.objects.get(workflow=workflow)
    assert [step["key"] for step in version.document["steps"]] in (["a", "a2"], ["b", "b2"])
    workflow.draft.refresh_from_db()
    published_newest = version.document["steps"][0]["key"] == "b"
    assert workflow.draft.published_revision == (2 if published_newest else 1)
