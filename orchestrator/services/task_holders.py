"""Who holds a human task while it waits: claim, release, reassign. None of these moves a run."""

from collections.abc import Iterable, Mapping, Sequence
from uuid import UUID

from django.db import transaction
from django.db.models import F

from orchestrator import audit
from orchestrator.core.approval import is_assigned, why_not_eligible
from orchestrator.core.errors import Forbidden
from orchestrator.core.json_types import JsonObject
from orchestrator.engine import dispatch
from orchestrator.models import HumanTask, Membership
from orchestrator.models.task import TaskState
from orchestrator.models.workspace import Role
from orchestrator.policy import Action, Actor, require
from orchestrator.services.task_errors import AnswerInvalid, TaskConflict
from orchestrator.services.task_rows import (
    LONGEST_COMMENT,
    announce_task,
    ballot_and_voter,
    denials_recorded,
    locked_task,
    require_may_decide,
)

MOST_ASSIGNEES = 50


def claim_task(*, task_id: UUID, actor: Actor) -> None:
    """Keep the task for the actor, so that others see that somebody works on it.

    Raises NotFound, Forbidden, TaskConflict (not_waiting, already_decided, claimed, claim_not_useful).
    """
    require(actor, Action.TASK_DECIDE)
    with denials_recorded(actor, Action.TASK_DECIDE, task_id), transaction.atomic():
        task = locked_task(task_id, actor)
        require_may_decide(task, actor)
        if task.quorum > 1:
            message = f"{task.quorum} people must agree here, so nobody can keep it for themselves. Just decide."
            raise TaskConflict(message, code="claim_not_useful")
        won = HumanTask.objects.filter(pk=task.pk, state=TaskState.OPEN).update(
            state=TaskState.CLAIMED, claimed_by=actor.user_id, version=F("version") + 1
        )
        if won:
            audit.record(actor, "task.claim", target=f"task {task.pk}")
            announce_task(task)


def release_task(*, task_id: UUID, actor: Actor) -> None:
    """Give a claimed task back to everybody it was for. The claimer or an admin may.

    Raises NotFound, Forbidden (not_claimer), TaskConflict (not_waiting).
    """
    require(actor, Action.TASK_REASSIGN)
    with denials_recorded(actor, Action.TASK_REASSIGN, task_id), transaction.atomic():
        task = locked_task(task_id, actor)
        if task.state == TaskState.OPEN:
            return
        if task.claimed_by_id != actor.user_id and Role.ADMIN not in actor.roles:
            raise Forbidden("Only the person who claimed this, or an admin, can release it.", code="not_claimer")
        HumanTask.objects.filter(pk=task.pk, state=TaskState.CLAIMED).update(
            state=TaskState.OPEN, claimed_by=None, version=F("version") + 1
        )
        audit.record(actor, "task.release", target=f"task {task.pk}", detail={"claimed_by": task.claimed_by_id})
        announce_task(task)


def reassign_task(
    *,
    task_id: UUID,
    actor: Actor,
    users: Sequence[str] = (),
    roles: Sequence[str] = (),
    groups: Sequence[str] = (),
    comment: str = "",
) -> None:
    """Say anew who decides; a claim ends and the new people are told. One of its deciders or an admin may.

    Raises NotFound, Forbidden, TaskConflict (not_waiting), AnswerInvalid (assignee_unknown).
    """
    require(actor, Action.TASK_REASSIGN)
    with denials_recorded(actor, Action.TASK_REASSIGN, task_id), transaction.atomic():
        task = locked_task(task_id, actor)
        _require_may_reassign(task, actor)
        _require_assignees(actor, users, roles, groups)
        before = {"users": task.users, "roles": task.roles, "groups": task.groups}
        after = {"users": sorted(set(users)), "roles": sorted(set(roles)), "groups": sorted(set(groups))}
        HumanTask.objects.waiting().filter(pk=task.pk).update(
            **after, state=TaskState.OPEN, claimed_by=None, notified_at=None, version=F("version") + 1
        )
        detail = _change(before, after, comment)
        audit.record(actor, "task.reassign", target=f"task {task.pk}", detail=detail)
        announce_task(task)
        transaction.on_commit(dispatch.notify)


def _change(before: Mapping[str, list[str]], after: Mapping[str, list[str]], comment: str) -> JsonObject:
    """What the audit trail keeps of it."""
    return {"before": dict(before), "after": dict(after), "comment": comment[:LONGEST_COMMENT]}


def _require_may_reassign(task: HumanTask, actor: Actor) -> None:
    if Role.ADMIN in actor.roles:
        return
    ballot, voter = ballot_and_voter(task, actor)
    # A requester may not choose who decides their own request either.
    refusal = why_not_eligible(ballot, voter)
    if refusal or not is_assigned(ballot, voter):
        message = refusal.message if refusal else "Only those who may decide this can hand it on."
        raise Forbidden(message, code=refusal.code if refusal else "not_eligible")


def _require_assignees(actor: Actor, users: Iterable[str], roles: Iterable[str], groups: Iterable[str]) -> None:
    """Every user, role and group must lead to an approver of this workspace: else nobody could ever decide."""
    users, roles, groups = set(users), set(roles), set(groups)
    if not users | roles | groups or len(users | roles | groups) > MOST_ASSIGNEES:
        raise AnswerInvalid(f"Name 1 to {MOST_ASSIGNEES} people, roles or groups.", code="assignee_unknown")
    approvers = Membership.objects.filter(workspace_id=actor.workspace_id).with_role(Role.APPROVER)
    known_users, known_roles, known_groups = set(), set(), set()
    for member in approvers.select_related("user"):
        known_users.add(member.user.username)
        known_roles.update(member.roles)
        known_groups.update(member.groups)
    unknown = sorted(users - known_users) + sorted(roles - known_roles) + sorted(groups - known_groups)
    if unknown:
        message = f'"{unknown[0][:150]}" is no approver of this workspace, nor a role or group with one.'
        raise AnswerInvalid(message, code="assignee_unknown")
