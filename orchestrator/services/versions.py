"""Publishing: a checked document becomes an immutable version with its plan, and the live pointer moves."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from django.db import transaction
from django.db.models import Max

from orchestrator import audit
from orchestrator.core.actor import Actor
from orchestrator.core.advance import closed, fail, skip
from orchestrator.core.compile import compile_plan
from orchestrator.core.document import Document
from orchestrator.core.json_types import JsonObject
from orchestrator.core.kinds import Kinds
from orchestrator.core.plan import Plan, failure_port
from orchestrator.core.plan_json import plan_as_json
from orchestrator.models import PlanGate, Version, Workflow
from orchestrator.steps.registry import KINDS


def publish_version(
    *, workflow: Workflow, document: Document, raw: JsonObject, note: str, actor: Actor, kinds: Kinds = KINDS
) -> Version:
    """Compile and freeze `document` as the next version and make it live. Open runs stay on their version.

    The document must be free of problems. `raw` is the same document as JSON: what export gives back.
    """
    plan = compile_plan(document, kinds)
    with transaction.atomic():
        Workflow.objects.select_for_update().get(pk=workflow.pk)  # numbers have no gaps and no twins
        last = Version.objects.filter(workflow=workflow).aggregate(last=Max("number"))["last"] or 0
        version = Version.objects.create(
            workflow=workflow,
            number=last + 1,
            document=raw,
            plan=plan_as_json(plan),
            content_hash=content_hash(raw),
            note=note,
            published_by_id=actor.user_id,
        )
        PlanGate.objects.bulk_create(gate_rows(plan, version.pk))
        Workflow.objects.filter(pk=workflow.pk).update(live_version=version, name=document.name)
        audit.record(
            actor,
            "workflow.publish",
            target=f"workflow {workflow.slug}",
            detail={"version": version.number, "note": note},
        )
    workflow.live_version, workflow.name = version, document.name
    return version


def content_hash(raw: Mapping[str, Any]) -> str:
    """SHA-256 of the document in one canonical spelling."""
    return hashlib.sha256(json.dumps(raw, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def gate_rows(plan: Plan, version_id: int) -> list[PlanGate]:
    """What the SQL must know of each gate: which signals follow from each verdict."""
    return [_gate_row(plan, version_id, node) for node in sorted(plan.gates)]


def _gate_row(plan: Plan, version_id: int, node: int) -> PlanGate:
    gate = plan.gates[node]
    row = PlanGate(version_id=version_id, gate=node, node=node, mode=gate.mode, size=gate.size, need=gate.need)
    row.tolerate, row.on_failure = gate.tolerate, gate.on_branch_failure[0]
    row.deadline, row.deadline_fails = gate.deadline, gate.on_deadline == "fail"
    row.cancels_late = gate.late == "cancel"
    row.branch = [{"node": member, "sig": skip(plan, member).flat()} for member in gate.branch]
    if gate.by is not None:
        # Its queue is where the run's own last node goes, when this ends everything else.
        row.node, row.cancels_late, row.queue, row.timeout = (
            gate.by,
            not gate.completes,
            plan.steps[gate.by].queue,
            60.0,
        )
        row.on_skip, row.on_fail, row.on_closed = [], [], []
        return row
    if node >= plan.end:
        row.owner = plan.owner_of.get(node)
        if node == plan.end and plan.on_failure == "undo":
            row.on_failure = "u"
        row.queue, row.timeout, row.on_skip, row.on_fail, row.on_closed = "", 60.0, [], [], []
        return row
    step, failed = plan.steps[node], fail(plan, node)
    sources = [plan.steps[arrow.source] for arrow in plan.in_arrows[node]]
    row.names, row.titles = [source.key for source in sources], [source.title for source in sources]
    row.queue, row.timeout = step.queue, step.timeout
    row.on_skip, row.on_fail, row.on_closed = skip(plan, node).flat(), failed.flat(), closed(plan, node).flat()
    row.on_fail_handled = failure_port(plan, node, timed_out=False) is not None
    started = (plan.steps[start] for start in failed.starts)
    row.on_fail_spawn = [{"node": s.node, "queue": s.queue, "timeout": s.timeout} for s in started]
    return row
