"""The undo on the run's page, the front page and the inbox: by plain forms."""

import re
from typing import Any

import pytest
from django.test import Client

from orchestrator.engine import dispatch
from orchestrator.models import Run, RunRecord, UndoItem
from tests.factories import make_member
from tests.pages.monitor_cast import Day, stuck_order, working_day
from tests.run_factories import drawn, make_items, make_record, make_run, make_version, make_workflow, node_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def day(monkeypatch: pytest.MonkeyPatch) -> Day:
    monkeypatch.setattr(dispatch, "wake", lambda *_: None)
    monkeypatch.setattr(dispatch, "announce", lambda *_, **__: None)
    made = working_day()
    stuck_order(made)
    return made


def client_of(user: Any) -> Client:
    client = Client()
    client.force_login(user)
    return client


def page(day: Day, path: str, user: Any = None) -> str:
    answer = client_of(user or day.alice).get(f"/w/demo/{path}")
    assert answer.status_code == 200
    return answer.content.decode()


def test_a_stuck_undo_shows_on_every_tab_and_page(day: Day) -> None:
    run = day.runs["stuck"]
    for tab in ("graph", "timeline", "steps", "history", "undo", "data"):
        assert "1 step could not be undone" in page(day, f"runs/{run.pk}/?tab={tab}"), tab
    for path in ("", "inbox/"):
        assert f"runs/{run.pk}/?tab=undo" in page(day, path), path


def test_an_undo_that_waits_for_the_resume_shows_on_every_tab(day: Day) -> None:
    error = {"code": "no_carrier", "message": "No carrier takes this parcel.", "node": 2}
    run = make_run(day.order, state="paused", control="C", closing={"error": error})
    for tab in ("graph", "timeline", "steps", "history", "undo", "data"):
        text = page(day, f"runs/{run.pk}/?tab={tab}")
        assert "failed while it was paused" in text, tab
        assert "No carrier takes this parcel." in text
        assert f'href="/w/demo/runs/{run.pk}/steps/ship/?tab={tab}"' in text
        assert f'href="/w/demo/runs/{run.pk}/retry/"' in text
    assert f'href="/w/demo/runs/{run.pk}/retry/"' not in page(
        day, f"runs/{run.pk}/", make_member(day.workspace, "viewer")
    )
    Run.objects.filter(pk=run.pk).update(control="P", closing=None)
    assert "failed while it was paused" not in page(day, f"runs/{run.pk}/")


@pytest.mark.parametrize("state", ["running", "cancelled", "succeeded"])
def test_a_stuck_undo_shows_in_lists_whatever_its_run_does(day: Day, state: str) -> None:
    """The undo of a scope may be stuck while the run goes on, and stay so when the run has ended around it."""
    run = day.runs["stuck"]
    others = [other for other in day.runs.values() if other != run]
    Run.objects.filter(pk=run.pk).update(state=state, finished_at=None if state == "running" else run.started_at)
    front = page(day, "")
    assert f'href="/w/demo/runs/{run.pk}/?tab=undo"' in front
    assert '<a href="/w/demo/runs/?state=undo_stuck">' in front
    listed = page(day, "runs/?state=undo_stuck")
    assert f"/runs/{run.pk}/" in listed
    assert not [other for other in others if f"/runs/{other.pk}/" in listed]
    assert listed.count('data-exact="undo_stuck"') == 1
    assert page(day, "runs/").count('data-exact="undo_stuck"') == 1
    UndoItem.objects.filter(run=run, state="stuck").update(state="by_hand", reason="By phone.")
    assert "undo_stuck" not in page(day, "")
    assert f"/runs/{run.pk}/" not in page(day, "runs/?state=undo_stuck")


@pytest.mark.parametrize("state", ["undoing", "undone", "undo_stuck"])
def test_runs_are_listed_by_the_states_of_an_undo(day: Day, state: str) -> None:
    run = day.runs["stuck"]
    Run.objects.filter(pk=run.pk).update(state=state, finished_at=None if state == "undoing" else run.started_at)
    listed = page(day, f"runs/?state={state}")
    assert f"/runs/{run.pk}/" in listed
    assert f"/runs/{day.runs['failed'].pk}/" not in listed


def test_whoever_may_not_control_sees_it_without_buttons(day: Day) -> None:
    viewer = make_member(day.workspace, "viewer")
    text = page(day, f"runs/{day.runs['stuck'].pk}/?tab=undo", viewer)
    assert "1 step could not be undone" in text
    assert 'name="how"' not in text
    assert "cancel or undo runs." in text  # why not
    assert client_of(viewer).get(f"/w/demo/runs/{day.runs['failed'].pk}/undo/").status_code == 403


def test_the_ledger_says_what_waits_for_what(day: Day) -> None:
    text = page(day, f"runs/{day.runs['stuck'].pk}/?tab=undo")
    assert "No such payment." in text
    assert "after Charge the card" in text


def test_of_an_unknown_step_it_asks_whether_it_acted(day: Day) -> None:
    UndoItem.objects.filter(state="stuck").update(state="unknown", error=None)
    text = page(day, f"runs/{day.runs['stuck'].pk}/?tab=undo")
    assert "Look outside whether it acted" in text
    assert "Run its undo" in text


def test_steps_timeline_and_history_tell_undo_and_step_apart(day: Day) -> None:
    run = day.runs["stuck"]
    assert "Could not be undone" in page(day, f"runs/{run.pk}/?tab=steps")
    assert "Undo, attempt 1: undo failed" in page(day, f"runs/{run.pk}/?tab=timeline")
    assert "by its undo" in page(day, f"runs/{run.pk}/?tab=history")


@pytest.mark.parametrize(("how", "state"), [("by_hand", "by_hand"), ("skip", "skipped"), ("retry", "running")])
def test_a_form_settles_it(day: Day, how: str, state: str) -> None:
    run = day.runs["stuck"]
    item = UndoItem.objects.get(run=run, state="stuck")
    address = f"/w/demo/runs/{run.pk}/undo/{item.entry}/"
    answer = client_of(day.alice).post(address, {"how": how, "reason": "called the bank"}, follow=True)
    assert "step could not be undone" not in answer.content.decode()
    assert UndoItem.objects.get(run=run, entry=item.entry).state == state
    assert Run.objects.get(pk=run.pk).state == "undoing"
    assert RunRecord.objects.get(run=run, kind=f"undo_{how}").actor == day.alice.username


def test_the_history_names_the_item_that_was_settled(day: Day) -> None:
    drawing = drawn("each", "pay", steps={"each": {"kind": "for_each"}, "pay": {"parent": "each", "name": "Pay out"}})
    run = make_run(make_version(make_workflow(day.workspace), drawing), state="undone")
    scope = make_items(run, "each", total=5).pk + 3
    detail = {"node": node_of(run, "pay"), "scope": scope, "entry": 7, "reason": "called them"}
    make_record(run, "undo_by_hand", detail=detail)
    text = page(day, f"runs/{run.pk}/?tab=history")
    assert re.search(r'Undone by hand “Pay out” <span class="muted small">item 3</span>\s+by alice', text)


@pytest.mark.parametrize(
    ("form", "said"),
    [({"how": "skip"}, "Say why"), ({"how": "by_hand", "reason": " "}, "Say why"), ({"how": "burn"}, "Choose one of")],
)
def test_a_bad_form_changes_nothing_and_says_why(day: Day, form: dict[str, str], said: str) -> None:
    run = day.runs["stuck"]
    item = UndoItem.objects.get(run=run, state="stuck")
    answer = client_of(day.alice).post(f"/w/demo/runs/{run.pk}/undo/{item.entry}/", form, follow=True)
    assert said in answer.content.decode()
    assert Run.objects.get(pk=run.pk).state == "undo_stuck"


def test_it_says_beforehand_what_an_undo_comes_to(day: Day) -> None:
    run = day.runs["failed"]
    assert "Undo…" in page(day, f"runs/{run.pk}/")
    text = page(day, f"runs/{run.pk}/undo/")
    assert "Undo this run?" in text
    assert "Reserve stock" in text
    assert "is undone by a step “Function”" in text
    answer = client_of(day.alice).post(f"/w/demo/runs/{run.pk}/undo/", {"reason": "a mistake"}, follow=True)
    assert "being undone" in answer.content.decode()
    assert Run.objects.get(pk=run.pk).state == "undoing"
    assert "has begun" in page(day, f"runs/{run.pk}/undo/")


def test_cancelling_offers_the_undo(day: Day) -> None:
    run = day.runs["retrying"]
    text = page(day, f"runs/{run.pk}/cancel/")
    assert 'name="undo"' in text
    assert "Reserve stock" in text
    client_of(day.alice).post(f"/w/demo/runs/{run.pk}/cancel/", {"undo": "1"})
    assert Run.objects.get(pk=run.pk).state == "undoing"


def test_a_run_without_an_undo_says_so(day: Day) -> None:
    assert "Nothing of this run has been undone" in page(day, f"runs/{day.runs['failed'].pk}/?tab=undo")
    assert "No step that happened so far has an undo" in page(day, f"runs/{day.runs['done'].pk}/undo/")


def test_the_run_of_another_workspace_is_not_there(day: Day) -> None:
    run = working_day("elsewhere").runs["failed"]
    client = client_of(day.alice)
    assert client.get(f"/w/demo/runs/{run.pk}/undo/").status_code == 404
    assert client.post(f"/w/demo/runs/{run.pk}/undo/").status_code == 404
    assert client.post(f"/w/demo/runs/{run.pk}/undo/1/", {"how": "retry"}).status_code == 404
    assert Run.objects.get(pk=run.pk).state == "failed"
