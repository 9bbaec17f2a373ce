"""runs/{id}/retry/, runs/{id}/steps/{key}/{retry,rerun,skip}/, runs/bulk/: shapes, refusals and who may."""

import uuid
from typing import Any

import pytest

from orchestrator.core.states import RunState
from orchestrator.models import AuditEntry, Run, RunRecord, StepLog, Token, User
from tests.api.run_cast import RunCast
from tests.run_factories import (
    drawn,
    make_gate,
    make_items,
    make_log,
    make_run,
    make_task,
    make_token,
    make_version,
    make_workflow,
    node_of,
)

pytestmark = pytest.mark.django_db(transaction=True)
BROKEN = {"code": "broken", "message": "as told"}
STEP_VERBS = ("retry", "rerun", "skip")


@pytest.fixture
def cast(valkey: str) -> RunCast:
    return RunCast()


def failed_run(cast: RunCast) -> Run:
    """a succeeded, b failed, c succeeded; the join d could not start."""
    run = cast.run(state="failed", error={**BROKEN, "node": 1})
    make_log(run, "a")
    make_log(run, "b", outcome="F", error=BROKEN)
    make_log(run, "c")
    make_log(run, "d", outcome="F", attempt=-999_999, error={"code": "branch_failed", "message": "-"})
    make_gate(run, "d", size=2, ok=1, fail=1, verdict="X", decided=1)
    return run


def post(cast: RunCast, rest: str, body: Any = None) -> tuple[int, Any]:
    response = cast.client.post(cast.url(rest), body, format="json")
    return response.status_code, response.json()


def get(cast: RunCast, rest: str) -> tuple[int, Any]:
    response = cast.client.get(cast.url(rest))
    return response.status_code, response.json()


def test_it_says_what_a_retry_would_do_and_does_it(cast: RunCast) -> None:
    run = failed_run(cast)
    preview = cast.get(f"runs/{run.pk}/retry/")
    assert [(one["key"], one["effects"], one["had"]) for one in preview["first"]] == [("b", "external", "failed")]
    assert [one["key"] for one in preview["behind"]] == ["d"]
    assert preview["new_keys"] is False
    assert [(one["inside"], one["new_key"]) for one in preview["first"]] == [(None, False)]
    status, body = post(cast, f"runs/{run.pk}/retry/", {"reason": "fixed"})
    assert (status, body["state"], body["finished_at"], body["error"]) == (200, "running", None, None)
    token = Token.objects.get(run=run)
    assert (token.node, token.attempt, token.generation, token.state) == (1, 1, 0, "R")
    assert AuditEntry.objects.filter(action="run.retried", actor=cast.operator).count() == 1
    status, body = post(cast, f"runs/{run.pk}/retry/")
    assert (status, body["code"]) == (409, "run_not_failed")
    response = cast.client.get(cast.url(f"runs/{run.pk}/retry/"))
    assert (response.status_code, response.json()["code"]) == (409, "run_not_failed")


def test_one_step_is_retried(cast: RunCast) -> None:
    run = failed_run(cast)
    status, body = post(cast, f"runs/{run.pk}/steps/a/retry/")
    assert (status, body["code"]) == (409, "step_not_failed")
    response = cast.client.get(cast.url(f"runs/{run.pk}/steps/a/retry/"))
    assert (response.status_code, response.json()["code"]) == (409, "step_not_failed")
    assert post(cast, f"runs/{run.pk}/steps/b/retry/")[0] == 200
    states = {one["key"]: one["state"] for one in cast.get(f"runs/{run.pk}/steps/")["steps"]}
    assert states == {"a": "succeeded", "b": "ready", "c": "succeeded", "d": "waiting"}


def test_a_rerun_is_told_done_and_takes_another_input(cast: RunCast) -> None:
    run = failed_run(cast)
    preview = cast.get(f"runs/{run.pk}/steps/a/rerun/")
    assert [one["key"] for one in preview["behind"]] == ["b", "c", "d"]
    assert preview["new_keys"] is True
    status, body = post(cast, f"runs/{run.pk}/steps/a/rerun/", {"input": {"order": 2}, "reason": "wrong order"})
    assert (status, body["state"], body["input"]) == (200, "running", {"order": 2})
    steps = {one["key"]: one for one in cast.get(f"runs/{run.pk}/steps/")["steps"]}
    assert {key: one["state"] for key, one in steps.items()} == {
        "a": "ready",
        "b": "waiting",
        "c": "waiting",
        "d": "waiting",
    }
    assert steps["c"]["waiting"]["text"] == "Runs again when control reaches it"
    happened = [one["what"] for one in cast.get(f"runs/{run.pk}/history/")["items"]]
    assert happened[-1] == "rerun"
    status, body = post(cast, f"runs/{run.pk}/steps/d/rerun/")
    assert (status, body["code"]) == (409, "step_never_ran")


def test_a_failed_step_is_skipped(cast: RunCast) -> None:
    run = failed_run(cast)
    body = {"output": {"id": 7}, "reason": "done by hand"}
    status, answer = post(cast, f"runs/{run.pk}/steps/b/skip/", {**body, "port": "nowhere"})
    assert (status, answer["code"]) == (400, "unknown_port")
    assert post(cast, f"runs/{run.pk}/steps/b/skip/", body)[0] == 200
    row = StepLog.objects.get(run=run, node=1, outcome="S")
    assert (row.output, row.attempt) == ({"id": 7}, 2)
    assert Token.objects.get(run=run).node == 3, "the join starts"
    assert post(cast, f"runs/{run.pk}/steps/b/skip/", body)[1]["code"] == "step_not_open"


def test_a_step_that_waits_in_one_item_is_skipped_there(cast: RunCast) -> None:
    document = drawn("each", "call", steps={"each": {"kind": "for_each"}, "call": {"parent": "each"}})
    run = make_run(make_version(make_workflow(cast.workspace), document))
    make_token(run, "each", state="W", phase=1, waiting={"kind": "items", "text": "Working"})
    block = make_items(run, "each", total=3)
    for place in (1, 2):
        make_token(run, "call", state="W", scope_id=block.pk + place, waiting={"kind": "time", "text": "Later"})
    status, answer = post(cast, f"runs/{run.pk}/steps/call/skip/")
    assert (status, answer["code"]) == (409, "step_inside_container")
    assert "2 items or turns" in answer["message"]
    assert post(cast, f"runs/{run.pk}/steps/call/skip/", {"scope": "x"})[0] == 400
    status, answer = post(cast, f"runs/{run.pk}/steps/call/skip/", {"scope": str(block.pk + 3)})
    assert (status, answer["code"]) == (409, "step_not_open")
    assert post(cast, f"runs/{run.pk}/steps/call/skip/", {"scope": str(block.pk + 2), "output": 7})[0] == 200
    row = StepLog.objects.get(run=run, outcome="S")
    assert (row.scope_id, row.output) == (block.pk + 2, 7)
    assert Token.objects.filter(run=run, node=1).values_list("scope_id", flat=True).get() == block.pk + 1
    skipped = RunRecord.objects.get(run=run, kind="step_skipped")
    assert skipped.detail["scope"] == str(block.pk + 2)
    assert post(cast, f"runs/{run.pk}/steps/call/rerun/")[1]["code"] == "step_inside_container"
    assert post(cast, f"runs/{run.pk}/steps/call/retry/")[1]["code"] == "step_not_failed"


def items_run(cast: RunCast) -> tuple[Run, int]:
    """Three items of two steps: the second one failed at its first step, the third was cut short."""
    drawing = drawn(
        "each -> after",
        "call -> note",
        steps={"each": {"kind": "for_each"}, **{key: {"parent": "each"} for key in ("call", "note")}},
    )
    error = {"code": "x", "message": "-"}
    run = make_run(make_version(make_workflow(cast.workspace), drawing), state="failed", error={**error, "node": 0})
    block = make_items(run, "each", total=3, ok=1, fail=1, next=3, lanes=3, chunk=1, state="C")
    make_log(run, "call", scope_id=block.pk + 1)
    make_log(run, "note", scope_id=block.pk + 1)
    make_log(run, "call", scope_id=block.pk + 2, outcome="F", error=error)
    make_log(run, "call", scope_id=block.pk + 3, outcome="K", ports=[])
    make_log(run, "each", outcome="F", error=error)
    return run, block.pk


def test_a_step_inside_is_run_again_where_it_is_said(cast: RunCast) -> None:
    run, block = items_run(cast)
    assert post(cast, f"runs/{run.pk}/steps/call/rerun/")[1]["code"] == "step_inside_container"
    assert get(cast, f"runs/{run.pk}/steps/call/rerun/?scope=x")[0] == 400
    status, preview = get(cast, f"runs/{run.pk}/steps/call/rerun/?scope={block + 1}")
    assert status == 200
    assert preview["places"] == [{"key": "each", "name": "each", "kind": "for_each", "number": 1}]
    told = {
        name: [(one["key"], one["had"], one["new_key"]) for one in preview[name]]
        for name in ("first", "behind", "goes_on")
    }
    assert told == {
        "first": [("call", "succeeded", True)],
        "behind": [("each", "failed", True), ("after", None, True), ("note", "succeeded", True)],
        "goes_on": [],
    }
    assert not Token.objects.filter(run=run).exists()
    assert post(cast, f"runs/{run.pk}/steps/call/rerun/", {"scope": str(block + 9)})[1]["code"] == "step_never_ran"
    assert post(cast, f"runs/{run.pk}/steps/call/rerun/", {"scope": str(block + 2)})[0] == 200
    inside = Token.objects.filter(run=run, node=node_of(run, "call")).order_by("scope_id")
    # The third item was cut short, not failed: it goes on under its own key.
    assert list(inside.values_list("scope_id", "generation")) == [(block + 2, 1), (block + 3, 0)]
    record = RunRecord.objects.get(run=run, kind="rerun")
    assert (record.detail["step"], record.detail["scope"]) == ("call", str(block + 2))


def test_a_step_that_failed_inside_is_skipped_there(cast: RunCast) -> None:
    run, block = items_run(cast)
    status, preview = get(cast, f"runs/{run.pk}/steps/call/skip/")
    assert status == 200
    assert (preview["ports"], preview["fails_again"]) == (["out"], False)
    assert [(one["key"], one["number"]) for one in preview["places"]] == [("each", 2)]
    assert [(one["key"], one["new_key"]) for one in preview["goes_on"]] == [("call", False)]
    body = {"output": 7, "reason": "by hand", "scope": str(block + 2)}
    assert post(cast, f"runs/{run.pk}/steps/call/skip/", body)[0] == 200
    row = StepLog.objects.get(run=run, scope_id=block + 2, outcome="S")
    assert (row.attempt, row.output) == (2, 7)
    assert Token.objects.filter(run=run, scope_id=block + 2).get().node == node_of(run, "note")
    assert post(cast, f"runs/{run.pk}/steps/call/skip/", body)[1]["code"] == "step_not_open"
    assert get(cast, f"runs/{run.pk}/steps/call/skip/?scope={block + 2}")[1]["code"] == "step_not_open"


def test_a_step_that_failed_inside_is_retried_there(cast: RunCast) -> None:
    run, block = items_run(cast)
    address = f"runs/{run.pk}/steps/call/retry/"
    assert get(cast, f"{address}?scope=x")[0] == 400
    status, preview = get(cast, address)
    assert status == 200
    assert [(one["key"], one["had"], one["new_key"]) for one in preview["first"]] == [("call", "failed", False)]
    assert {one["key"] for one in preview["behind"]} == {"note", "each", "after"}
    assert [(one["key"], one["number"]) for one in preview["places"]] == [("each", 2)]
    assert [(one["key"], one["new_key"]) for one in preview["goes_on"]] == [("call", False)]
    assert (preview["new_keys"], preview["fails_again"]) == (False, False)
    assert not Token.objects.filter(run=run).exists()
    body = {"reason": "the bank is back", "scope": str(block + 2)}
    assert post(cast, address, body)[0] == 200
    inside = Token.objects.filter(run=run, node=node_of(run, "call")).order_by("scope_id")
    assert list(inside.values_list("scope_id", "generation")) == [(block + 2, 0), (block + 3, 0)]
    record = RunRecord.objects.get(run=run, kind="retried")
    assert record.detail == {"steps": ["call"], "step": "call", **body}
    assert post(cast, address, body)[1]["code"] == "step_not_failed"
    assert post(cast, address, {"scope": str(block + 1)})[1]["code"] == "step_not_failed"


def test_nobody_skips_an_approval(cast: RunCast) -> None:
    drawing = drawn("ask.approved -> b", steps={"ask": {"kind": "human_task"}})
    run = make_run(make_version(make_workflow(cast.workspace), drawing))
    task = make_task(run, "ask", users=["ann"])
    status, body = post(cast, f"runs/{run.pk}/steps/ask/skip/", {"output": {"outcome": "approved"}})
    assert (status, body["code"]) == (409, "approval_not_skippable")
    task.refresh_from_db()
    assert task.state == "open"


@pytest.mark.parametrize("state", ["cancelling", "undone", "undo_stuck", "undoing"])
@pytest.mark.parametrize("verb", ["retry", "steps/b/retry", "steps/b/rerun", "steps/b/skip"])
def test_a_run_that_cannot_go_on_says_so(cast: RunCast, state: str, verb: str) -> None:
    run = failed_run(cast)
    final = state.startswith("undo") and state != "undoing"
    Run.objects.filter(pk=run.pk).update(state=state, **({} if final else {"finished_at": None}))
    status, body = post(cast, f"runs/{run.pk}/{verb}/")
    assert (status, body["code"]) == (409, "run_not_repeatable")


@pytest.mark.parametrize("verb", ["retry", "steps/b/retry", "steps/b/rerun", "steps/b/skip"])
def test_an_ended_run_of_a_sub_workflow_names_the_run_that_goes_on(cast: RunCast, verb: str) -> None:
    top = failed_run(cast)
    run = failed_run(cast)
    Run.objects.filter(pk=run.pk).update(parent_run=top, parent_node=1, parent_scope=0, root_run=top, depth=1)
    status, body = post(cast, f"runs/{run.pk}/{verb}/")
    assert (status, body["code"], body["details"]) == (409, "run_of_sub_workflow", {"top": str(top.pk)})
    # A retry of that run would not take this one up: its step "b" is no sub-workflow.
    assert f'Re-run step "b" of run {top.pk}' in body["message"]
    if not verb.endswith("skip"):
        response = cast.client.get(cast.url(f"runs/{run.pk}/{verb}/"))
        assert (response.status_code, response.json()["code"]) == (409, "run_of_sub_workflow")
    ids = [str(run.pk), str(top.pk)]
    for dry_run in (True, False):
        _, told = post(cast, "runs/bulk/", {"action": "retry", "ids": ids, "dry_run": dry_run})
        assert [one["code"] for one in told["results"]] == ["run_of_sub_workflow", ""]
    assert Run.objects.get(pk=run.pk).state == "failed"


@pytest.mark.parametrize(
    ("verb", "body"),
    [
        ("rerun", {"newest": "perhaps"}),
        ("rerun", {"scope": "x"}),
        ("rerun", {"reason": "x" * 501}),
        ("rerun", []),
        ("skip", {"port": ["x"]}),
        ("skip", {"port": "x" * 64}),
        ("retry", {"input": {}}),
    ],
)
def test_it_refuses_bodies_it_does_not_know(cast: RunCast, verb: str, body: Any) -> None:
    run = failed_run(cast)
    assert post(cast, f"runs/{run.pk}/steps/b/{verb}/", body)[0] == 400
    assert Run.objects.get(pk=run.pk).state == "failed"


@pytest.mark.parametrize("verb", STEP_VERBS)
def test_foreign_and_absent_runs_and_steps_are_answered_alike(cast: RunCast, verb: str) -> None:
    foreign = failed_run(RunCast("other"))
    answers = {
        cast.client.post(cast.url(f"runs/{name}/steps/b/{verb}/"), {}, format="json").content
        for name in (foreign.pk, uuid.uuid4(), "nonsense")
    }
    assert len(answers) == 1
    own = failed_run(cast)
    assert post(cast, f"runs/{own.pk}/steps/nosuch/{verb}/")[0] == 404
    assert Run.objects.get(pk=foreign.pk).state == "failed"


@pytest.mark.parametrize("role", ["viewer", "approver"])
def test_reading_is_not_repeating(cast: RunCast, role: str) -> None:
    run = failed_run(cast)
    client = cast.member(role)
    for rest in (f"runs/{run.pk}/retry/", *(f"runs/{run.pk}/steps/b/{verb}/" for verb in STEP_VERBS), "runs/bulk/"):
        response = client.post(cast.url(rest), {}, format="json")
        assert (response.status_code, response.json()["code"]) == (403, "forbidden"), rest
    assert Run.objects.get(pk=run.pk).state == "failed"
    assert not StepLog.objects.filter(run=run, outcome="R").exists()


class TestBulk:
    """Many runs: each answered for."""

    def test_a_dry_run_changes_nothing_and_tells_the_truth(self, cast: RunCast) -> None:
        failed, ended = failed_run(cast), cast.run(state="succeeded")
        asked = {"action": "retry", "ids": [str(failed.pk), str(ended.pk), str(uuid.uuid4())]}
        status, told = post(cast, "runs/bulk/", {**asked, "dry_run": True})
        assert (status, told["asked"], told["done"], told["refused"], told["more"]) == (200, 3, 1, 2, False)
        assert Run.objects.get(pk=failed.pk).state == "failed"
        status, done = post(cast, "runs/bulk/", asked)
        assert (status, done["done"], done["refused"]) == (200, told["done"], told["refused"])
        assert [(one["ok"], one["state"], one["code"]) for one in done["results"]] == [
            (True, "running", ""),
            (False, "succeeded", "run_not_failed"),
            (False, "", "not_found"),
        ]
        assert AuditEntry.objects.get(action="run.bulk_retry").detail == {"done": 1}
        assert post(cast, "runs/bulk/", asked)[1]["done"] == 0, "asked again, nothing is left to do"

    @pytest.mark.parametrize("action", ["retry", "cancel", "pause", "resume"])
    def test_what_a_dry_run_says_comes_true(self, cast: RunCast, action: str) -> None:
        runs = [cast.run(state=state) for state in RunState if state != "failed"] + [failed_run(cast)]
        taken = failed_run(cast)
        Run.objects.filter(pk=taken.pk).update(business_key="order-7")
        runs += [taken, cast.run(business_key="order-7")]
        asked = {"action": action, "ids": [str(run.pk) for run in runs]}
        rows = list(Run.objects.order_by("pk").values())
        _, told = post(cast, "runs/bulk/", {**asked, "dry_run": True})
        assert list(Run.objects.order_by("pk").values()) == rows
        assert set(RunRecord.objects.values_list("kind", flat=True)) == {"started"}
        assert not AuditEntry.objects.filter(action__startswith="run.").exists()
        _, done = post(cast, "runs/bulk/", asked)
        assert [(one["ok"], one["code"]) for one in told["results"]] == [
            (one["ok"], one["code"]) for one in done["results"]
        ]

    @pytest.mark.parametrize(("action", "state"), [("cancel", "cancelled"), ("pause", "paused"), ("resume", "running")])
    def test_it_acts_by_filter(self, cast: RunCast, action: str, state: str) -> None:
        before = {"state": "paused", "control": "P"} if action == "resume" else {"state": "running"}
        runs = [cast.run(**before) for _ in range(3)]
        for run in runs:
            make_token(run, "a")
        other = cast.run(business_key="mine", **before)
        make_token(other, "a")
        body = {"action": action, "filter": {"workflow": "orders", "state": [before["state"]], "key": "mine"}}
        assert post(cast, "runs/bulk/", body)[1]["done"] == 1
        assert Run.objects.get(pk=other.pk).state == state
        body["filter"] = {"workflow": "orders"}
        assert post(cast, "runs/bulk/", body)[1]["asked"] == 4
        assert set(Run.objects.values_list("state", flat=True)) == {state}

    def test_foreign_runs_are_left_alone(self, cast: RunCast) -> None:
        foreign = RunCast("other").run()
        _, answer = post(cast, "runs/bulk/", {"action": "cancel", "ids": [str(foreign.pk)]})
        assert [one["code"] for one in answer["results"]] == ["not_found"]
        assert Run.objects.get(pk=foreign.pk).state == "running"

    @pytest.mark.parametrize(
        "body",
        [
            {},
            {"action": "retry"},
            {"action": "delete", "ids": [str(uuid.UUID(int=1))]},
            {"action": "retry", "ids": []},
            {"action": "retry", "ids": ["nonsense"]},
            {"action": "retry", "ids": [str(uuid.UUID(int=n)) for n in range(501)]},
            {"action": "retry", "ids": [str(uuid.UUID(int=1))], "filter": {}},
            {"action": "retry", "filter": {"state": ["odd"]}},
            {"action": "retry", "filter": {"nosuch": 1}},
        ],
    )
    def test_it_refuses_what_it_does_not_know(self, cast: RunCast, body: Any) -> None:
        assert post(cast, "runs/bulk/", body)[0] == 400


def test_a_hard_cancellation_takes_the_step_away_at_once(cast: RunCast) -> None:
    run = cast.run()
    make_token(run, "a", state="L")
    assert post(cast, f"runs/{run.pk}/cancel/")[1]["state"] == "cancelling"
    assert post(cast, f"runs/{run.pk}/cancel/", {"hard": "maybe"})[0] == 400
    status, body = post(cast, f"runs/{run.pk}/cancel/", {"hard": True, "reason": "now"})
    assert (status, body["state"]) == (200, "cancelled")
    assert StepLog.objects.get(run=run).outcome == "K"
    assert not Token.objects.filter(run=run).exists()
    assert User.objects.filter(pk=cast.operator.pk).exists()
