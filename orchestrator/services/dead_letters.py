"""Dead letters: deliveries at which a step gave up. They are replayed to it, or taken off the list."""

from collections import Counter
from functools import partial

from django.db import transaction

from orchestrator import audit
from orchestrator.core.errors import Conflict, NotFound
from orchestrator.core.json_types import JsonObject
from orchestrator.engine import dispatch, statements
from orchestrator.engine.prepared import fetch_one
from orchestrator.models import Delivery, StepLog, Token
from orchestrator.models.event import DeliveryState
from orchestrator.policy import Action, Actor, require
from orchestrator.services.patience import patient
from orchestrator.services.plans import plan_of
from orchestrator.services.reopen import StepNotFailed
from orchestrator.services.repeat_preview import preview_retry
from orchestrator.services.standing import XID


class NotDead(Conflict):
    """The delivery is no dead letter any more: it was replayed or discarded."""

    code = "not_dead"


class NotAwaited(Conflict):
    """The step does not wait for such an event now, so there is nothing to replay it to."""

    code = "not_awaited"


class WaitIsOver(Conflict):
    """The step has gone on, or has been done again, and will not wait there any more."""

    code = "wait_is_over"


@patient
def replay_delivery(*, actor: Actor, delivery: int) -> None:
    """Hand a dead letter once more to its step, which must be waiting for such an event: there, or in a later turn.

    Raises NotFound, NotDead, NotAwaited, WaitIsOver, Denied, RunBusy.
    """
    require(actor, Action.EVENT_EMIT, target=f"delivery {delivery}")
    if not _replayed(actor, delivery):
        raise _refused(actor, _dead(actor, delivery))  # somebody may have been faster


def _replayed(actor: Actor, delivery: int) -> bool:
    with transaction.atomic():
        found = _dead(actor, delivery)
        row = fetch_one(statements.REPLAY, [found.pk])
        if row is None or row[0] is None:
            return False
        audit.record(actor, "event.replay", target=f"delivery {delivery}", detail=_told(found))
        for queue, count in Counter(row[0]).items():
            transaction.on_commit(partial(dispatch.wake, queue, count))
        transaction.on_commit(partial(dispatch.announce, actor.workspace_id, found.run_id, events=True))
    return True


@patient
def discard_delivery(*, actor: Actor, delivery: int) -> None:
    """Take a dead letter off the list; it stays in the history with its reason. Raises NotFound, NotDead, Denied."""
    require(actor, Action.EVENT_EMIT, target=f"delivery {delivery}")
    with transaction.atomic():
        found = _dead(actor, delivery)
        won = Delivery.objects.filter(pk=found.pk, state=DeliveryState.DEAD).update(
            state=DeliveryState.IGNORED, why="discarded", xid=XID
        )
        if not won:
            raise _not_dead()
        audit.record(actor, "event.discard", target=f"delivery {delivery}", detail=_told(found))
        transaction.on_commit(partial(dispatch.announce, actor.workspace_id, found.run_id, events=True))


def _dead(actor: Actor, delivery: int) -> Delivery:
    """The dead letter, if it is one of this workspace. Raises NotFound, NotDead."""
    found = Delivery.objects.filter(pk=delivery, event__workspace_id=actor.workspace_id).first()
    if found is None:
        raise NotFound("No such dead letter in this workspace.")
    if found.state != DeliveryState.DEAD:
        raise _not_dead()
    return found


def _refused(actor: Actor, delivery: Delivery) -> Conflict:
    """Why its step cannot have it, and the way out."""
    run, node = delivery.run, delivery.node
    steps = plan_of(run.version).steps
    if node >= len(steps):
        return WaitIsOver("The run goes on by a newer version that has not this step. Discard the letter.")
    step = steps[node]
    here = {"run_id": run.pk, "node": node}
    if any(
        rows.filter(**here, generation__gt=delivery.generation).exists() for rows in (Token.objects, StepLog.objects)
    ):
        told = "has been done again since, and has looked at the events that are kept by itself. Discard the letter."
        return WaitIsOver(f"Step {step.title} {told}")
    if Token.objects.filter(**here, scope_id=delivery.scope_id, generation=delivery.generation).exists():
        told = "is at work, or waits for another event. Replay the letter when it waits for this type and key."
        return NotAwaited(f"Step {step.title} {told}")
    try:
        preview_retry(run.pk, actor, step.key, scope=delivery.scope_id or None)
    except StepNotFailed:
        told = "has gone on since, and does not wait for this event again."
        way = "Re-run the step, and it looks at the events that are kept anew; or discard the letter."
        return WaitIsOver(f"Step {step.title} {told} {way}")
    except Conflict as refusal:
        return NotAwaited(
            f"Step {step.title} does not wait for this event now, nor can it be retried. {refusal.message}"
        )
    return NotAwaited(f"Step {step.title} does not wait for this event now. Retry the step first, then replay.")


def _not_dead() -> NotDead:
    return NotDead("This is no dead letter any more: somebody has replayed or discarded it.")


def _told(delivery: Delivery) -> JsonObject:
    return {"event": delivery.event_id, "run": str(delivery.run_id)}
