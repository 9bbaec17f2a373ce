"""What `branchline_advance` reads, built from a settlement."""

from typing import Any

from orchestrator.core.errors import JsonInvalid
from orchestrator.core.json_types import Json
from orchestrator.core.outcome import Awaited, Items, Open, StepFault, TaskForm
from orchestrator.core.plan import Plan
from orchestrator.core.settle import Settlement
from orchestrator.engine.lease import Lease
from orchestrator.engine.values import Packed

LARGEST_CHUNK = 200  # items
QUICK_LANES = 16  # of items that a worker does in one go
SLOW_LANES = 1_000  # of items that wait or branch: each holds a token, not a slot


def build_item(
    plan: Plan, lease: Lease, settled: Settlement, *, config: Json, log: list[dict[str, Json]]
) -> dict[str, Any]:
    """One item; `add_end` follows when the run ends with it. Raises `JsonInvalid` when a value cannot be stored."""
    packed = Packed({**_fence(lease), "n": lease.node, "then": settled.then})
    item = packed.item
    if settled.logged is not None:
        log_attempt(packed, plan, lease.node, settled, config)
        if log:
            item["log"] = log
    if lease.phase == 1 and lease.signal is not None and "no" in lease.signal:
        item |= _looked_at(lease.signal["no"], settled)
    if settled.then == "go":
        item |= follow(plan, settled)
    else:
        _park(item, plan, lease, settled)
        _open(packed, plan, lease, settled)
    return packed.finished()


def hand_back(lease: Lease) -> dict[str, Any]:
    """Give the token back untouched: somebody else will claim it."""
    return {**_fence(lease), "then": "back"}


def _fence(lease: Lease) -> dict[str, Any]:
    """Which attempt it is, and of which run: those of one call are put in order by it."""
    return {"t": lease.token_id, "e": lease.epoch, "r": str(lease.run.run_id)}


def give_up(lease: Lease, error: Exception | None) -> dict[str, Any]:
    """Give the token back although its handler ran: its end cannot be stored, so nobody knows what it did."""
    message = f"The end of this attempt could not be stored; the step may have acted. {type(error).__name__}: {error}"
    clean = message[:2_000].replace("\x00", "").encode("utf-8", "replace").decode()
    return {**hand_back(lease), "o": "U", "err": {"code": "end_lost", "message": clean}}


def end_run(lease: Lease, state: str, output: Json, fault: StepFault | None) -> dict[str, Any]:
    """The run's own last node: no step, nothing to log. An output that cannot be stored fails the run."""
    item = {**_fence(lease), "then": "go"}
    add_end(item, state, output, fault)
    return item


def add_end(item: dict[str, Any], state: str, output: Json, fault: StepFault | None) -> None:
    """Make `item` end the run. An output that cannot be stored fails the run, not the step that was its last."""
    holder = Packed({"state": state})
    try:
        holder.put(output, "output", "oref")
    except JsonInvalid as error:
        fault = StepFault(code="output_failed", message=f"The run's output cannot be stored: {error.message}")
        holder.item["state"] = "failed"
    if fault is not None:
        holder.item["error"] = fault_as_json(fault)
    item["end"] = holder.item
    if holder.payloads:
        item["pay"] = item.get("pay", []) + holder.payloads


def fault_as_json(fault: StepFault) -> dict[str, Json]:
    """The form in which faults are stored and shown."""
    shown: dict[str, Json] = {"code": fault.code, "message": fault.message}
    if fault.details:
        shown["details"] = dict(fault.details)
    return shown


def log_attempt(packed: Packed, plan: Plan, node: int, settled: Settlement, config: Json) -> None:
    """What the step log keeps of an attempt. Raises `JsonInvalid`."""
    packed.item["o"] = settled.logged
    if settled.ports is not None:
        packed.item["ports"] = list(settled.ports)
    if plan.step(node).has_expressions:
        packed.put(config, "inp", "iref")
    packed.put(settled.output, "out", "oref")
    if settled.fault is not None:
        packed.item["err"] = fault_as_json(settled.fault)


def follow(plan: Plan, settled: Settlement) -> dict[str, Any]:
    """The signals, marks and steps that follow a step's end."""
    item: dict[str, Any] = {}
    if settled.effects.signals:
        item["sig"] = settled.effects.flat()
    if settled.mark is not None:
        item["mark"] = settled.mark
    if settled.effects.starts:
        item["starts"] = starts_as_json(plan, settled.effects.starts)
    return item


def starts_as_json(plan: Plan, nodes: tuple[int, ...]) -> list[dict[str, Any]]:
    """Steps that may begin, with what their token must know."""
    steps = (plan.steps[node] for node in nodes)
    return [{"node": step.node, "queue": step.queue, "timeout": step.timeout} for step in steps]


def _park(item: dict[str, Any], plan: Plan, lease: Lease, settled: Settlement) -> None:
    if settled.until is not None:
        item["until"] = settled.until.isoformat()
    elif settled.delay is not None:
        item["delay"] = settled.delay
    item["waiting"] = settled.waiting
    if settled.form is not None:
        item["form"] = _form(settled.form, plan.step(lease.node).key)
    if settled.awaited is not None:
        _await(item, lease, settled.awaited)


def _await(item: dict[str, Any], lease: Lease, awaited: Awaited) -> None:
    workspace, of_key = lease.run.workspace_id, "" if awaited.key is None else f"#{awaited.key}"
    since: dict[str, Json] = {} if awaited.since is None else {"since": awaited.since.isoformat()}
    topic = {"topic": f"{workspace}/{awaited.type}{of_key}"}
    item["waiting"] = {**item["waiting"], **topic} | ({"from": since["since"]} if since else {})
    item["await"] = {"workspace": workspace, "type": awaited.type, "key": awaited.key} | since


def _looked_at(number: int, settled: Settlement) -> dict[str, Any]:
    """What became of the event that a step was resumed with, where it did not end well with it."""
    if settled.then == "wait":
        return {"event": {"no": number, "state": "I"}}
    failed = settled.then == "go" and settled.logged in ("F", "T")
    return {"event": {"no": number, "state": "X"}} if failed else {}


def _open(packed: Packed, plan: Plan, lease: Lease, settled: Settlement) -> None:
    body = plan.bodies.get(lease.node)
    if body is None or settled.opens is None:
        return
    if isinstance(settled.opens, Open):
        packed.item["scope"] = {"index": settled.opens.index, "starts": starts_as_json(plan, body.starts)}
        if settled.opens.lock is not None:
            packed.item["scope"]["lock"] = settled.opens.lock
    elif isinstance(settled.opens, Items):
        packed.item["scope"] = _lanes(packed, settled.opens, in_hand=body.in_hand and lease.queue_limit_id is None)
        packed.item["scope"]["timeout"] = lane_timeout(plan, lease.node)


def lane_timeout(plan: Plan, node: int) -> float:
    """Seconds that a lane of this for-each may go without storing anything."""
    body, own = plan.bodies[node], plan.steps[node].timeout
    return max(own, body.patience) if body.in_hand else own


def _lanes(packed: Packed, opened: Items, *, in_hand: bool) -> dict[str, Any]:
    """How a for-each is cut: quick items in chunks for a few lanes, others one by one in as many lanes as may be."""
    total = len(opened.items)
    chunk = min(max(total // 32, 1), LARGEST_CHUNK) if in_hand else 1
    most = opened.parallel or (QUICK_LANES if in_hand else SLOW_LANES)
    holder = Packed({"total": total, "chunk": chunk, "lanes": min(most, -(-total // chunk))})
    holder.item |= {"tolerate": opened.tolerate} | ({} if opened.enough is None else {"enough": opened.enough})
    holder.put(opened.items, "items", "iref")
    packed.payloads += holder.payloads
    return holder.item


def _form(form: TaskForm, step_key: str) -> dict[str, Any]:
    return {
        "step_key": step_key,
        "title": form.title,
        "text": form.text,
        "fields": list(form.fields),
        "outcomes": list(form.outcomes),
        "users": list(form.users),
        "roles": list(form.roles),
        "groups": list(form.groups),
        "quorum": form.quorum,
        "allow_requester": form.allow_requester,
    }
