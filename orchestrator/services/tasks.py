"""The narrow door for people: decide human tasks (`task_holders` says who holds them meanwhile).

Only `decide_task` lets a run go on, and only by marking the waiting token ready. Deciding is safe to race: all is
checked on what one statement read, and another writes if, under the task's lock, it is still so. If not, or if
something is to be refused, the task is locked first, and states, rights and content are checked under the lock.
"""

import json
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any
from uuid import UUID

from django.db import OperationalError, transaction
from psycopg.errors import DeadlockDetected

from orchestrator.core.approval import Ballot, outcome_reached
from orchestrator.core.errors import BranchlineError
from orchestrator.core.forms import check_values
from orchestrator.core.json_types import Json, JsonObject
from orchestrator.engine import dispatch, metrics
from orchestrator.engine.prepared import Seen, SeenOtherwise, fetch_if_still, fetch_one
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
    seen_of,
    seen_task,
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


def decide_task(  # noqa: PLR0913  keyword-only: the whole request
    *,
    task_id: UUID,
    actor: Actor,
    outcome: str,
    values: JsonObject,
    comment: str = "",
    digest: str,
    seen: Sequence[Any] | None = None,
    still: Seen | None = None,
) -> Decided:
    """Record the actor's decision; when the quorum agrees, close the task and wake its step in the same transaction.

    `seen`: what was read along with who the actor is (`seen_along`); else it is read here. `still`: given where that
    was for an earlier request: it decides only if all of it is still so.

    Raises NotFound, Forbidden (forbidden, not_eligible, self_approval), TaskConflict (not_waiting, already_decided,
    claimed), ContentChanged, ValuesInvalid, AnswerInvalid (unknown_outcome, comment_required, comment_invalid);
    SeenOtherwise, if nothing was decided for that.
    """
    require(actor, Action.TASK_DECIDE)
    given = Answer(outcome, values, comment, digest)
    try:
        task, standing = seen_task(task_id, actor) if seen is None else seen_of(seen)
        vote = _checked(task, actor, given, require_may_decide(task, actor, standing))
    except BranchlineError:
        vote = None  # refused below, if it is so under the lock too
    if vote is not None and (decided := _decide_as_seen(vote, standing, still)) is not None:
        return decided
    if still is not None:
        raise SeenOtherwise
    with denials_recorded(actor, Action.TASK_DECIDE, task_id), transaction.atomic():
        task = locked_task(task_id, actor)
        return _decide(_checked(task, actor, given, require_may_decide(task, actor)))


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer as it was given."""

    outcome: str
    values: JsonObject
    comment: str
    digest: str


@dataclass(frozen=True, slots=True)
class Vote:
    """A checked answer to a task. `closes`: with it, enough agree; `agreed`: how many gave this answer."""

    task: HumanTask
    actor: Actor
    answer: Answer
    closes: bool
    agreed: int

    def written(self) -> list[Any]:
        """What `branchline_decide` takes."""
        who = [self.actor.user_id or 0, self.actor.label, self.actor.username, self.actor.via]  # a member: just tested
        what = [self.answer.outcome, json.dumps(self.answer.values), self.answer.comment, self.answer.digest]
        return [self.task.pk, self.task.workspace_id, self.closes, *who, *what]

    def counted(self, queues: Sequence[str]) -> Decided:
        """Written: whoever waits hears of it after the commit."""
        for queue, count in Counter(queues).items():
            transaction.on_commit(partial(dispatch.wake, queue, count))
        announce_task(self.task)
        return Decided(
            task_id=self.task.pk,
            run_id=self.task.run_id,
            outcome=self.answer.outcome,
            closed=self.closes,
            given=self.agreed,
            quorum=self.task.quorum,
        )


def _checked(task: HumanTask, actor: Actor, given: Answer, before: Ballot) -> Vote:
    _require_same_content(task, given.digest)
    values = _checked_answer(task, given.outcome, given.values, given.comment)
    outcomes = [*before.decided.values(), given.outcome]
    return Vote(
        task=task,
        actor=actor,
        answer=Answer(given.outcome, values, given.comment.strip(), given.digest),
        closes=outcome_reached(outcomes, task.quorum) is not None,
        agreed=outcomes.count(given.outcome),
    )


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
_DECIDE = "SELECT queues FROM branchline_decide(false, %s, %s, %s, %s, %s, %s, %s, %s, %s::jsonb, %s, %s)"
_AS_SEEN = "branchline_decide_as_seen"
_TYPES = ("int", "jsonb", "uuid", "bigint", "boolean", "bigint", *["text"] * 4, "jsonb", "text", "text")
_DECIDE_AS_SEEN = f"SELECT as_seen, queues, ended FROM {_AS_SEEN}({', '.join(f'%s::{one}' for one in _TYPES)})"


def _decide_as_seen(vote: Vote, standing: str, still: Seen | None) -> Decided | None:
    """Decide when nothing has changed since it was read; None, and nothing written, when something has."""
    began = time.monotonic()
    arguments = [vote.task.version, standing, *vote.written()]
    try:
        if still is None:
            row = fetch_one(_DECIDE_AS_SEEN, arguments)
        else:
            row = fetch_if_still(still, _AS_SEEN, _TYPES, arguments)
    except OperationalError as error:
        if isinstance(error.__cause__, DeadlockDetected):  # with a run that ends right now
            return None
        raise
    if row is None or not row[0]:
        return None
    if row[2]:
        metrics.attempt_ended("human_task", "succeeded", time.monotonic() - began)
    return vote.counted(row[1] or ())


def _decide(vote: Vote) -> Decided:
    """Decide a task that is locked: nobody else has decided since it was checked."""
    row = fetch_one(_DECIDE, vote.written())
    queues: list[str] | None = row[0] if row else None
    if vote.closes and queues is None:
        raise TaskConflict("The run no longer waits for this decision. Nothing was changed.")
    return vote.counted(queues or ())
