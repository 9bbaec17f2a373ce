"""The narrow door for people: decide human tasks (`task_holders` says who holds them meanwhile).

Only `decide_task` lets a run go on, and only by marking the waiting token ready. Deciding is safe to race: the task is
locked, then everything is checked again (states, rights, content) before the first write.
"""

import json
from dataclasses import dataclass
from uuid import UUID

from django.db import transaction

from orchestrator.core.approval import Ballot, outcome_reached
from orchestrator.core.forms import check_values
from orchestrator.core.json_types import Json, JsonObject
from orchestrator.engine import dispatch
from orchestrator.engine.prepared import fetch_one
from orchestrator.models import HumanTask
from orchestrator.models.ballot import digest_of
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


# One statement for all that a decision writes.
_DECIDE = "SELECT branchline_decide(%s, %s, %s, %s, %s, %s, %s, %s, %s::jsonb, %s, %s)"


def _decide(task: HumanTask, actor: Actor, answer: Answer, before: Ballot) -> Decided:
    given = [*before.decided.values(), answer.outcome]  # the task is locked: nobody else has decided meanwhile
    closed = outcome_reached(given, task.quorum) is not None
    user = actor.user_id or 0  # a member: just tested
    who: list[str | int] = [user, actor.label, actor.username, actor.via]
    what = [answer.outcome, json.dumps(answer.values), answer.comment, answer.digest]
    row = fetch_one(_DECIDE, [task.pk, task.workspace_id, closed, *who, *what])
    queue: str | None = row[0] if row else None
    if closed and queue is None:
        raise TaskConflict("The run no longer waits for this decision. Nothing was changed.")
    if queue is not None:
        wakes = queue
        transaction.on_commit(lambda: dispatch.wake(wakes))
    announce_task(task)
    return Decided(
        task_id=task.pk,
        run_id=task.run_id,
        outcome=answer.outcome,
        closed=closed,
        given=given.count(answer.outcome),
        quorum=task.quorum,
    )
