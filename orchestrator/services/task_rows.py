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
from orchestrator.engine.prepared import Along, fetch_one
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

_OWN = ("follows", "notified_at")  # columns that are the rows' own business
_FIELDS = [field for field in HumanTask._meta.concrete_fields if field.attname not in _OWN]
_COLUMNS = ", ".join(f'h."{field.column}"' for field in _FIELDS)
# Whether its token still waits for it. Served by the primary key.
_WAITS = f"""EXISTS (SELECT 1 FROM orchestrator_token k
    WHERE k.id = h.token_id AND k.state = '{TokenState.WAITING}' AND k.epoch = h.epoch)
"""
_LOCK = f"""
SELECT {_COLUMNS}, {_WAITS} FROM orchestrator_human_task h WHERE h.id = %s AND h.workspace_id = %s FOR UPDATE OF h
"""
_SEEN = f"{_COLUMNS}, {_WAITS}, branchline_standing(h.id, u.id)"
_SEE = f"""
SELECT {_COLUMNS}, {_WAITS}, branchline_standing(h.id, %s)
FROM orchestrator_human_task h WHERE h.id = %s AND h.workspace_id = %s
"""
_ALONG = "LEFT JOIN orchestrator_human_task h ON h.id = %s AND h.workspace_id = w.id"
_STANDING = "SELECT branchline_standing(%s, %s)"


def seen_task(task_id: UUID, actor: Actor) -> tuple[HumanTask, str]:
    """A waiting task of the actor's workspace, not locked, and `standing_of` it as it was in that very moment.

    Raises as `locked_task`.
    """
    return seen_of(fetch_one(_SEE, [actor.user_id or 0, task_id, actor.workspace_id]))


def seen_along(task_id: UUID) -> Along:
    """The same, to be read along with who asks for it; see `seen_of`."""
    return Along(columns=_SEEN, tables=_ALONG, parameters=(task_id,))


def seen_of(row: Sequence[Any] | None) -> tuple[HumanTask, str]:
    """What `seen_task` answers, of the columns that were read."""
    return _waiting(row and row[:-1]), "" if row is None else row[-1]


def locked_task(task_id: UUID, actor: Actor) -> HumanTask:
    """Lock a waiting task of the actor's workspace for the rest of the transaction.

    Raises NotFound, and TaskConflict (not_waiting) when it has ended or its step waits no more.
    """
    # The task is locked before its token, never the run: the keeper's timers and a cancellation keep the same order.
    return _waiting(fetch_one(_LOCK, [task_id, actor.workspace_id]))


def _waiting(row: Sequence[Any] | None) -> HumanTask:
    if row is None or row[0] is None:
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


def standing_of(task: HumanTask, actor: Actor) -> str:
    """What a decision depends on beside its task, as JSON; see sql/decisions.sql."""
    row = fetch_one(_STANDING, [task.pk, actor.user_id or 0])
    return str(row[0]) if row is not None and row[0] is not None else "{}"


def ballot_and_voter(task: HumanTask, actor: Actor, standing: str | None = None) -> tuple[Ballot, Voter]:
    """What the task says about its answers, and the actor with the rights of this moment: what the membership
    says, cut to what the token carries. Without `standing` it is read, which counts where the task is locked.

    Raises Forbidden (not_eligible) for no member.
    """
    known = json.loads(standing_of(task, actor) if standing is None else standing)
    roles = known.get("roles")
    if roles is None or actor.user_id is None:
        raise Forbidden("Only members of this workspace decide.", code="not_eligible")
    decided = {int(user): key for user, key in known["decided"].items()}
    ballot = ballot_of(task, publisher=known["publisher"], decided=decided)
    voter = Voter(
        user_id=actor.user_id,
        username=actor.username,
        roles=frozenset(roles) & actor.roles,
        groups=frozenset(known["groups"]),
    )
    return ballot, voter


def require_may_decide(task: HumanTask, actor: Actor, standing: str | None = None) -> Ballot:
    """What the task says about its answers; see `ballot_and_voter`.

    Raises Forbidden (not_eligible, self_approval) or TaskConflict (already_decided, claimed).
    """
    ballot, voter = ballot_and_voter(task, actor, standing)
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
