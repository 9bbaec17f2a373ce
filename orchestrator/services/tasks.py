"""The narrow door for people: decide human tasks (`task_holders` says who holds them meanwhile).

Only `decide_task` lets a run go on, and only by marking the waiting token ready. Deciding is safe to race: the task is
locked, then everything is checked again (states, rights, content) before the first write.
"""

import json
from dataclasses import dataclass
from uuid import UUID

from django.db import connection, transaction
from django.db.models import F
from django.db.models.functions import Now

from orchestrator import audit
from orchestrator.core.approval import Ballot, outcome_reached
from orchestrator.core.forms import check_values
from orchestrator.core.json_types import Json, JsonObject
from orchestrator.engine import dispatch
from orchestrator.models import Decision, HumanTask
from orchestrator.models.ballot import digest_of
from orchestrator.models.task import TaskState
from orchestrator.policy import Action, Actor, require
from orchestrator.services.task_errors import AnswerInvalid, ContentChanged, TaskConflict, ValuesInvalid
from orchestrator.services.task_rows import (
    LONGEST_COMMENT,
    announce_task,
    denials_recorded,
    locked_task,
    require_may_decide,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """A decision that counts. `closed` when it was the one that let the run go on."""

    task_id: UUID
    run_id: UUID
    outcome: str
    closed: bool
    given: int
    quorum: int


def decide_task(
    *,
    task_id: UUID,
    actor: Actor,
    outcome: str,
    values: JsonObject,
    comment: str = "",
    digest: str,
) -> Decided:
    """Record the actor's decision; when the quorum agrees, close the task and wake its step in the same transaction.

    Raises NotFound, Forbidden (forbidden, not_eligible, self_approval), TaskConflict (not_waiting, already_decided,
    claimed), ContentChanged, ValuesInvalid, AnswerInvalid (unknown_outcome, comment_required, comment_invalid).
    """
    require(actor, Action.TASK_DECIDE)
    with denials_recorded(actor, Action.TASK_DECIDE, task_id), transaction.atomic():
        task = locked_task(task_id, actor)
        ballot = require_may_decide(task, actor)
        _require_same_content(task, digest)
        kept = _checked_answer(task, outcome, values, comment)
        return _decide(task, actor, Answer(outcome, kept, comment.strip(), digest), ballot)


@dataclass(frozen=True, slots=True)
class Answer:
    """A checked answer."""

    outcome: str
    values: dict[str, Json]
    comment: str
    digest: str


def _require_same_content(task: HumanTask, digest: str) -> None:
    current = digest_of(task)
    if digest != current:
        message = "The request changed after you opened it. Read it again, then decide."
        raise ContentChanged(message, details={"digest": current})


def _checked_answer(task: HumanTask, outcome: str, values: JsonObject, comment: str) -> dict[str, Json]:
    """The values as they are stored."""
    chosen = next((one for one in task.outcomes if one.get("key") == outcome), None)
    if chosen is None:
        known = ", ".join(f'"{one.get("key")}"' for one in task.outcomes)
        raise AnswerInvalid(f'"{outcome[:63]}" is no outcome of this task. Choose one of {known}.')
    checked = check_values(task.fields, values)
    remark = check_values(
        [{"key": "comment", "kind": "long_text", "label": "The comment", "max_length": LONGEST_COMMENT}],
        {"comment": comment},
    )
    if remark.errors:
        raise AnswerInvalid(remark.errors["comment"], code="comment_invalid")
    if chosen.get("comment") == "required" and not comment.strip():
        label = chosen.get("label") or outcome
        raise AnswerInvalid(f'"{label}" needs a comment that says why.', code="comment_required")
    if checked.errors:
        raise ValuesInvalid("Some answers do not fit the form.", details={"fields": checked.errors})
    return checked.values


def _decide(task: HumanTask, actor: Actor, answer: Answer, before: Ballot) -> Decided:
    decision = Decision.objects.create(
        task=task,
        user_id=actor.user_id or 0,  # a member: just tested
        user_name=actor.label,
        outcome=answer.outcome,
        values=answer.values,
        comment=answer.comment,
        digest=answer.digest,
    )
    given = [*before.decided.values(), answer.outcome]  # the task is locked: nobody else has decided meanwhile
    closed = outcome_reached(given, task.quorum) is not None
    if closed:
        _close(task, actor, decision)
    audit.record(
        actor,
        "task.decide",
        target=f"task {task.pk}",
        detail={"outcome": answer.outcome, "digest": answer.digest, "closed": closed},
    )
    announce_task(task)
    return Decided(
        task_id=task.pk,
        run_id=task.run_id,
        outcome=answer.outcome,
        closed=closed,
        given=given.count(answer.outcome),
        quorum=task.quorum,
    )


def _close(task: HumanTask, actor: Actor, decision: Decision) -> None:
    """Close the task and mark its step ready. Raises TaskConflict when the step waits no more."""
    won = (
        HumanTask.objects.waiting()
        .filter(pk=task.pk)
        .update(state=TaskState.DONE, outcome=decision.outcome, closed_at=Now(), version=F("version") + 1)
    )
    signal = {
        "outcome": decision.outcome,
        "values": decision.values,
        "by": actor.username,
        "at": decision.at.isoformat(),
        "comment": decision.comment,
    }
    queue = _wake(task.token_id, task.epoch, signal) if won else None
    if queue is None:
        raise TaskConflict("The run no longer waits for this decision. Nothing was changed.")
    transaction.on_commit(lambda: dispatch.wake(queue))


def _wake(token_id: int, epoch: int, signal: JsonObject) -> str | None:
    """The queue of the token that was woken; None when it does not wait in this epoch."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT branchline_wake(%s, %s, %s::jsonb)", [token_id, epoch, json.dumps(signal)])
        row = cursor.fetchone()
    return row[0] if row else None
