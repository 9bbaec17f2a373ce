"""Cancelling, pausing and resuming a run by plain forms."""

import pytest
from django.test import Client

from orchestrator.engine import dispatch
from orchestrator.models import Run
from tests.factories import make_member
from tests.pages.monitor_cast import Day, working_day

pytestmark = pytest.mark.django_db


@pytest.fixture
def day(monkeypatch: pytest.MonkeyPatch) -> Day:
    monkeypatch.setattr(dispatch, "wake", lambda *_: None)
    monkeypatch.setattr(dispatch, "announce", lambda *_, **__: None)
    return working_day()


def client_of(user) -> Client:
    client = Client()
    client.force_login(user)
    return client


def test_it_says_beforehand_what_happens(day):
    text = client_of(day.alice).get(f"/w/demo/runs/{day.runs['waiting'].pk}/cancel/").content.decode()
    assert "No further step starts" in text
    assert "Approve the leave" in text  # dropped
    assert "Approve 4 days of leave for Ada Lovelace" in text  # the form that closes
    assert "1 finished step" in text


def test_it_cancels_with_a_reason_and_closes_the_form(day):
    run = day.runs["waiting"]
    answer = client_of(day.alice).post(f"/w/demo/runs/{run.pk}/cancel/", {"reason": "asked twice"}, follow=True)
    assert "being cancelled" in answer.content.decode()
    run.refresh_from_db()
    assert run.state == "cancelled"
    day.tasks["leave"].refresh_from_db()
    assert day.tasks["leave"].state == "cancelled"
    history = client_of(day.alice).get(f"/w/demo/runs/{run.pk}/?tab=history").content.decode()
    assert "asked twice" in history


def test_a_run_that_ended_says_so(day):
    run = day.runs["failed"]
    assert "This run has ended" in client_of(day.alice).get(f"/w/demo/runs/{run.pk}/cancel/").content.decode()
    answer = client_of(day.alice).post(f"/w/demo/runs/{run.pk}/cancel/", follow=True)
    assert "already ended" in answer.content.decode()


def test_pause_and_resume(day):
    run = day.runs["waiting"]
    client = client_of(day.alice)
    assert client.post(f"/w/demo/runs/{run.pk}/pause/").status_code == 302
    assert Run.objects.get(pk=run.pk).state == "paused"
    assert "Resume" in client.get(f"/w/demo/runs/{run.pk}/").content.decode()
    assert client.post(f"/w/demo/runs/{run.pk}/resume/").status_code == 302
    assert Run.objects.get(pk=run.pk).state == "running"


@pytest.mark.parametrize("role", ["viewer", "approver"])
def test_who_may_not_control_cannot(day, role):
    run = day.runs["waiting"]
    member = make_member(day.workspace, role, groups=["finance"])
    for verb in ("cancel", "pause", "resume"):
        assert client_of(member).post(f"/w/demo/runs/{run.pk}/{verb}/").status_code == 403
    assert Run.objects.get(pk=run.pk).state == "running"
