"""Retry, re-run, skip and bulk by plain forms: each says beforehand what it does."""

import re

import pytest
from django.test import Client

from orchestrator.engine import dispatch
from orchestrator.models import Run, StepLog, Token
from tests.factories import make_member
from tests.pages.monitor_cast import Day, working_day
from tests.run_factories import (
    drawn,
    make_gate,
    make_items,
    make_log,
    make_run,
    make_token,
    make_version,
    make_workflow,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def day(monkeypatch: pytest.MonkeyPatch) -> Day:
    monkeypatch.setattr(dispatch, "wake", lambda *_: None)
    monkeypatch.setattr(dispatch, "announce", lambda *_, **__: None)
    day = working_day()
    day.runs["failed"] = failed_run(day)
    return day


def failed_run(day: Day) -> Run:
    """Stock is reserved, the card was declined, nothing is shipped."""
    names = {"reserve": "Reserve stock", "charge": "Charge the card", "ship": "Ship the parcel"}
    drawing = drawn("reserve -> charge", "charge -> ship", steps={key: {"name": name} for key, name in names.items()})
    error = {"code": "card_declined", "message": "The bank declined the card."}
    version = make_version(make_workflow(day.workspace), drawing)
    run = make_run(version, state="failed", error={**error, "node": 1}, input={"order": {"sku": "bike"}})
    make_log(run, "reserve")
    make_log(run, "charge", outcome="F", error=error)
    return run


def client_of(user) -> Client:
    client = Client()
    client.force_login(user)
    return client


def failed_step(run: Run):
    row = StepLog.objects.filter(run=run, outcome="F").latest("entry")
    return run.version.plan["keys"][row.node]


def test_a_failed_run_offers_a_retry_that_says_what_it_does(day):
    run, client = day.runs["failed"], client_of(day.alice)
    address = f"/w/demo/runs/{run.pk}/retry/"
    assert address in client.get(f"/w/demo/runs/{run.pk}/").content.decode()
    text = client.get(address).content.decode()
    assert "Runs again at once" in text
    assert "The same idempotency keys are used" in text
    answer = client.post(address, {"reason": "service is back"}, follow=True).content.decode()
    assert "goes on from its failure" in answer
    run.refresh_from_db()
    assert run.state == "running"
    history = client.get(f"/w/demo/runs/{run.pk}/?tab=history").content.decode()
    assert "Retried" in history
    assert "service is back" in history
    second = client.post(address)
    assert second.status_code == 409
    assert "no step of it has failed" in second.content.decode()
    assert "Nothing runs again" in second.content.decode()


def test_the_panel_offers_what_can_be_done(day):
    run, client = day.runs["failed"], client_of(day.alice)
    key = failed_step(run)
    panel = client.get(f"/w/demo/runs/{run.pk}/steps/{key}/").content.decode()
    for verb in ("retry", "rerun", "skip"):
        assert f"/w/demo/runs/{run.pk}/steps/{key}/{verb}/" in panel
    viewer = client_of(make_member(day.workspace, "viewer"))
    assert "/rerun/" not in viewer.get(f"/w/demo/runs/{run.pk}/steps/{key}/").content.decode()


def test_a_step_leads_to_the_run_of_its_sub_workflow(day):
    drawing = drawn("a -> b", steps={"b": {"kind": "sub_workflow", "config": {"workflow": "other"}}})
    top = make_run(make_version(make_workflow(day.workspace), drawing))
    make_log(top, "b")
    below = day.runs["failed"]
    Run.objects.filter(pk=below.pk).update(parent_run=top, parent_node=1, parent_scope=0, root_run=top)
    panel = client_of(day.alice).get(f"/w/demo/runs/{top.pk}/steps/b/").content.decode()
    assert f'href="/w/demo/runs/{below.pk}/">Open the run of the sub-workflow' in panel


def test_an_ended_run_of_a_sub_workflow_leads_to_the_run_above(day):
    run, top, client = day.runs["failed"], failed_run(day), client_of(day.alice)
    Run.objects.filter(pk=run.pk).update(parent_run=top, parent_node=1, parent_scope=0, root_run=top)
    page = client.get(f"/w/demo/runs/{run.pk}/").content.decode()
    assert f"/w/demo/runs/{run.pk}/retry/" not in page
    assert f'href="/w/demo/runs/{top.pk}/steps/charge/">{top.workflow.name}, step Charge the card</a>' in page
    assert f'href="/w/demo/runs/{top.pk}/">Go to the run above' in page
    panel = client.get(f"/w/demo/runs/{run.pk}/steps/{failed_step(run)}/").content.decode()
    assert "panel-actions" in panel
    assert "goes on, or is done anew, with the step that started it: <a" in panel
    Run.objects.filter(pk=run.pk).update(state="undone")
    undone = client.get(f"/w/demo/runs/{run.pk}/steps/{failed_step(run)}/").content.decode()
    assert "goes on, or is done anew" not in undone
    Run.objects.filter(pk=run.pk).update(state="failed")
    for verb in ("retry", "rerun", "skip"):
        assert f"/{verb}/" not in panel
    refused = client.get(f"/w/demo/runs/{run.pk}/retry/").content.decode()
    assert f"of run {top.pk}; it starts this workflow anew." in refused


def test_a_retry_names_what_runs_a_second_time(day):
    names = {"b": "Book", "meet": "Meet", "tidy": "Tidy up"}
    drawing = drawn(
        "a -> meet", "b -> meet", "b -> other", "meet.error -> tidy", steps={key: {"name": names[key]} for key in names}
    )
    run = make_run(make_version(make_workflow(day.workspace), drawing), state="failed", error={"code": "x"})
    make_log(run, "a")
    make_log(run, "b", outcome="F", error={"code": "x", "message": "-"})
    make_log(
        run, "meet", outcome="F", attempt=-999_999, ports=["error"], error={"code": "branch_failed", "message": "-"}
    )
    make_log(run, "tidy")
    make_gate(run, "meet", size=2, ok=1, fail=1, verdict="X", decided=1)
    text = client_of(day.alice).get(f"/w/demo/runs/{run.pk}/retry/").content.decode()
    assert "not for what begins anew: Tidy up. Where" in text
    assert "acts outside again" in text


def test_a_join_that_failed_has_had_no_attempt(day):
    run = make_run(make_version(make_workflow(day.workspace), drawn("a -> meet", "b -> meet")), state="failed")
    make_log(run, "meet", outcome="F", attempt=-999_999, error={"code": "branch_failed", "message": "-"})
    panel = client_of(day.alice).get(f"/w/demo/runs/{run.pk}/steps/meet/").content.decode()
    assert "it never began" in panel
    assert "attempt 0" not in panel


def test_a_rerun_warns_and_takes_another_input(day):
    run, client = day.runs["failed"], client_of(day.alice)
    key = failed_step(run)
    address = f"/w/demo/runs/{run.pk}/steps/{key}/rerun/"
    text = client.get(address).content.decode()
    assert "new idempotency keys" in text
    assert "acts outside" in text
    wrong = client.post(address, {"edit_input": "1", "input": "{no json", "reason": "typed"})
    assert wrong.status_code == 409
    assert "{no json" in wrong.content.decode(), "what was typed stays"
    assert client.post(address, {"edit_input": "1", "input": '{"a": 1}'}).status_code == 302
    run.refresh_from_db()
    assert (run.state, run.generation, run.input) == ("running", 1, {"a": 1})


def test_a_step_is_skipped_with_an_output(day):
    run, client = day.runs["failed"], client_of(day.alice)
    key = failed_step(run)
    address = f"/w/demo/runs/{run.pk}/steps/{key}/skip/"
    assert "nothing is undone" in client.get(address).content.decode()
    assert client.post(address, {"output": '{"paid": true}', "reason": "by hand"}).status_code == 302
    assert StepLog.objects.filter(run=run, outcome="S", output={"paid": True}).exists()
    assert "cannot be skipped" in client.get(address).content.decode()
    assert "Skipped “Charge the card”" in client.get(f"/w/demo/runs/{run.pk}/?tab=history").content.decode()


def test_a_step_that_waits_in_an_item_is_skipped_there(day):
    names = {"each": {"kind": "for_each"}, "call": {"parent": "each", "name": "Call the shop"}}
    run = make_run(make_version(make_workflow(day.workspace), drawn("each", "call", steps=names)))
    make_token(run, "each", state="W", phase=1, waiting={"kind": "items", "text": "Working"})
    scope = make_items(run, "each", total=2).pk + 2
    make_token(run, "call", state="W", scope_id=scope, waiting={"kind": "time", "text": "Later"})
    client, base = client_of(day.alice), f"/w/demo/runs/{run.pk}/steps/call"
    panel = client.get(f"{base}/?scope={scope}").content.decode()
    assert f"{base}/skip/?scope={scope}" in panel
    assert f"{base}/rerun/?scope={scope}" in panel
    assert f"{base}/retry/" not in panel
    assert "Skip “Call the shop” in item 2?" in client.get(f"{base}/skip/?scope={scope}").content.decode()
    for wrong in ("x", "9" * 19, "-1"):
        assert client.get(f"{base}/skip/?scope={wrong}").status_code == 404
    assert client.post(f"{base}/skip/?scope={scope}", {"reason": "by hand"}).status_code == 302
    assert StepLog.objects.get(run=run, outcome="S").scope_id == scope
    assert "cannot be skipped" in client.get(f"{base}/skip/?scope={scope}").content.decode()
    viewer = client_of(make_member(day.workspace, "viewer"))
    assert "/skip/" not in viewer.get(f"{base}/?scope={scope}").content.decode()


def test_a_step_that_failed_in_an_item_is_run_again_or_skipped_there(day):
    names = {"each": {"kind": "for_each", "name": "All shops"}, "call": {"parent": "each", "name": "Call the shop"}}
    error = {"code": "x", "message": "-"}
    run = make_run(
        make_version(make_workflow(day.workspace), drawn("each", "call", steps=names)), state="failed", error=error
    )
    block = make_items(run, "each", total=3, fail=1, ok=1, next=3, lanes=3, chunk=1, state="C").pk
    make_log(run, "call", scope_id=block + 1)
    make_log(run, "call", scope_id=block + 2, outcome="F", error=error)
    make_log(run, "each", outcome="F", error=error)
    client, base = client_of(day.alice), f"/w/demo/runs/{run.pk}/steps/call"
    panel = client.get(f"{base}/?scope={block + 2}").content.decode()
    assert f"{base}/rerun/?scope={block + 2}" in panel
    assert f"{base}/skip/?scope={block + 2}" in panel
    assert f"{base}/retry/?scope={block + 2}" in panel
    page = client.get(f"{base}/retry/?scope={block + 2}").content.decode()
    assert "Retry “Call the shop”?" in page
    assert "In item 2 of “All shops”." in page
    assert "The same idempotency keys are used" in page
    assert "fails the container, or the run, again" not in page
    page = client.get(f"{base}/rerun/?scope={block + 2}").content.decode()
    assert "In item 2 of “All shops”." in page
    assert "Goes on beside it" in page, "the third item had not begun"
    assert f"?newest=1&amp;scope={block + 2}" in page
    page = client.get(f"{base}/skip/?scope={block + 2}").content.decode()
    assert "In item 2 of “All shops”." in page
    assert "Nothing else that failed is tried again." in page
    assert client.post(f"{base}/skip/?scope={block + 2}", {"output": "1", "reason": "by hand"}).status_code == 302
    assert StepLog.objects.get(run=run, scope_id=block + 2, outcome="S").output == 1
    page = client.get(f"{base}/rerun/?scope={block + 1}").content.decode()
    assert "In item 1 of “All shops”." in page, "the for-each is open, and another item of it is done again"


def test_a_step_that_failed_in_an_item_is_retried_there(day):
    names = {"each": {"kind": "for_each", "name": "All shops"}, "call": {"parent": "each", "name": "Call the shop"}}
    error = {"code": "x", "message": "-"}
    run = make_run(
        make_version(make_workflow(day.workspace), drawn("each", "call", steps=names)), state="failed", error=error
    )
    block = make_items(run, "each", total=3, fail=2, ok=1, next=3, lanes=3, chunk=1, state="C").pk
    make_log(run, "call", scope_id=block + 1)
    for item in (2, 3):
        make_log(run, "call", scope_id=block + item, outcome="F", error=error)
    make_log(run, "each", outcome="F", error=error)
    client, address = client_of(day.alice), f"/w/demo/runs/{run.pk}/steps/call/retry/?scope={block + 2}"
    assert "fails the container, or the run, again" in client.get(address).content.decode()
    assert client.post(address, {"reason": "the shop is back"}).status_code == 302
    assert Token.objects.get(run=run, node=1).scope_id == block + 2
    assert "Nothing runs again" in client.get(address).content.decode()


def test_many_runs_first_dry_then_done(day):
    client = client_of(day.alice)
    failed, waiting = day.runs["failed"], day.runs["waiting"]
    assert 'form="bulk"' in client.get("/w/demo/runs/").content.decode()
    address = f"/w/demo/runs/bulk/?action=retry&run={failed.pk}&run={waiting.pk}&run=nonsense"
    text = client.get(address).content.decode()
    assert "Retry 1 run?" in text
    assert "run_not_failed" in text
    assert Run.objects.get(pk=failed.pk).state == "failed"
    done = client.post("/w/demo/runs/bulk/", {"action": "retry", "run": [str(failed.pk), str(waiting.pk)]})
    assert "2 asked: 1 done, 1 refused" in done.content.decode()
    # On a narrow screen a cell's parts stand side by side: sentence and code are one part.
    (told,) = re.findall(
        r'<td data-label="Result"><(.*) <code class="muted">\w+</code></span></td>', done.content.decode()
    )
    assert told.startswith("span>Run ")
    assert Run.objects.get(pk=failed.pk).state == "running"
    assert Token.objects.filter(run=failed).exists()


def test_bulk_by_filter_and_without_a_choice(day):
    client = client_of(day.alice)
    text = client.get("/w/demo/runs/bulk/?action=cancel&all=1&state=failed").content.decode()
    assert "Cancel 0 runs?" in text
    assert "run_closed" in text
    assert "No run was chosen" in client.get("/w/demo/runs/bulk/?action=cancel").content.decode()
    assert client.get("/w/demo/runs/bulk/?action=explode").status_code == 302


@pytest.mark.parametrize("role", ["viewer", "approver"])
def test_who_may_not_control_cannot(day, role):
    run = day.runs["failed"]
    client = client_of(make_member(day.workspace, role, groups=["finance"]))
    key = failed_step(run)
    make_log(run, key, outcome="U", attempt=9, final=False)
    for rest in ("retry", *(f"steps/{key}/{verb}" for verb in ("retry", "rerun", "skip"))):
        assert client.post(f"/w/demo/runs/{run.pk}/{rest}/").status_code == 403
    assert client.post("/w/demo/runs/bulk/", {"action": "cancel"}).status_code == 403
    assert 'form="bulk"' not in client.get("/w/demo/runs/").content.decode()
    assert Run.objects.get(pk=run.pk).state == "failed"


def test_bulk_says_beforehand_who_would_wait_in_line(day):
    runs = [failed_run(day), failed_run(day)]
    Run.objects.filter(pk__in=[run.pk for run in runs]).update(
        workflow=runs[0].workflow, concurrency_key="", concurrency_limit=1
    )
    asked = "&".join(f"run={run.pk}" for run in runs)
    text = client_of(day.alice).get(f"/w/demo/runs/bulk/?action=retry&{asked}").content.decode()
    assert "Retry 2 runs?" in text
    assert "Of the 2, 1 would wait in line: a limit of open runs leaves no slot for it now." in text
    (told,) = re.findall(
        r'<td data-label="Result"><span>Would retry\. <span class="muted small">(.*)</span></span></td>', text
    )
    assert "1 run of its workflow may be open at once" in told


def test_bulk_says_of_nobody_who_is_cancelled_that_they_wait_in_line(day):
    run = day.runs["waiting"]
    Run.objects.filter(pk=run.pk).update(concurrency_key="", concurrency_limit=1, queued=True)
    client = client_of(day.alice)
    text = client.get(f"/w/demo/runs/bulk/?action=cancel&run={run.pk}").content.decode()
    assert "Cancel 1 run?" in text
    assert "in line" not in text
    text = client.post("/w/demo/runs/bulk/", {"action": "cancel", "run": str(run.pk)}).content.decode()
    assert "1 asked: 1 done" in text
    assert "in line" not in text
