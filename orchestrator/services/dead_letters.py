"""Dead letters: deliveries at which a step gave up. They are replayed to it, or taken off the list."""

from collections import Counter
from functools import partial

from django.db import transaction

from orchestrator import audit
from orchestrator.core.errors import Conflict, NotFound
from orchestrator.core.json_types import JsonObject
from orchestrator.engine import dispatch, statements
from orchestrator.engine.prepared import fetch_one
from orchestrator.models import Delivery
from orchestrator.models.event import DeliveryState
from orchestrator.policy import Action, Actor, require
from orchestrator.services.patience import patient
from orchestrator.services.standing import XID


class NotDead(Conflict):
    """The delivery is no dead letter any more: it was replayed or discarded."""

    code = "not_dead"


class NotAwaited(Conflict):
    """The step does not wait for such an event, so there is nothing to replay it to."""

    code = "not_awaited"


@patient
def replay_delivery(*, actor: Actor, delivery: int) -> None:
    """Hand a dead letter once more to its step, which must be waiting for such an event.

    Raises NotFound, NotDead, NotAwaited, Denied, RunBusy.
    """
    require(actor, Action.EVENT_EMIT, target=f"delivery {delivery}")
    with transaction.atomic():
        found = _dead(actor, delivery)
        row = fetch_one(statements.REPLAY, [found.pk])
        if row is None or row[0] is None:
            _dead(actor, delivery)  # somebody may have been faster
            raise NotAwaited("The step does not wait for this event now. Retry the step first, then replay.")
        audit.record(actor, "event.replay", target=f"delivery {delivery}", detail=_told(found))
        for queue, count in Counter(row[0]).items():
            transaction.on_commit(partial(dispatch.wake, queue, count))
        transaction.on_commit(partial(dispatch.announce, actor.workspace_id, found.run_id, events=True))


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


def _not_dead() -> NotDead:
    return NotDead("This is no dead letter any more: somebody has replayed or discarded it.")


def _told(delivery: Delivery) -> JsonObject:
    return {"event": delivery.event_id, "run": str(delivery.run_id)}
