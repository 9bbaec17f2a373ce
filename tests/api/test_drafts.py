"""Drafts: saved as rows, guarded by a revision, given back byte for byte."""

import json
import threading
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from designer.models import Draft, Edge, Step
from designer.queries.drafts import as_text, load_draft
from designer.services.drafts import save_draft
from designer.services.workflows import create_workflow
from orchestrator.api import StaleRevision
from orchestrator.models import AuditEntry
from tests.designer_cast import Cast, document, transform

pytestmark = pytest.mark.django_db


@pytest.fixture
def cast(valkey: str) -> Cast:
    return Cast("demo")


RICH = document(
    transform("reserve", {"z": 1, "a": {"$": "input.b"}, "list": [1.5, True, None]}, at=(10, -20)),
    {
        "key": "charge",
        "name": "Charge the card",
        "kind": "transform",
        "at": [600.5, 0],
        "config": {"value": "x"},
        "parent": "box",
        "disabled": True,
        "retry": {"attempts": 5, "budget": "PT10M"},
        "timeout": "PT30S",
        "queue": "slow",
        "undo": {"kind": "transform", "config": {"value": {"$": "output"}}},
        "join": {"mode": "quorum", "quorum": 2},
        "note": "Line one\nline two",
    },
    input={"type": "object", "properties": {"zeta": {"type": "string"}, "b": {"type": "integer"}}, "required": ["b"]},
    output=None,
    settings={"deadline": "PT2H", "on_failure": "undo"},
    regions=[{"key": "money", "name": "Money", "pattern": "sequence", "steps": ["reserve", "charge"]}],
    notes=[{"key": "remember", "text": "…", "at": [0, 0], "size": [200, 100]}],
    edges=[{"from": "reserve", "to": "charge"}, {"from": "charge", "port": "error", "to": "reserve"}],
)


def put(cast: Cast, slug: str, body: Any, revision: object) -> Any:
    headers = {} if revision is None else {"If-Match": str(revision)}
    return cast.client.put(cast.url(f"workflows/{slug}/draft/"), body, format="json", headers=headers)


def test_it_gives_back_the_same_bytes(cast: Cast) -> None:
    workflow = cast.workflow(RICH)
    loaded = load_draft(workflow).document
    # Key by key in the same order, numbers in the same spelling.
    fields = ("format", "name", "input", "output", "settings", "regions", "steps", "edges", "notes")
    assert as_text({name: loaded[name] for name in fields}) == as_text({name: RICH[name] for name in fields})
    answer = put(cast, workflow.slug, loaded, 1)
    assert answer.status_code == 200, answer.content
    assert as_text(load_draft(workflow).document) == as_text(loaded)


def test_a_draft_is_steps_and_edges_as_rows(cast: Cast) -> None:
    workflow = cast.workflow(RICH)
    assert list(Step.objects.filter(draft=workflow.pk).order_by("position").values_list("key", flat=True)) == [
        "reserve",
        "charge",
    ]
    assert Edge.objects.filter(draft=workflow.pk, port="error", target="reserve").count() == 1


def test_it_saves_what_a_program_sends_and_tells_the_new_revision(cast: Cast) -> None:
    workflow = cast.workflow()
    answer = put(cast, workflow.slug, document(transform("a"), name="Renamed"), '"1"')
    assert answer.status_code == 200
    assert answer.json()["revision"] == 2
    assert answer.json()["problems"] == []
    assert answer["ETag"] == '"2"'
    read = cast.client.get(cast.url(f"workflows/{workflow.slug}/draft/"))
    assert read["ETag"] == '"2"'
    assert read.json()["document"]["steps"][0]["key"] == "a"
    assert read.json()["saved_by"] == cast.editor.username
    assert read.json()["live_version"] is None
    workflow.refresh_from_db()
    assert workflow.name == "Renamed"
    assert AuditEntry.objects.filter(action="draft.save").count() == 1


def test_it_saves_a_drawing_with_problems(cast: Cast) -> None:
    workflow = cast.workflow()
    broken = document(transform("a"), edges=[{"from": "a", "to": "nowhere"}])
    answer = put(cast, workflow.slug, broken, 1)
    assert answer.status_code == 200
    assert "error" in {problem["severity"] for problem in answer.json()["problems"]}
    assert Draft.objects.get(pk=workflow.pk).errors > 0


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ([], "wrong_type"),
        ({"format": "branchline/9", "name": "x"}, "format_unknown"),
        (document(transform("a"), transform("a"), edges=[]), "duplicate_key"),
        (document(transform("a"), transform("b"), edges=[{"from": "a", "to": "b"}] * 2), "duplicate_edge"),
        (document(transform("Not A Key")), "key_invalid"),
        (document(transform("a")) | {"owner": 1}, "unknown_field"),
        (document(*(transform(f"s{n}") for n in range(2_001))), "graph_too_large"),
    ],
)
def test_it_refuses_what_is_not_well_formed(cast: Cast, body: Any, code: str) -> None:
    workflow = cast.workflow()
    before = load_draft(workflow)
    answer = put(cast, workflow.slug, body, 1)
    assert answer.status_code == 400, answer.content[:500]
    assert code in {problem["code"] for problem in answer.json()["details"]["problems"]}
    assert load_draft(workflow) == before


@pytest.mark.parametrize(
    "raw", [b"[" * 100_000, b'{"a":' * 100_000, b'{"name": "\\u0000"}', b'{"a":1,"a":2}', b"{", b"1e999"]
)
def test_it_refuses_odd_json(cast: Cast, raw: bytes) -> None:
    workflow = cast.workflow()
    answer = cast.client.put(
        cast.url(f"workflows/{workflow.slug}/draft/"), raw, content_type="application/json", headers={"If-Match": "1"}
    )
    assert answer.status_code == 400


def test_a_save_needs_a_revision(cast: Cast) -> None:
    workflow = cast.workflow()
    answer = put(cast, workflow.slug, document(transform("a")), None)
    assert (answer.status_code, answer.json()["code"]) == (428, "revision_required")
    assert put(cast, workflow.slug, document(transform("a")), "*").status_code == 428


def test_a_stale_save_changes_nothing_and_brings_the_other_persons_document(cast: Cast) -> None:
    workflow = cast.workflow()
    assert put(cast, workflow.slug, document(transform("theirs")), 1).status_code == 200
    answer = put(cast, workflow.slug, document(transform("mine")), 1)
    assert (answer.status_code, answer.json()["code"]) == (412, "stale_revision")
    details = answer.json()["details"]
    assert details["revision"] == 2
    assert details["document"]["steps"][0]["key"] == "theirs"
    assert details["saved_by"] == cast.editor.username
    assert [step["key"] for step in load_draft(workflow).document["steps"]] == ["theirs"]


def test_a_future_revision_is_stale_too(cast: Cast) -> None:
    workflow = cast.workflow()
    assert put(cast, workflow.slug, document(transform("a")), 7).status_code == 412


def row_versions(draft_id: int) -> dict[str, tuple[int, str]]:
    """Step key -> (id, the transaction that wrote the row)."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT key, id, xmin::text FROM designer_step WHERE draft_id = %s", [draft_id])
        return {key: (pk, xmin) for key, pk, xmin in cursor.fetchall()}


@pytest.mark.django_db(transaction=True)
def test_it_touches_only_rows_that_changed(cast: Cast) -> None:
    steps = [transform(f"s{n}", n) for n in range(50)]
    workflow = cast.workflow(document(*steps))
    before = row_versions(workflow.pk)
    # One taken out, one put in between, one changed.
    drawn = [*steps[:10], transform("new"), *steps[10:20], *steps[21:]]
    drawn[3] = transform("s3", "other")
    assert put(cast, workflow.slug, document(*drawn), 1).status_code == 200
    after = row_versions(workflow.pk)
    assert set(after) - set(before) == {"new"}
    assert set(before) - set(after) == {"s20"}
    assert {key for key in set(before) & set(after) if before[key] != after[key]} == {"s3"}
    assert before["s3"][0] == after["s3"][0]
    assert [step["key"] for step in load_draft(workflow).document["steps"]] == [step["key"] for step in drawn]


def test_the_order_of_steps_survives_any_shuffle(cast: Cast) -> None:
    keys = [f"s{n}" for n in range(12)]
    workflow = cast.workflow(document(*(transform(key) for key in keys), edges=[]))
    for revision, order in enumerate(([*keys[::-1]], [*keys[6:], *keys[:6]], [keys[11], *keys[:11]], keys), start=1):
        assert (
            put(cast, workflow.slug, document(*(transform(key) for key in order), edges=[]), revision).status_code
            == 200
        )
        assert [step["key"] for step in load_draft(workflow).document["steps"]] == order


def test_moving_every_step_takes_few_queries(cast: Cast) -> None:
    workflow = cast.workflow(document(*(transform(f"s{n}") for n in range(300))))
    loaded = load_draft(workflow).document
    loaded["steps"] = [{**step, "at": [step["at"][0] + 1, 0]} for step in loaded["steps"]]
    with CaptureQueriesContext(connection) as captured:
        assert put(cast, workflow.slug, loaded, 1).status_code == 200
    assert len(captured) < 25


def test_problems_of_the_draft_and_of_a_sent_document(cast: Cast) -> None:
    workflow = cast.workflow()
    url = cast.url(f"workflows/{workflow.slug}/draft/problems/")
    saved = cast.client.get(url).json()
    assert saved["revision"] == 1
    assert {problem["code"] for problem in saved["problems"]} == {"no_steps"}
    sent = cast.client.post(
        url, document({"key": "a", "name": "A", "kind": "levitate", "at": [0, 0], "config": {}}), format="json"
    )
    assert {problem["step"] for problem in sent.json()["problems"]} == {"a"}
    assert load_draft(workflow).revision == 1


@pytest.mark.parametrize("path", ["draft/", "draft/problems/", "draft/preview/", "versions/", "export/", ""])
def test_another_workspaces_workflow_is_as_absent_as_none(cast: Cast, path: str) -> None:
    other = Cast("other")
    foreign = other.workflow(document(transform("a"), name="Secret plan"))
    theirs = cast.client.get(cast.url(f"workflows/{foreign.slug}/{path}"))
    nobodys = cast.client.get(cast.url(f"workflows/no-such-thing/{path}"))
    outside = cast.client.get(other.url(f"workflows/{foreign.slug}/{path}"))
    assert (theirs.status_code, nobodys.status_code, outside.status_code) == (404, 404, 404)
    assert theirs.content == nobodys.content


def test_viewers_read_drafts_but_do_not_save_them(cast: Cast) -> None:
    workflow = cast.workflow()
    viewer = cast.member("viewer", "operator")
    url = cast.url(f"workflows/{workflow.slug}/draft/")
    assert viewer.get(url).status_code == 200
    answer = viewer.put(url, document(transform("a")), format="json", headers={"If-Match": "1"})
    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
    assert load_draft(workflow).revision == 1


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("turn", range(3))
def test_of_saves_at_the_same_moment_exactly_one_wins(cast: Cast, turn: int) -> None:
    workflow = create_workflow(name=f"Race {turn}", actor=cast.actor, document=document(transform("start"), name="R"))
    people = 8
    barrier = threading.Barrier(people)
    won: list[str] = []
    lost: list[StaleRevision] = []

    def save(number: int) -> None:
        try:
            barrier.wait(timeout=10)
            key = f"mine{number}"
            drawing = document(transform("start", number), transform(key), name="R")
            saved = save_draft(workflow=workflow, document=drawing, base_revision=1, actor=cast.actor)
            assert saved.revision == 2
            won.append(key)
        except StaleRevision as error:
            lost.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=save, args=(number,)) for number in range(people)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    assert (len(won), len(lost)) == (1, people - 1)
    # The winner's drawing, whole; every loser was given exactly that one.
    assert [step["key"] for step in load_draft(workflow).document["steps"]] == ["start", won[0]]
    for error in lost:
        assert json.dumps(error.details["document"]) == json.dumps(load_draft(workflow).document)


@pytest.mark.django_db(transaction=True)
def test_nothing_is_lost_when_losers_merge_and_save_again(cast: Cast) -> None:
    workflow = create_workflow(name="Merge", actor=cast.actor, document=document(name="M"))
    people = 6
    barrier = threading.Barrier(people)
    failures: list[BaseException] = []

    def add(number: int) -> None:
        try:
            barrier.wait(timeout=10)
            # One read: the revision of another read would belong to another drawing.
            loaded = load_draft(workflow)
            drawing: Any = loaded.document
            base = loaded.revision
            for _ in range(200):
                mine = {**drawing, "steps": [*drawing["steps"], transform(f"s{number}")]}
                try:
                    save_draft(workflow=workflow, document=mine, base_revision=base, actor=cast.actor)
                    return
                except StaleRevision as error:
                    drawing, base = error.details["document"], error.details["revision"]  # type: ignore[assignment]
            raise AssertionError("never won")
        except BaseException as error:
            failures.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=add, args=(number,)) for number in range(people)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert failures == []
    final = load_draft(workflow)
    assert final.revision == 1 + people
    assert {step["key"] for step in final.document["steps"]} == {f"s{n}" for n in range(people)}
