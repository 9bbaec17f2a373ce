"""What the admins of a workspace let begin on a queue: set, change and take away a queue's limit."""

from dataclasses import dataclass

from django.db import connection, transaction
from django.db.models.functions import Now

from orchestrator import audit
from orchestrator.core.durations import format_duration
from orchestrator.core.errors import BranchlineError, NotFound
from orchestrator.core.json_types import Json, JsonObject
from orchestrator.core.nearest import did_you_mean, nearest
from orchestrator.engine import statements
from orchestrator.engine.dispatch import wake
from orchestrator.engine.keeper import TTL
from orchestrator.engine.queue_names import known_queues
from orchestrator.models import QueueLimit
from orchestrator.models.queue_limit import LONGEST_PERIOD, MOST_AT_ONCE, MOST_STARTS
from orchestrator.policy import Action, Actor, require


class QueueLimitInvalid(BranchlineError):
    """The wished limit cannot be. `details.field` names what is wrong in it."""

    code = "queue_limit_invalid"


class QueueUnknown(BranchlineError):
    """No step of this workspace uses a queue of that name, and no worker serves it."""

    code = "queue_unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """So many starts in `period` seconds, evenly spaced; `burst` of them may come at once after a quiet time."""

    starts: int
    period: float
    burst: int = 1


def set_queue_limit(
    *, actor: Actor, queue: str, concurrency: int | None = None, rate: Rate | None = None
) -> QueueLimit:
    """Limit a queue for the actor's workspace, in place of what limited it before. Holds for what begins from now on.

    Raises QueueUnknown, and QueueLimitInvalid for a number that cannot be, or when nothing would be limited.
    """
    require(actor, Action.SETTINGS_EDIT, target=f"queue {queue}")
    _check(queue, concurrency, rate)
    with transaction.atomic():
        limit = QueueLimit.objects.select_for_update().filter(workspace_id=actor.workspace_id, queue=queue).first()
        if limit is None:
            _check_known(actor, queue)
        before = None if limit is None else as_json(limit)
        limit = limit or QueueLimit(workspace_id=actor.workspace_id, queue=queue)
        if _rate_of(limit) != rate:
            limit.used_until = None
        limit.concurrency = concurrency
        limit.starts, limit.period, limit.burst = (rate.starts, rate.period, rate.burst) if rate else (None, None, None)
        if before != as_json(limit):
            limit.changed_at = Now()
            limit.save()
            _record(actor, queue, before, as_json(limit))
            with connection.cursor() as cursor:
                cursor.execute(statements.SETTLE_LINES, [limit.pk])
            transaction.on_commit(lambda: wake(queue), robust=True)
    return QueueLimit.objects.get(pk=limit.pk)


def remove_queue_limit(*, actor: Actor, queue: str) -> None:
    """Let everything begin on a queue again. Raises NotFound when the workspace does not limit it."""
    require(actor, Action.SETTINGS_EDIT, target=f"queue {queue}")
    with transaction.atomic():
        limit = QueueLimit.objects.select_for_update().filter(workspace_id=actor.workspace_id, queue=queue).first()
        if limit is None:
            raise NotFound(f'The queue "{queue}" has no limit in this workspace.')
        with connection.cursor() as cursor:
            cursor.execute(statements.DROP_LINE, [limit.pk])
        _record(actor, queue, as_json(limit), None)
        transaction.on_commit(lambda: wake(queue, 4), robust=True)


def as_json(limit: QueueLimit) -> JsonObject:
    """The limit as the API and the audit trail say it."""
    rate = _rate_of(limit)
    return {
        "concurrency": limit.concurrency,
        "rate": None
        if rate is None
        else {"starts": rate.starts, "period": format_duration(rate.period), "burst": rate.burst},
    }


def _rate_of(limit: QueueLimit) -> Rate | None:
    if limit.starts is None or limit.period is None or limit.burst is None:
        return None
    return Rate(starts=limit.starts, period=limit.period, burst=limit.burst)


def _check(queue: str, concurrency: int | None, rate: Rate | None) -> None:
    if concurrency is None and rate is None:
        raise QueueLimitInvalid(
            f'Nothing would limit the queue "{queue}". Give a concurrency or a rate, or take its limit away.',
            details={"field": "concurrency"},
        )
    if concurrency is not None and not 1 <= concurrency <= MOST_AT_ONCE:
        raise _refused("concurrency", concurrency, "steps at once", 1, MOST_AT_ONCE)
    if rate is None:
        return
    if not 1 <= rate.starts <= MOST_STARTS:
        raise _refused("starts", rate.starts, "starts", 1, MOST_STARTS)
    if not 1 <= rate.period <= LONGEST_PERIOD:
        raise _refused("period", rate.period, "seconds", 1, LONGEST_PERIOD)
    if not 1 <= rate.burst <= rate.starts:
        raise _refused("burst", rate.burst, "starts in one burst", 1, rate.starts)


def _refused(field: str, value: float, what: str, least: int, most: int) -> QueueLimitInvalid:
    return QueueLimitInvalid(
        f"A queue cannot be limited to {value:g} {what}. Give a number from {least} to {most}.",
        details={"field": field},
    )


def _check_known(actor: Actor, queue: str) -> None:
    known = known_queues(actor.workspace_id, TTL)
    if queue in known:
        return
    listed: list[Json] = [*known]
    raise QueueUnknown(
        f'No step of this workspace uses a queue "{queue}", and no worker serves it.'
        + (did_you_mean(nearest(queue, known)) or f" Known: {', '.join(known)}."),
        details={"field": "queue", "known": listed},
    )


def _record(actor: Actor, queue: str, before: JsonObject | None, after: JsonObject | None) -> None:
    audit.record(actor, "queue_limit.change", target=f"queue {queue}", detail={"before": before, "after": after})
