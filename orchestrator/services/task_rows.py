"""Rows of human tasks, locked in the engine's order, and the people around them as values."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import JSONField

from orchestrator import audit
from orchestrator.core.approval import Ballot, Voter, why_not_decide
from orchestrator.core.errors import Forbidden, NotFound
from orchestrator.core.states import TokenState
from orchestrator.engine import dispatch
from orchestrator.engine.prepared import fetch_one
from orchestrator.models import HumanTask, Run
from orchestrator.models.ballot import ballot_of, outcome_label
from orchestrator.models.task import WAITING_TASK
from orchestrator.policy import Action, Actor, Denied
from orchestrator.services.task_errors import TaskConflict

LONGEST_COMMENT = 4_000  # characters
ENDED = {
    "done": 'This was decided already: "{outcome}".',
    "expired": "The due date passed before anybody decided, and the run went on.",
    "cancelled": "The run ended or was cancelled, so nothing waits for this decision any more.",
}

_FIELDS = HumanTask._meta.concrete_fields
# The task, locked, and whether its token still waits for it. Served by the primary keys.
_LOCK = f"""
SELECT {", ".join(f't."{field.column}"' for field in _FIELDS)}, EXISTS (
    SELECT 1 FROM orchestrator_token k
    WHERE k.id = t.token_id AND k.state = '{TokenState.WAITING}' AND k.epoch = t.epoch)
FROM orchestrator_human_task t WHERE t.id = %s AND t.workspace_id = %s FOR UPDATE OF t
"""


def locked_task(task_id: UUID, actor: Actor) -> HumanTask:
    """Lock a waiting task of the actor's workspace for the rest of the transaction.

    Raises NotFound, and TaskConflict (not_waiting) when it has ended or its step waits no more.
    """
    # The task is locked before its token, never the run: the keeper's timers and a cancellation keep the same order.
    row = fetch_one(_LOCK, [task_id, actor.workspace_id])
    if row is None:
        raise NotFound("No such task in this workspace.")
    task, waits = _task_of(row[:-1]), row[-1]
    if task.state not in WAITING_TASK:
        message = ENDED[task.state].format(outcome=outcome_label(task, task.outcome))
        raise TaskConflict(message, details={"state": task.state, "outcome": task.outcome})
    if not waits:
        raise TaskConflict("The run no longer waits for this decision. Nothing was changed.")
    return task


def _task_of(values: Sequence[Any]) -> HumanTask:
    """The task of a row of `_LOCK`; PostgreSQL's JSON comes as text."""
    return HumanTask.from_db(
        "default",
        [field.attname for field in _FIELDS],
        [
            json.loads(value) if isinstance(field, JSONField) else value
            for field, value in zip(_FIELDS, values, strict=True)
        ],
    )


def current_ballot(task: HumanTask) -> Ballot:
    """What the task says about its answers now, whoever asks."""
    publisher = Run.objects.filter(pk=task.run_id).values_list("version__published_by_id", flat=True).first()
    return ballot_of(task, publisher=publisher)


# What a decision depends on beside its task: who published, what the voter may now, what others decided. Served by
# primary keys, membership_once and decision_once_per_person.
_STANDING = """
SELECT v.published_by_id, m.roles, m.groups,
    (SELECT coalesce(jsonb_object_agg(d.user_id, d.outcome), '{}')::text
     FROM orchestrator_decision d WHERE d.task_id = t.id)
FROM orchestrator_human_task t
LEFT JOIN orchestrator_run r ON r.id = t.run_id
LEFT JOIN orchestrator_version v ON v.id = r.version_id
LEFT JOIN (orchestrator_membership m JOIN orchestrator_user u ON u.id = m.user_id AND u.is_active)
    ON m.workspace_id = t.workspace_id AND m.user_id = %s
WHERE t.id = %s
"""


def ballot_and_voter(task: HumanTask, actor: Actor) -> tuple[Ballot, Voter]:
    """What the locked task says about its answers, and the actor with the rights of this moment: what the membership
    says, cut to what the token carries. Raises Forbidden (not_eligible) for no member.
    """
    row = fetch_one(_STANDING, [actor.user_id or 0, task.pk])
    publisher, roles, groups, decided = row if row is not None else (None, None, None, "{}")
    if roles is None or actor.user_id is None:
        raise Forbidden("Only members of this workspace decide.", code="not_eligible")
    ballot = ballot_of(task, publisher=publisher, decided={int(user): key for user, key in json.loads(decided).items()})
    voter = Voter(
        user_id=actor.user_id,
        username=actor.username,
        roles=frozenset(roles) & actor.roles,
        groups=frozenset(groups),
    )
    return ballot, voter


def require_may_decide(task: HumanTask, actor: Actor) -> Ballot:
    """What the locked task says about its answers.

    Raises Forbidden (not_eligible, self_approval) or TaskConflict (already_decided, claimed).
    """
    ballot, voter = ballot_and_voter(task, actor)
    refusal = why_not_decide(ballot, voter)
    if refusal is None:
        return ballot
    if refusal.code in {"already_decided", "claimed"}:
        raise TaskConflict(refusal.message, code=refusal.code)
    raise Forbidden(refusal.message, code=refusal.code)


def announce_task(task: HumanTask) -> None:
    """Tell the sockets, once this commits."""
    workspace_id, run_id = task.workspace_id, task.run_id
    transaction.on_commit(lambda: dispatch.announce(workspace_id, run_id, tasks=True))


@contextmanager
def denials_recorded(actor: Actor, action: Action, task_id: UUID) -> Iterator[None]:
    """Write a refusal to the audit trail, outside the transaction that it rolled back. Raises Denied for Forbidden."""
    try:
        yield
    except Denied:
        raise
    except Forbidden as refusal:
        detail = {"code": refusal.error_code, "message": refusal.message}
        audit.record(actor, action, target=f"task {task_id}", allowed=False, detail=detail)
        raise Denied(refusal.message, code=refusal.error_code) from refusal
