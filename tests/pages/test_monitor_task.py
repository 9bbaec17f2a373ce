"""The form page and the inbox without JavaScript: deciding, being refused, keeping what was typed."""

import re

import pytest
from django.test import Client

from orchestrator.engine import dispatch
from orchestrator.models import AuditEntry, Decision, HumanTask, Token
from orchestrator.models.task import TaskState
from tests.factories import make_member
from tests.pages.monitor_cast import Day, working_day

pytestmark = pytest.mark.django_db
TYPED = {"field-days": "4", "field-paid": "yes", "field-note": "Good luck & <b>all</b>", "comment": "fine"}


@pytest.fixture
def day() -> Day:
    return working_day()


@pytest.fixture(autouse=True)
def woken(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Queues that were told to look, instead of a broker."""
    queues: list[str] = []
    monkeypatch.setattr(dispatch, "wake", lambda queue, _count: queues.append(queue))
    monkeypatch.setattr(dispatch, "announce", lambda *_, **__: None)
    return queues


def client_of(user) -> Client:
    client = Client()
    client.force_login(user)
    return client


def form_of(user, task, typed=TYPED, *, outcome="approved", digest=None):
    """Open the form as this person, then press an outcome."""
    client = client_of(user)
    address = f"/w/demo/inbox/{task.pk}/"
    shown = client.get(address).content.decode()
    return client.post(address, {**typed, "outcome": outcome, "digest": digest or digest_in(shown)})


def digest_in(page: str) -> str:
    """The fingerprint the form carries; it must carry one."""
    found = re.search(r'name="digest" value="(\w+)"', page)
    assert found
    return found[1]


def test_a_decision_by_form_lets_the_run_go_on(day, woken, django_capture_on_commit_callbacks):
    task = day.tasks["leave"]
    with django_capture_on_commit_callbacks(execute=True):
        answer = form_of(day.bob, task)
    assert answer.status_code == 302
    assert answer["Location"] == "/w/demo/inbox/"
    task.refresh_from_db()
    assert (task.state, task.outcome) == (TaskState.DONE, "approved")
    decision = task.decisions.get()
    assert decision.values == {"days": 4, "from": None, "cover": None, "paid": True, "note": "Good luck & <b>all</b>"}
    assert (decision.comment, decision.user) == ("fine", day.bob)
    token = Token.objects.get(pk=task.token_id)
    assert token.state == "R"
    assert token.signal is not None
    assert token.signal["outcome"] == "approved"
    assert token.signal["by"] == day.bob.username
    assert woken == ["default"]


def test_it_says_what_counted(day):
    client = client_of(day.bob)
    task = day.tasks["leave"]
    digest = digest_in(client.get(f"/w/demo/inbox/{task.pk}/").content.decode())
    answer = client.post(f"/w/demo/inbox/{task.pk}/", {**TYPED, "outcome": "approved", "digest": digest}, follow=True)
    assert "The run goes on" in answer.content.decode()


@pytest.mark.parametrize(
    ("typed", "outcome", "status", "part"),
    [
        ({**TYPED, "field-days": "99"}, "approved", 400, "Days granted must be at most 30."),
        ({**TYPED, "field-days": "four"}, "approved", 400, "Days granted must be a number."),
        ({**TYPED, "field-days": ""}, "approved", 400, "Days granted is required."),
        ({**TYPED, "field-cover": "nobody"}, "approved", 400, "Who covers must be one of"),
        ({**TYPED, "field-days": ["4", "5"]}, "approved", 400, "Days granted must be a number."),
        ({**TYPED, "field-salary": "1"}, "approved", 400, "The form has no field of this name."),
        ({**TYPED, "comment": " "}, "rejected", 400, "needs a comment"),
        (TYPED, "burned", 400, "is no outcome of this task"),
    ],
)
def test_what_was_typed_stays_on_every_refusal(day, typed, outcome, status, part):
    answer = form_of(day.bob, day.tasks["leave"], typed, outcome=outcome)
    text = answer.content.decode()
    assert answer.status_code == status
    assert part in text
    assert "Nothing was decided." in text
    assert "Good luck &amp; &lt;b&gt;all&lt;/b&gt;" in text
    assert not day.tasks["leave"].decisions.exists()


def test_content_that_changed_is_shown_again_with_what_was_typed(day):
    task = day.tasks["leave"]
    client = client_of(day.bob)
    address = f"/w/demo/inbox/{task.pk}/"
    digest = digest_in(client.get(address).content.decode())
    HumanTask.objects.filter(pk=task.pk).update(text="Ada asks for 40 days.")
    answer = client.post(address, {**TYPED, "outcome": "approved", "digest": digest})
    text = answer.content.decode()
    assert answer.status_code == 412
    assert "Ada asks for 40 days." in text
    assert "Good luck &amp;" in text
    fresh = digest_in(text)
    assert fresh != digest
    assert client.post(address, {**TYPED, "outcome": "approved", "digest": fresh}).status_code == 302


def test_a_task_that_ended_meanwhile_keeps_what_was_typed(day):
    task = day.tasks["leave"]
    client = client_of(day.bob)
    address = f"/w/demo/inbox/{task.pk}/"
    digest = digest_in(client.get(address).content.decode())
    HumanTask.objects.filter(pk=task.pk).update(state="cancelled", closed_at=task.opened_at)
    answer = client.post(address, {**TYPED, "outcome": "approved", "digest": digest})
    text = answer.content.decode()
    assert answer.status_code == 409
    assert "Good luck &amp;" in text
    assert "nothing waits for this decision" in text
    assert not task.decisions.exists()


def test_the_requester_sees_why_they_may_not_decide(day):
    member = day.workspace.memberships.get(user=day.alice)
    member.roles = ["operator", "approver"]
    member.groups = ["finance"]
    member.save()
    task = day.tasks["leave"]
    text = client_of(day.alice).get(f"/w/demo/inbox/{task.pk}/").content.decode()
    assert "You started this run, so somebody else must decide." in text
    assert 'value="approved" disabled' in text
    answer = form_of(day.alice, task)
    assert answer.status_code == 403
    assert not task.decisions.exists()
    assert AuditEntry.objects.filter(actor=day.alice, allowed=False, action="task.decide").count() == 1


def test_who_is_no_approver_reads_but_decides_nothing(day):
    task = day.tasks["leave"]
    operator = make_member(day.workspace, "operator")
    assert "Only approvers decide" in client_of(operator).get(f"/w/demo/inbox/{task.pk}/").content.decode()
    assert form_of(operator, task).status_code == 403
    viewer = make_member(day.workspace, "viewer")
    assert client_of(viewer).get(f"/w/demo/inbox/{task.pk}/").status_code == 403
    outsider = make_member(day.workspace, "approver", groups=["sales"])
    assert client_of(outsider).get(f"/w/demo/inbox/{task.pk}/").status_code == 404
    assert not task.decisions.exists()


@pytest.mark.parametrize("spelling", ["{0}x", "{0}/../{0}", "%7B{0}%7D", "urn:uuid:{0}"])
def test_other_spellings_of_an_id_lead_nowhere(day, spelling):
    address = f"/w/demo/inbox/{spelling.format(day.tasks['leave'].pk)}/"
    assert client_of(day.bob).post(address, {"outcome": "approved"}).status_code in {404, 405}
    assert not day.tasks["leave"].decisions.exists()


def test_a_decision_needs_the_pages_token(day):
    client = Client(enforce_csrf_checks=True)
    client.force_login(day.bob)
    assert client.post(f"/w/demo/inbox/{day.tasks['leave'].pk}/", {"outcome": "approved"}).status_code == 403


def test_a_quorum_says_who_already_did_and_what_is_missing(day):
    task = day.tasks["leave"]
    HumanTask.objects.filter(pk=task.pk).update(quorum=2)
    carl = make_member(day.workspace, "approver", username="carl", groups=["finance"])
    assert form_of(day.bob, task).status_code == 302
    task.refresh_from_db()
    assert task.state == TaskState.OPEN
    text = client_of(carl).get(f"/w/demo/inbox/{task.pk}/").content.decode()
    assert "1 of 2 agree so far" in text
    assert day.bob.username in text
    again = form_of(day.bob, task)
    assert again.status_code == 409
    assert "You have already decided this" in again.content.decode()
    assert form_of(carl, task).status_code == 302
    task.refresh_from_db()
    assert task.state == TaskState.DONE


def test_claim_release_and_reassign_by_buttons(day):
    task = day.tasks["leave"]
    carl = make_member(day.workspace, "approver", username="carl", groups=["finance"])
    bob, base = client_of(day.bob), f"/w/demo/inbox/{task.pk}"
    assert bob.post(f"{base}/claim/").status_code == 302
    assert "kept by you" in bob.get("/w/demo/inbox/?tab=mine").content.decode()
    refused = form_of(carl, task)
    assert refused.status_code == 409
    assert "Somebody else has claimed this" in refused.content.decode()
    assert client_of(carl).post(f"{base}/release/").status_code == 403
    assert bob.post(f"{base}/release/").status_code == 302
    assert "carl" in bob.get(f"{base}/reassign/").content.decode()
    assert bob.post(f"{base}/reassign/", {"users": ["carl"], "comment": "on holiday"}).status_code == 302
    task.refresh_from_db()
    assert (task.users, task.groups, task.notified_at) == (["carl"], [], None)
    assert client_of(day.bob).get(f"{base}/").status_code == 404
    assert client_of(carl).get("/w/demo/inbox/").content.decode().count("task-link") == 1


def test_reassigning_to_nobody_or_a_stranger_is_refused(day):
    base = f"/w/demo/inbox/{day.tasks['leave'].pk}/reassign/"
    for users in ([], ["nobody"], [day.alice.username]):  # Alice is no approver
        answer = client_of(day.carol).post(base, {"users": users, "comment": "kept text"})
        assert answer.status_code == 400
        assert "kept text" in answer.content.decode()


def test_the_inbox_has_its_tabs(day):
    text = client_of(day.bob).get("/w/demo/inbox/").content.decode()  # nothing by name: the groups' tab opens
    assert "Approve 4 days of leave for Ada Lovelace" in text
    assert "Moving house" in text  # a key fact
    assert "due" in text
    assert "Nothing waits for you" in client_of(day.bob).get("/w/demo/inbox/?tab=mine").content.decode()
    assert "Alan Turing" in client_of(day.bob).get("/w/demo/inbox/?tab=done").content.decode()
    # "all" is for those who read every task
    assert "Everybody" not in text
    assert "Ada Lovelace" in client_of(day.alice).get("/w/demo/inbox/?tab=all").content.decode()


def test_own_requests_are_not_counted_as_work(day):
    member = day.workspace.memberships.get(user=day.alice)
    member.roles = ["approver"]
    member.groups = ["finance"]
    member.save()
    text = client_of(day.alice).get("/w/demo/inbox/?tab=groups").content.decode()
    assert "Your groups have nothing waiting" in text
    assert Decision.objects.filter(user=day.alice).count() == 0


def test_done_tasks_show_the_answer(day):
    text = client_of(day.bob).get(f"/w/demo/inbox/{day.tasks['done'].pk}/").content.decode()
    assert "Decided:" in text
    assert "Enjoy the day." in text
    assert "The team" in text  # the option's label, not its value
    assert "<textarea" not in text  # nothing to fill in any more
