"""Deciding human tasks: by the right person, on the content shown, while the run waits."""

import json
import uuid
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection

from orchestrator.core.errors import Forbidden, NotFound
from orchestrator.models import AuditEntry, Decision, HumanTask, Token
from orchestrator.models.ballot import digest_of
from orchestrator.models.task import TaskState
from orchestrator.services.control import cancel_run, pause_run, resume_run
from orchestrator.services.task_errors import AnswerInvalid, ContentChanged, TaskConflict, ValuesInvalid
from orchestrator.services.task_holders import claim_task, reassign_task, release_task
from orchestrator.services.tasks import decide_task
from tests.api.task_house import OUTCOMES, House, code_of, house, woken
from tests.engine.rows import claim
from tests.factories import actor_of

__all__ = ["house", "woken"]


def test_a_decision_closes_the_task_and_wakes_its_token(house, woken, django_capture_on_commit_callbacks):
    task = house.task()
    before = task.version
    with django_capture_on_commit_callbacks(execute=True):
        decided = house.decide(task, house.bob, comment="  well done  ")
    assert (decided.closed, decided.outcome, decided.given) == (True, "approved", 1)
    task.refresh_from_db()
    assert (task.state, task.outcome, task.version) == (TaskState.DONE, "approved", before + 1)
    token = Token.objects.get(pk=task.token_id)
    assert (token.state, token.epoch) == ("R", task.epoch + 1)
    assert token.signal is not None
    assert token.signal | {"at": ""} == {
        "outcome": "approved",
        "values": {},
        "by": house.bob.username,
        "at": "",
        "comment": "well done",
    }
    assert woken == ["default"]
    entry = AuditEntry.objects.get(action="task.decide")
    assert (entry.actor, entry.allowed, entry.target) == (house.bob, True, f"task {task.pk}")
    assert entry.detail == {"outcome": "approved", "digest": digest_of(task), "closed": True}


def test_the_same_answer_twice_is_refused(house):
    task = house.task()
    house.decide(task, house.bob)
    with pytest.raises(TaskConflict, match="already") as refusal:
        house.decide(task, house.bob)
    assert refusal.value.error_code == "not_waiting"
    assert Decision.objects.count() == 1


@pytest.mark.parametrize("who", ["requester", "publisher"])
@pytest.mark.parametrize("named", [{}, {"users": True}, {"groups": ["finance"]}, {"roles": ["approver"]}])
def test_nobody_approves_their_own_request(house, who, named):
    person = getattr(house, who)
    house.workspace.memberships.filter(user=person).update(groups=["finance"])
    task = house.task(**({"users": [person.username]} if named.get("users") else named))
    assert code_of(lambda: house.decide(task, person)) == "self_approval"
    assert not task.decisions.exists()
    assert AuditEntry.objects.filter(actor=person, action="task.decide", allowed=False).count() == 1
    # and neither can they choose who does
    attempt = {"task_id": task.pk, "actor": actor_of(house.workspace, person), "users": [house.bob.username]}
    assert code_of(lambda: reassign_task(**attempt)) == "self_approval"


def test_the_workflow_may_allow_it(house):
    assert house.decide(house.task(allow_requester=True), house.requester).closed


def test_losing_the_role_counts_at_once(house):
    task = house.task()
    actor = actor_of(house.workspace, house.bob)  # as the session knew them
    house.workspace.memberships.filter(user=house.bob).update(roles=["viewer"])
    attempt = {"task_id": task.pk, "actor": actor, "outcome": "approved", "values": {}, "digest": digest_of(task)}
    assert code_of(lambda: decide_task(**attempt)) == "not_eligible"
    house.workspace.memberships.filter(user=house.bob).delete()
    assert code_of(lambda: decide_task(**attempt)) == "not_eligible"


def test_a_token_without_the_right_cannot_decide(house):
    task = house.task()
    member = actor_of(house.workspace, house.bob)
    weak = type(member)(
        user_id=member.user_id,
        username=member.username,
        label=member.label,
        workspace_id=member.workspace_id,
        workspace_slug=member.workspace_slug,
        roles=frozenset({"viewer"}),
        via="token",
    )
    with pytest.raises(Forbidden):
        decide_task(task_id=task.pk, actor=weak, outcome="approved", values={}, digest=digest_of(task))
    assert not task.decisions.exists()


def test_another_workspaces_task_does_not_exist(house):
    task = house.task()
    other = House()
    for attempt in (
        lambda: other.decide(task, other.bob),
        lambda: claim_task(task_id=task.pk, actor=actor_of(other.workspace, other.bob)),
        lambda: release_task(task_id=task.pk, actor=actor_of(other.workspace, other.bob)),
        lambda: reassign_task(task_id=task.pk, actor=actor_of(other.workspace, other.bob), users=[other.bob.username]),
    ):
        with pytest.raises(NotFound) as foreign:
            attempt()
        assert foreign.value.message == "No such task in this workspace."
    with pytest.raises(NotFound):
        house.decide(HumanTask(pk=uuid.uuid4(), fields=[], outcomes=[]), house.bob)


@pytest.mark.parametrize(
    "change",
    [
        {"title": "Approve 99"},
        {"text": "other"},
        {"fields": [{"key": "x", "kind": "text"}]},
        {"outcomes": [OUTCOMES[0]]},
        {"quorum": 2},
    ],
)
def test_a_decision_on_other_content_is_refused_with_the_new_digest(house, change):
    task = house.task(text="1,200 EUR")
    seen = digest_of(task)
    HumanTask.objects.filter(pk=task.pk).update(**change)
    with pytest.raises(ContentChanged) as refusal:
        house.decide(task, house.bob, digest=seen)
    task.refresh_from_db()
    assert refusal.value.details == {"digest": digest_of(task)}
    assert refusal.value.status == 412
    assert task.state == TaskState.OPEN


def test_who_holds_it_is_no_content(house):
    task = house.task()
    seen = digest_of(task)
    claim_task(task_id=task.pk, actor=actor_of(house.workspace, house.bob))
    assert house.decide(task, house.bob, digest=seen).closed


def test_values_are_checked_and_stored_as_typed(house):
    fields = [{"key": "amount", "kind": "number", "label": "Amount", "required": True}]
    task = house.task(fields=fields)
    with pytest.raises(ValuesInvalid) as refusal:
        house.decide(task, house.bob, values={"amount": [1], "extra": 1})
    fields_refused = refusal.value.details["fields"]
    assert isinstance(fields_refused, dict)
    assert set(fields_refused) == {"amount", "extra"}
    house.decide(task, house.bob, values={"amount": 12})
    assert task.decisions.get().values == {"amount": 12}


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ({"outcome": "burned"}, "unknown_outcome"),
        ({"outcome": ""}, "unknown_outcome"),
        ({"comment": "x" * 4001}, "comment_invalid"),
        ({"comment": "a\x00b"}, "comment_invalid"),
    ],
)
def test_the_answer_as_a_whole_is_checked(house, more, code):
    task = house.task()
    with pytest.raises(AnswerInvalid) as refusal:
        house.decide(task, house.bob, **more)
    assert refusal.value.error_code == code
    assert not task.decisions.exists()


@pytest.mark.parametrize(
    "end",
    [
        lambda house, task: cancel_run(task.run_id, actor_of(house.workspace, house.requester)),
        lambda house, task: HumanTask.objects.filter(pk=task.pk).update(state="expired", closed_at=datetime.now(UTC)),
        lambda house, task: Token.objects.filter(pk=task.token_id).delete(),
        lambda house, task: Token.objects.filter(pk=task.token_id).update(epoch=task.epoch + 1),
        lambda house, task: Token.objects.filter(pk=task.token_id).update(state="R"),
    ],
    ids=["cancelled", "expired", "token gone", "token moved on", "token woken"],
)
def test_nothing_dead_is_revived(house, end):
    task = house.task()
    end(house, task)
    before = list(Token.objects.values())
    assert code_of(lambda: house.decide(task, house.bob)) == "not_waiting"
    assert list(Token.objects.values()) == before
    assert not task.decisions.exists()


def test_a_due_task_expires_and_cannot_be_decided(house):
    task = house.task(due_at=datetime.now(UTC) - timedelta(seconds=1))
    with connection.cursor() as cursor:
        cursor.execute("SELECT * FROM branchline_fire_timers(10)")
    assert code_of(lambda: house.decide(task, house.bob)) == "not_waiting"


def test_a_paused_run_keeps_the_decision(house):
    task = house.task()
    operator = actor_of(house.workspace, house.requester)
    pause_run(task.run_id, operator)
    assert house.decide(task, house.bob, comment="fine").closed
    assert claim(session=1) == []  # a worker that looks while the run is paused is given nothing
    token = Token.objects.get(pk=task.token_id)
    assert (token.state, token.attempt) == ("H", 0)
    resume_run(task.run_id, operator)
    (lease,) = claim(session=1)
    assert (lease["id"], lease["phase"]) == (task.token_id, 1)
    signal = json.loads(lease["signal"])
    assert (signal["outcome"], signal["by"], signal["comment"]) == ("approved", house.bob.username, "fine")
    assert claim(session=1) == []
