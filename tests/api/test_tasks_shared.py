"""Human tasks that several people may answer: quorums, claims, and who passes a task on."""

from datetime import UTC, datetime

import pytest

from orchestrator.models import AuditEntry, Token
from orchestrator.models.task import TaskState
from orchestrator.services.task_holders import claim_task, reassign_task, release_task
from tests.api.task_house import code_of, house, woken
from tests.factories import actor_of, make_member

__all__ = ["house", "woken"]


def test_a_quorum_needs_different_people_for_one_outcome(house):
    first, second, third = (make_member(house.workspace, "approver") for _ in range(3))
    task = house.task(quorum=2)
    assert not house.decide(task, first).closed
    assert code_of(lambda: house.decide(task, first)) == "already_decided"
    assert not house.decide(task, second, outcome="rejected").closed
    assert Token.objects.get(pk=task.token_id).state == "W"
    decided = house.decide(task, third)
    assert (decided.closed, decided.given, decided.quorum) == (True, 2, 2)


def test_claim_keeps_others_away_until_release(house):
    task, carl = house.task(), make_member(house.workspace, "approver")
    bob_acts, carl_acts = actor_of(house.workspace, house.bob), actor_of(house.workspace, carl)
    claim_task(task_id=task.pk, actor=bob_acts)
    claim_task(task_id=task.pk, actor=bob_acts)  # again changes nothing
    assert code_of(lambda: house.decide(task, carl)) == "claimed"
    assert code_of(lambda: claim_task(task_id=task.pk, actor=carl_acts)) == "claimed"
    assert code_of(lambda: release_task(task_id=task.pk, actor=carl_acts)) == "not_claimer"
    release_task(task_id=task.pk, actor=bob_acts)
    assert house.decide(task, carl).closed
    assert list(AuditEntry.objects.filter(allowed=True).order_by("pk").values_list("action", flat=True)) == [
        "task.claim",
        "task.release",
        "task.decide",
    ]


def test_a_claim_makes_no_sense_where_several_must_agree(house):
    task = house.task(quorum=2)
    attempt = {"task_id": task.pk, "actor": actor_of(house.workspace, house.bob)}
    assert code_of(lambda: claim_task(**attempt)) == "claim_not_useful"


def test_an_admin_releases_and_reassigns(house):
    admin = make_member(house.workspace, "admin")
    carl = make_member(house.workspace, "approver", username="carl")
    task = house.task(notified_at=datetime.now(UTC))
    claim_task(task_id=task.pk, actor=actor_of(house.workspace, house.bob))
    release_task(task_id=task.pk, actor=actor_of(house.workspace, admin))
    reassign_task(task_id=task.pk, actor=actor_of(house.workspace, admin), users=["carl"])
    task.refresh_from_db()
    assert (task.users, task.state, task.notified_at, task.version) == (["carl"], TaskState.OPEN, None, 4)
    assert code_of(lambda: house.decide(task, house.bob)) == "not_eligible"
    assert house.decide(task, carl).closed


@pytest.mark.parametrize(
    "given", [{}, {"users": ["nobody"]}, {"groups": ["ghosts"]}, {"roles": ["emperor"]}, {"users": ["x"] * 60}]
)
def test_a_task_is_given_to_approvers_only(house, given):
    admin = actor_of(house.workspace, make_member(house.workspace, "admin"))
    if given.get("users") == ["x"] * 60:
        given = {"users": [f"x{number}" for number in range(60)]}
    attempt = {"task_id": house.task().pk, "actor": admin, **given}
    assert code_of(lambda: reassign_task(**attempt)) == "assignee_unknown"
