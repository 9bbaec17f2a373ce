"""Rows as the engine leaves them, written straight: for tests of what reads them."""

import itertools
import time
import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

from django.db import connection
from django.db.models import BigIntegerField, Func

from orchestrator.core.compile import compile_plan
from orchestrator.core.parse import parse_document
from orchestrator.core.plan_json import plan_as_json
from orchestrator.core.states import FINAL_RUN
from orchestrator.models import (
    Decision,
    Delivery,
    Event,
    Gate,
    HumanTask,
    Payload,
    PlanGate,
    Run,
    RunRecord,
    Scope,
    StepLog,
    Token,
    UndoItem,
    User,
    Version,
    WorkerSession,
    Workflow,
    Workspace,
)
from orchestrator.models.scope import BLOCK
from orchestrator.services.versions import gate_rows

numbers = itertools.count(1)
#: The transaction's id, as every write of the engine notes it.
XID = Func(template="pg_current_xact_id()::text::bigint", output_field=BigIntegerField())
LONG_AGO = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)


class PlainKind:
    """As much of a step kind as the compiler asks for: every port that the tests draw."""

    default_timeout = 30.0
    kind = ""
    inside: tuple[str, ...] | None = None
    effects = "external"
    group = "do"

    def __init__(self, ports: Sequence[str] = ("out", "error", "timeout")) -> None:
        self._ports = tuple(ports)

    def ports(self, config: object) -> tuple[str, ...]:
        return self._ports

    def is_async(self, config: object) -> bool:
        return True


class QuickKind(PlainKind):
    """A lane of a for-each does it itself."""

    def is_async(self, config: object) -> bool:
        return False


class ForEachKind(PlainKind):
    """A container."""

    inside = ("item", "index")


class ScopeKind(PlainKind):
    """A container whose body runs once."""

    inside = ()


KINDS: Any = {
    "call": PlainKind(),
    "transform": QuickKind(),
    "merge": PlainKind(),
    "choose": PlainKind(("left", "right", "otherwise", "error")),
    "for_each": ForEachKind(("out", "error", "timeout")),
    "repeat": ForEachKind(("out", "error", "timeout")),
    "scope": ScopeKind(("out", "error", "timeout")),
    "sub_workflow": PlainKind(),
    "human_task": PlainKind(("approved", "rejected", "error", "timeout")),
}


def drawn(*arrows: str, steps: Mapping[str, Mapping[str, Any]] | None = None, name: str = "Order") -> dict[str, Any]:
    """A document from arrows like "a -> b" or "a.error -> b"; `steps` gives kinds, retries and the like by key."""
    keys: dict[str, None] = {}
    edges = []
    for arrow in arrows:
        left, _, target = (part.strip() for part in arrow.partition("->"))
        source, _, port = left.partition(".")
        keys.update({source: None, **({target: None} if target else {})})
        if target:
            edges.append({"from": source, "to": target, "port": port or "out"})
    given = steps or {}
    return {
        "format": "branchline/1",
        "name": name,
        "steps": [{"key": key, "name": key, "kind": "call", "config": {}, **given.get(key, {})} for key in keys],
        "edges": edges,
    }


def make_workflow(workspace: Workspace, *, slug: str = "", name: str = "Order payment") -> Workflow:
    return Workflow.objects.create(workspace=workspace, slug=slug or f"flow-{next(numbers)}", name=name)


def make_version(workflow: Workflow, document: dict[str, Any] | None = None, *, by: User | None = None) -> Version:
    """The next version of the workflow, compiled from the document, live."""
    raw = document or drawn("a -> b", "b -> c")
    plan = compile_plan(parse_document(raw), KINDS)
    version = Version.objects.create(
        workflow=workflow,
        number=workflow.versions.count() + 1,
        document=raw,
        plan=plan_as_json(plan),
        content_hash=uuid.uuid4().hex,
        published_by=by,
    )
    PlanGate.objects.bulk_create(gate_rows(plan, version.pk))
    workflow.live_version = version
    workflow.save()
    return version


def new_run_id(moment: datetime | None = None) -> uuid.UUID:
    """A UUIDv7: 48 bits of milliseconds, then version, variant and what is unique."""
    milliseconds = int(moment.timestamp() * 1000) if moment else time.time_ns() // 1_000_000
    return uuid.UUID(
        int=milliseconds << 80 | 7 << 76 | (next(numbers) & 0xFFF) << 64 | 2 << 62 | uuid.uuid4().int & (1 << 62) - 1
    )


def make_run(version: Version, *, state: str = "running", started_at: datetime | None = None, **fields: Any) -> Run:
    """A run with its record "started"; closed states get an end one second later."""
    started = started_at or datetime.now(UTC)
    closed = state in FINAL_RUN
    run = Run.objects.create(
        id=new_run_id(started_at),
        workspace=version.workflow.workspace,
        workflow=version.workflow,
        version=version,
        state=state,
        started_at=started,
        finished_at=started + timedelta(seconds=1) if closed else None,
        **{"correlation_id": str(uuid.uuid4()), "trigger": "api", "input": {}, "xid": XID, **fields},
    )
    make_record(run, "started", at=started)
    return run


def make_queued(version: Version, first: str, key: str) -> Run:
    """A run that its workflow's limit of one for this key has queued, behind an open one. Its first step is held."""
    limit: dict[str, Any] = {"concurrency_key": key, "concurrency_limit": 1}
    make_run(version, **limit)
    run = make_run(version, queued=True, **limit)
    make_token(run, first, state="H", attempt=0)
    return run


def make_record(run: Run, kind: str, *, actor: str = "alice", **fields: Any) -> RunRecord:
    return RunRecord.objects.create(run=run, kind=kind, actor=actor, xid=XID, **fields)


def node_of(run: Run, key: str) -> int:
    return keys_of(run.version_id).index(key)


@lru_cache
def keys_of(version_id: int) -> list[str]:
    keys: list[str] = Version.objects.get(pk=version_id).plan["keys"]
    return keys


def make_token(run: Run, key: str, *, state: str = "R", **fields: Any) -> Token:
    """Where control stands: R ready, L leased, W waiting, H held, F failed."""
    defaults: dict[str, Any] = {"queue": "default", "attempt": 0 if state == "R" else 1, "xid": XID}
    if state == "L":
        defaults |= {"session_id": 1, "first_started_at": datetime.now(UTC), "started_at": datetime.now(UTC)}
    return Token.objects.create(
        run=run, version_id=run.version_id, node=node_of(run, key), state=state, **{**defaults, **fields}
    )


def make_log(run: Run, key: str, *, outcome: str = "S", attempt: int = 1, **fields: Any) -> StepLog:
    """An ended attempt. A success leaves by `out` unless `ports` says otherwise."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT nextval('orchestrator_step_log_entry')")
        (entry,) = cursor.fetchone()
    now = datetime.now(UTC)
    ports = ["out"] if outcome == "S" else None
    defaults = {"ports": ports, "started_at": now, "finished_at": now, "session_id": 1, "xid": XID}
    return StepLog.objects.create(
        run=run,
        entry=entry,
        outcome=outcome,
        attempt=attempt,
        **{"node": node_of(run, key), **defaults, **fields},
    )


def make_undo_item(run: Run, key: str, state: str, **fields: Any) -> UndoItem:
    """A line of the undo ledger for the last row that the log holds of the step."""
    row = StepLog.objects.filter(run=run, node=node_of(run, key)).order_by("-entry")[0]
    values = {"entry": row.entry, "node": row.node, "scope_id": row.scope_id, "generation": row.generation, "xid": XID}
    return UndoItem.objects.create(run=run, state=state, **(values | fields))


def make_items(run: Run, key: str, *, total: int, ok: int = 0, fail: int = 0, **fields: Any) -> Scope:
    """The block of a for-each that has been entered."""
    values = {"parent": 0, "node": node_of(run, key), "token_id": 1, "lanes": 1, "chunk": 1, **fields}
    return Scope.objects.create(id=next(numbers) * BLOCK, run=run, total=total, ok=ok, fail=fail, **values)


def make_scope(run: Run, key: str, **fields: Any) -> Scope:
    """The block of a scope or a repeat that has been entered."""
    values = {"parent": 0, "node": node_of(run, key), "token_id": 1, **fields}
    return Scope.objects.create(id=next(numbers) * BLOCK, run=run, **values)


def make_outputs(run: Run, key: str, inside: str, outputs: Sequence[Any], size: int = 9_000_000) -> Payload:
    """The outputs of the items of a for-each, kept as too large to be one value; its log row is the caller's."""
    block = make_items(run, key, total=len(outputs), ok=len(outputs), state="C")
    for place, output in enumerate(outputs):
        make_log(run, inside, scope_id=block.pk + 1 + place, output=output)
    body = {"step": key, "run": str(run.pk), "total": len(outputs), "bytes": size, "block": block.pk}
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_current_xact_id()::text::bigint + 1")
        (after,) = cursor.fetchone()
    body |= {"seen": f"{after}:{after}:", "exits": [[node_of(run, inside), inside]]}
    return Payload.objects.create(id=uuid.uuid4(), run=run, body=body, block=block.pk)


def make_gate(run: Run, key: str, *, size: int, ok: int = 0, skip: int = 0, fail: int = 0, **fields: Any) -> Gate:
    """A join that some branches have reached."""
    node = node_of(run, key)
    return Gate.objects.create(
        run=run, gate=node, node=node, size=size, ok=ok, skip=skip, fail=fail, **{"need": 0, **fields}
    )


def make_task(run: Run, key: str, **fields: Any) -> HumanTask:
    """An open task and the token that waits for it."""
    token = make_token(run, key, state="W", phase=1, attempt=0, waiting={"kind": "person", "text": "Waiting"})
    defaults = {"title": "Approve the order", "outcomes": [{"key": "approved", "label": "Approve"}]}
    return HumanTask.objects.create(
        workspace_id=run.workspace_id,
        run=run,
        token_id=token.pk,
        epoch=token.epoch,
        step_key=key,
        **{**defaults, **fields},
    )


def make_decision(task: HumanTask, user: User, *, outcome: str = "approved", **fields: Any) -> Decision:
    return Decision.objects.create(task=task, user=user, user_name=user.username, outcome=outcome, digest="", **fields)


def make_event_wait(run: Run, key: str, type: str, event_key: str | None = None, **fields: Any) -> Token:
    """A token that waits for an event of the type: of the key, or (None) of any."""
    topic = f"{run.workspace_id}/{type}" + ("" if event_key is None else f"#{event_key}")
    waiting = {"kind": "event", "text": f"Waiting for {type}", "topic": topic}
    return make_token(run, key, **{"state": "W", "phase": 1, "attempt": 0, "waiting": waiting, **fields})


def make_event(workspace: Workspace, type: str = "order.paid", **fields: Any) -> Event:
    """An event that was accepted."""
    defaults: dict[str, Any] = {"source": "/shop", "event_id": f"e-{next(numbers)}", "data": {"amount": 12}}
    return Event.objects.create(workspace=workspace, type=type, **{**defaults, **fields})


def make_delivery(event: Event, run: Run, key: str, state: str = "D", **fields: Any) -> Delivery:
    """The event at a step: P pending, D delivered, I ignored, X dead."""
    topic = f"{event.workspace_id}/{event.type}#{event.key}"
    defaults = {"token_id": 0, "topic": topic, "xid": XID, "ended_at": None if state == "P" else datetime.now(UTC)}
    return Delivery.objects.create(
        event=event, run=run, state=state, **{"node": node_of(run, key), **defaults, **fields}
    )


def make_session(*queues: str) -> WorkerSession:
    """A worker process that serves these queues now."""
    return WorkerSession.objects.create(
        id=next(numbers), node_id=uuid.uuid4(), host="here", pid=1, queues=list(queues), beat_at=datetime.now(UTC)
    )
