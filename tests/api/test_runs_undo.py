"""runs/{id}/undo/: the ledger, beginning, settling, and cancelling with undo."""

import uuid
from typing import Any

import pytest

from orchestrator.models import AuditEntry, Run, RunRecord, UndoItem
from tests.api.run_cast import RunCast
from tests.run_factories import make_log, make_token, make_undo_item

pytestmark = pytest.mark.django_db(transaction=True)
VERBS = ("retry", "skip", "by-hand")


@pytest.fixture
def cast(valkey: str) -> RunCast:
    return RunCast()


@pytest.fixture
def stuck(cast: RunCast) -> Run:
    """a was done before b; the undo of b is stuck."""
    run = cast.run(state="undo_stuck", error={"code": "oops", "message": "It broke.", "node": 3})
    make_log(run, "a")
    make_log(run, "b")
    a = make_undo_item(run, "a", "waiting", awaits=1, position=1)
    make_undo_item(run, "b", "stuck", releases=[a.entry], error={"code": "gone", "message": "No such order."})
    return run


def line_of(run: Run) -> int:
    return UndoItem.objects.get(run=run, state="stuck").entry


def doors(run: Run) -> list[str]:
    """Every address that changes something."""
    return [f"runs/{run.pk}/undo/", *(f"runs/{run.pk}/undo/{line_of(run)}/{verb}/" for verb in VERBS)]


def test_it_shows_the_ledger(cast: RunCast, stuck: Run) -> None:
    body = cast.get(f"runs/{stuck.pk}/undo/")
    assert (body["run_state"], body["written"]) == ("undo_stuck", True)
    assert (body["counts"]["stuck"], body["counts"]["waiting"], body["counts"]["undone"]) == (1, 1, 0)
    assert [(line["key"], line["state"]) for line in body["items"]] == [("b", "stuck"), ("a", "waiting")]
    assert body["items"][1]["waits_for"] == ["b"]
    assert body["stuck"] == body["items"][:1]
    assert body["stuck"][0]["error"] == {"code": "gone", "message": "No such order."}


def test_it_is_read_on_by_its_cursor(cast: RunCast, stuck: Run) -> None:
    first = cast.get(f"runs/{stuck.pk}/undo/", limit="1")
    second = cast.get(f"runs/{stuck.pk}/undo/", limit="1", cursor=first["next"])
    assert [line["key"] for line in first["items"] + second["items"]] == ["b", "a"]
    assert second["next"] is None


def test_an_ended_run_is_undone_and_the_reason_kept(cast: RunCast) -> None:
    run = cast.run(state="succeeded")
    make_log(run, "a")
    preview = cast.get(f"runs/{run.pk}/undo/preview/")
    assert [(line["key"], line["state"], line["undo"]) for line in preview["items"]] == [("a", "irreversible", None)]
    assert (preview["counts"], preview["working"]) == ({"irreversible": 1}, [])
    response = cast.client.post(cast.url(f"runs/{run.pk}/undo/"), {"reason": "a mistake"}, format="json")
    assert (response.status_code, response.json()["state"]) == (200, "undoing"), response.content
    assert RunRecord.objects.get(run=run, kind="undo_requested").detail == {"reason": "a mistake"}
    assert AuditEntry.objects.get(action="run.undo").actor == cast.operator


@pytest.mark.parametrize("state", ["undoing", "undone", "undo_stuck"])
def test_an_undo_is_not_begun_twice(cast: RunCast, state: str) -> None:
    run = cast.run(state=state)
    response = cast.client.post(cast.url(f"runs/{run.pk}/undo/"))
    assert (response.status_code, response.json()["code"]) == (409, "not_undoable")


def test_cancelling_may_undo(cast: RunCast) -> None:
    run = cast.run()
    make_token(run, "a")
    url = cast.url(f"runs/{run.pk}/cancel/")
    assert cast.client.post(url, {"undo": "perhaps"}, format="json").status_code == 400
    response = cast.client.post(url, {"undo": True, "reason": "asked twice"}, format="json")
    assert (response.status_code, response.json()["state"]) == (200, "undoing"), response.content


def test_an_ended_run_is_not_cancelled_with_undo(cast: RunCast) -> None:
    run = cast.run(state="succeeded")
    response = cast.client.post(cast.url(f"runs/{run.pk}/cancel/"), {"undo": True}, format="json")
    assert (response.status_code, response.json()["code"]) == (409, "run_closed")
    assert Run.objects.get(pk=run.pk).state == "succeeded"


@pytest.mark.parametrize(
    ("verb", "states"),
    [
        ("skip", {"b": "skipped", "a": "running"}),
        ("by-hand", {"b": "by_hand", "a": "running"}),
        ("retry", {"b": "running", "a": "waiting"}),
    ],
)
def test_it_settles_what_is_stuck(cast: RunCast, stuck: Run, verb: str, states: dict[str, str]) -> None:
    url = cast.url(f"runs/{stuck.pk}/undo/{line_of(stuck)}/{verb}/")
    response = cast.client.post(url, {"reason": "they are closed"}, format="json")
    assert response.status_code == 200, response.content
    body = response.json()
    assert {line["key"]: line["state"] for line in body["items"]} == states
    assert (body["run_state"], body["stuck"]) == ("undoing", [])
    (b,) = [line for line in body["items"] if line["key"] == "b"]
    assert (b["by"], b["reason"]) == (cast.operator.username, "they are closed")
    assert AuditEntry.objects.get(action=f"run.undo_{verb.replace('-', '_')}").allowed
    again = cast.client.post(url, {"reason": "they are closed"}, format="json")
    assert (again.status_code, again.json()["code"]) == (409, "undo_item_not_stuck")


@pytest.mark.parametrize("verb", ["skip", "by-hand"])
@pytest.mark.parametrize("body", [None, {}, {"reason": ""}, {"reason": "   "}])
def test_leaving_a_step_needs_a_reason(cast: RunCast, stuck: Run, verb: str, body: Any) -> None:
    response = cast.client.post(cast.url(f"runs/{stuck.pk}/undo/{line_of(stuck)}/{verb}/"), body, format="json")
    assert (response.status_code, response.json()["code"]) == (400, "reason_missing")
    assert Run.objects.get(pk=stuck.pk).state == "undo_stuck"


@pytest.mark.parametrize("verb", VERBS)
def test_what_is_not_stuck_is_not_settled(cast: RunCast, stuck: Run, verb: str) -> None:
    waiting = UndoItem.objects.get(run=stuck, state="waiting").entry
    for entry in (waiting, 0, 2**62, 10**30):
        response = cast.client.post(cast.url(f"runs/{stuck.pk}/undo/{entry}/{verb}/"), {"reason": "x"}, format="json")
        assert (response.status_code, response.json()["code"]) == (409, "undo_item_not_stuck")


@pytest.mark.parametrize("body", [{"why": "x"}, {"reason": "x" * 501}, [], "x"])
def test_it_refuses_bodies_it_does_not_know(cast: RunCast, stuck: Run, body: Any) -> None:
    for door in doors(stuck):
        assert cast.client.post(cast.url(door), body, format="json").status_code == 400


@pytest.mark.parametrize("role", ["viewer", "approver"])
def test_reading_is_not_undoing(cast: RunCast, stuck: Run, role: str) -> None:
    client = cast.member(role)
    for door in doors(stuck):
        response = client.post(cast.url(door), {"reason": "x"}, format="json")
        assert (response.status_code, response.json()["code"]) == (403, "forbidden")
    assert UndoItem.objects.filter(run=stuck, state="stuck").exists()


def test_viewers_see_the_ledger_without_the_reasons(cast: RunCast, stuck: Run) -> None:
    UndoItem.objects.filter(run=stuck, state="stuck").update(state="skipped", reason="private", actor="olga")
    line = cast.get(f"runs/{stuck.pk}/undo/", cast.member("viewer"))["items"][0]
    assert (line["state"], line["reason"], line["by"]) == ("skipped", "", "olga")


@pytest.mark.parametrize("rest", ["undo/", "undo/preview/"])
def test_foreign_absent_and_malformed_runs_are_answered_alike(cast: RunCast, rest: str) -> None:
    foreign = RunCast("other").run()
    answers = set()
    for name in (str(foreign.pk), str(uuid.uuid4()), "nonsense"):
        response = cast.client.get(cast.url(f"runs/{name}/{rest}"))
        answers.add((response.status_code, response.content))
    assert {status for status, _ in answers} == {404}
    assert len(answers) == 1


def test_a_foreign_run_is_neither_undone_nor_settled(cast: RunCast, stuck: Run) -> None:
    other = RunCast("other")
    for door in doors(stuck):
        assert other.client.post(other.url(door), {"reason": "x"}, format="json").status_code == 404
    assert Run.objects.get(pk=stuck.pk).state == "undo_stuck"
