"""Starting a run: the row, its first tokens, its record and its audit entry in one statement."""

import hashlib
import json
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any
from uuid import UUID

from django.db import connection, transaction

from orchestrator.core.actor import Actor
from orchestrator.core.errors import Conflict, InputInvalid
from orchestrator.core.json_text import check_json
from orchestrator.core.json_types import Json, JsonObject
from orchestrator.core.plan import Plan
from orchestrator.core.schema import check_input
from orchestrator.engine import dispatch, metrics, statements, tracing
from orchestrator.engine.identity import uuid7
from orchestrator.engine.items import starts_as_json
from orchestrator.engine.limits import limit_fields, refusal
from orchestrator.engine.prepared import Seen, fetch_if_still, fetch_one
from orchestrator.engine.sandbox import own_sandbox
from orchestrator.engine.values import Packed
from orchestrator.models import Version, Workflow
from orchestrator.services.deadlines import database_time, deadline_at
from orchestrator.services.plans import plan_of

DEFAULT_PRIORITY = 100
KNOWN_VERSIONS = 200


class NotPublished(Conflict):
    """The workflow has no live version."""

    code = "not_published"


class IdempotencyKeyReused(Conflict):
    """The same Idempotency-Key came with another request."""

    code = "idempotency_key_reused"


class LimitReached(Conflict):
    """As many runs are open as the workflow's limit allows, and it refuses more."""

    code = "concurrency_limit"


class BusinessKeyOpen(Conflict):
    """An open run of this workflow has the same business key."""

    code = "business_key_open"


@dataclass(frozen=True, slots=True, kw_only=True)
class Beginning:
    """What was written of a new run. `seq` is the position of a read that saw it just then."""

    version: int
    started_at: datetime
    seq: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """`created` is False when the same Idempotency-Key had started this run before."""

    run_id: UUID
    created: bool
    #: Of the version that was asked to start. None when the run had been started before, or is under a limit.
    beginning: Beginning | None = None


def start_run(  # noqa: PLR0913  keyword-only: the whole request
    *,
    workflow: Workflow,
    input: Json,
    actor: Actor,
    trigger: str = "api",
    correlation_id: str | None = None,
    business_key: str | None = None,
    idempotency_key: str | None = None,
    version: Version | None = None,
    priority: int | None = None,
    deadline: str | None = None,
    seen: Seen | None = None,
) -> Started:
    """Start a run of `version`, else of the live version, and wake a worker.

    `priority`: higher goes first; None for the workflow's own. `deadline`: a duration or a time; None for
    the workflow's.

    Under a limit of open runs it may be queued until another ends, or replace the oldest.

    `seen`: what the actor's right and the version rest on, read before: it starts only if that is still so.

    Raises InputInvalid, NotPublished, IdempotencyKeyReused, BusinessKeyOpen, LimitReached, ExpressionFailed (the
    limit's key), DeadlinePast, DeadlineInvalid, DurationInvalid; SeenOtherwise, if nothing was started for that.
    """
    chosen = version or _live(workflow)
    known = _known(chosen)
    _check(known.schema, input)
    run_id = uuid7()
    row = _run_row(workflow, chosen, actor, input, trigger)
    row |= {"id": str(run_id), "correlation_id": correlation_id or str(run_id), "business_key": business_key}
    row["priority"] = place_in_line(known.priority if priority is None else priority)
    if deadline is not None:
        row["deadline_at"] = deadline_at(deadline, database_time()).isoformat()
    if known.plan.concurrency is not None:
        row |= limit_fields(known.plan.concurrency, input, own_sandbox())
    if idempotency_key is not None:
        digest = hashlib.sha256(json.dumps([chosen.workflow_id, input], sort_keys=True).encode()).hexdigest()
        row |= {"idempotency_key": idempotency_key, "digest": digest}
    trace_context = tracing.present_context()
    if trace_context is not None:
        row["trace_context"] = trace_context
    started, status, began_at, seq = _insert(row, starts_as_json(known.plan, known.plan.starts), seen)
    if status == "key_reused":
        raise IdempotencyKeyReused(
            f'The Idempotency-Key "{idempotency_key}" started another run with other input. Use a new key.',
            details={"run": str(started)},
        )
    if status == "business_key_open":
        raise BusinessKeyOpen(f'A run with business key "{business_key}" is still open. Wait for its end or cancel it.')
    if status == "concurrency_limit":
        key = row["concurrency_key"]
        raise LimitReached(refusal(workflow.slug, row["concurrency_limit"], f"key {key}" if key else ""))
    if status == "repeated":
        return Started(run_id=started, created=False)
    _tell(known.plan, workflow.workspace_id, run_id)
    transaction.on_commit(metrics.RUNS_STARTED.labels(trigger).inc)
    if status == "queued":
        transaction.on_commit(partial(settle_limit, workflow.pk, row["concurrency_key"]), robust=True)
    beginning = Beginning(version=chosen.number, started_at=began_at, seq=seq)
    # Under a limit more may have happened since: it is read.
    return Started(run_id=started, created=True, beginning=None if "concurrency_key" in row else beginning)


def settle_limit(workflow_id: int, key: str) -> None:
    """Let queued runs go while there are slots, and cancel what newer runs replace: each in a transaction of its own,
    for a cancellation takes that run's lock. What is left undone here the keeper finds.
    """
    replaced: UUID | None = None
    while True:
        before, (queues, replaced) = replaced, _settled(workflow_id, key)
        for queue in queues:
            dispatch.wake(queue)
        if replaced is None or replaced == before:
            return


def _settled(workflow_id: int, key: str) -> tuple[list[str], UUID | None]:
    with connection.cursor() as cursor:
        cursor.execute(statements.SETTLE_LIMIT, [workflow_id, key])
        row = cursor.fetchone()
    assert row is not None, "the function answers every call with one row"
    queues, replaced = row
    return queues, replaced


def place_in_line(priority: int) -> int:
    """A priority (higher goes first) as tokens keep it: the lowest number is claimed first."""
    return DEFAULT_PRIORITY - priority


def _live(workflow: Workflow) -> Version:
    if workflow.live_version is None or workflow.archived_at is not None:
        raise NotPublished(f'Workflow "{workflow.slug}" has no live version. Publish its draft first.')
    return workflow.live_version


def _check(schema: JsonObject, value: Json) -> None:
    found = check_input(schema, value)
    if found:
        problems: list[Json] = [{"code": one.code, "message": one.message, "path": one.path} for one in found]
        raise InputInvalid(f"The input does not fit: {found[0].message}", details={"problems": problems})


def _run_row(workflow: Workflow, version: Version, actor: Actor, value: Json, trigger: str) -> dict[str, Any]:
    packed = Packed({})
    packed.put(value, "input", "input_ref")
    return {
        **packed.finished(),
        "workspace": workflow.workspace_id,
        "workflow": workflow.pk,
        "workflow_slug": workflow.slug,
        "version": version.pk,
        "trigger": trigger,
        "user": actor.user_id,
        "actor": actor.username,
        "via": actor.via,
        "deadline": _known(version).plan.deadline,
    }


@dataclass(frozen=True, slots=True)
class _Known:
    """What every start of a version needs."""

    plan: Plan
    schema: JsonObject
    priority: int


_versions: dict[int, _Known] = {}


def _known(version: Version) -> _Known:
    """A version never changes, so it is read once per process."""
    known = _versions.get(version.pk)
    if known is None:
        if len(_versions) >= KNOWN_VERSIONS:
            _versions.clear()
        known = _versions[version.pk] = _Known(
            plan=plan_of(version),
            schema=version.document.get("input") or {},
            priority=(version.document.get("settings") or {}).get("priority", 0),
        )
    return known


def _insert(row: dict[str, Any], starts: list[dict[str, Any]], seen: Seen | None) -> tuple[Any, ...]:
    """(run id, status, started at, seq); see sql/start.sql."""
    arguments = [check_json(row), json.dumps(starts)]
    if seen is not None:
        return fetch_if_still(seen, statements.START_FUNCTION, ("jsonb", "jsonb"), arguments)
    found = fetch_one(statements.START_RUN, arguments)
    assert found is not None, "the function answers every call with one row"
    return found


def _tell(plan: Plan, workspace_id: int, run_id: UUID) -> None:
    def tell() -> None:
        for queue in {plan.steps[node].queue for node in plan.starts}:
            dispatch.wake(queue, len(plan.starts))
        dispatch.announce(workspace_id, run_id)

    transaction.on_commit(tell)
