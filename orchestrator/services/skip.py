"""Go on without a step: an operator says what it would have given, and control leaves it as if it had succeeded."""

import json
import secrets
from typing import Any
from uuid import UUID

from django.db import connection, transaction
from django.db.models import F
from django.db.models.functions import Now
from django.utils import timezone

from orchestrator.core.actor import Actor
from orchestrator.core.advance import advance
from orchestrator.core.document import DEFAULT_PORT
from orchestrator.core.errors import BranchlineError, Conflict
from orchestrator.core.json_text import check_json
from orchestrator.core.json_types import Json
from orchestrator.core.plan import PlanStep
from orchestrator.core.states import RunState, TokenState
from orchestrator.engine import statements
from orchestrator.engine.items import starts_as_json
from orchestrator.engine.values import Packed
from orchestrator.models import HumanTask, Run, Token
from orchestrator.services.patience import patient, patiently
from orchestrator.services.reopen import (
    Opened,
    RunNotRepeatable,
    any_node_of,
    cut_short,
    failed_steps,
    finish,
    opened,
    reopen,
)
from orchestrator.services.skip_inside import StepNotOpen, failed_inside, go_on_inside, require_turn, token_inside
from orchestrator.services.standing import XID, RunBusy, is_in_line
from orchestrator.services.way import StepRunning


class ApprovalNotSkippable(Conflict):
    """A decision of people: nobody takes it for them."""

    code = "approval_not_skippable"


class UnknownPort(BranchlineError):
    """Control cannot leave the step there."""

    code = "unknown_port"


def skip_step(
    run_id: UUID,
    key: str,
    actor: Actor,
    reason: str = "",
    *,
    output: Json = None,
    port: str | None = None,
    scope: int | None = None,
) -> RunState:
    """Record success with this output for a step that has failed, waits, or has not begun, and go on by `port`.

    Inside a container only where it stands, not where it failed; `scope` says where, if in several items.

    Raises NotFound, StepInside, ApprovalNotSkippable, StepNotOpen, StepRunning, UnknownPort, JsonInvalid,
    RunNotRepeatable, RunOfSubWorkflow, RunBusy.
    """
    check_json(output)

    def change() -> RunState:
        with opened(run_id, actor) as it:
            node = any_node_of(it, key)
            step = it.plan.steps[node]
            ports = _ports(step, port)
            text = f"Skipped by {actor.username}" + (f": {reason}" if reason else ".")

            def end(token: Token) -> None:
                _require_may_end(it, token, step.title)
                _advance(it, token, step, ports, output, text)

            token = _standing(it, node, scope)
            if token is None and step.parent is not None:
                failed = failed_inside(it, node, scope)
                go_on_inside(it, actor, failed, end)
                stood = failed.way[-1].inner
            else:
                end(token := token or _reopened(it, node))
                stood = token.scope_id
            detail: dict[str, Json] = {"step": key, "port": list(ports), **({"reason": reason} if reason else {})}
            detail |= {"scope": str(stood)} if stood else {}
            if is_in_line(it.run):
                _hold(run_id)
            made = list(Token.objects.filter(run_id=run_id, state=TokenState.READY))
            state = finish(it, actor, "step_skipped", detail, made)
            return RunState(Run.objects.values_list("state", flat=True).get(pk=run_id)) if state else state

    return patiently(change)


@patient
def preview_skip(run_id: UUID, key: str, actor: Actor, *, scope: int | None = None) -> tuple[str, ...]:
    """The ports by which control could go on without this step, the usual one first. Raises as `skip_step` does."""
    with transaction.atomic(), opened(run_id, actor) as it:
        node = any_node_of(it, key)
        usual = _ports(it.plan.steps[node], None)
        token = _standing(it, node, scope)
        if token is not None:
            _require_open(token, it.plan.steps[node].title)
        elif it.plan.steps[node].parent is not None:
            failed_inside(it, node, scope)
        else:
            _require_failed(it, node)
        return (*usual, *(port for port in it.plan.steps[node].normal_ports if port not in usual))


def _standing(it: Opened, node: int, scope: int | None) -> Token | None:
    """Where the step stands; None for one that may have failed. Raises StepInside, StepNotOpen."""
    if it.plan.steps[node].parent is not None:
        return token_inside(it, node, scope or None)
    if scope:
        raise StepNotOpen(f"Step {it.plan.steps[node].title} stands in no scope.")
    return it.scope.tokens.get(node)


def _require_open(token: Token, title: str) -> None:
    """Raises StepRunning, StepNotOpen."""
    if token.state == TokenState.LEASED:
        raise StepRunning(f"Step {title} is being worked on. Wait for its end, or cancel the run.")
    require_turn(token, title)


def _require_failed(it: Opened, node: int) -> None:
    if node not in failed_steps(it.scope) and not cut_short(it.scope, node):
        title = it.plan.steps[node].title
        raise StepNotOpen(f"Step {title} neither waits nor has failed: there is nothing to skip.")


def _ports(step: PlanStep, port: str | None) -> tuple[str, ...]:
    if step.kind == "human_task":
        message = f"Step {step.title} asks people for a decision, and nobody skips an approval. Reassign it instead."
        raise ApprovalNotSkippable(message)
    known = step.normal_ports
    chosen = port or (DEFAULT_PORT if DEFAULT_PORT in known or not known else known[0])
    if known and chosen not in known:
        listed = ", ".join(f'"{name}"' for name in known)
        raise UnknownPort(f'Success does not leave step {step.title} by "{chosen[:63]}". Choose one of {listed}.')
    return (chosen,) if known else ()


def _reopened(it: Opened, node: int) -> Token:
    """The token of a step of the top level that has failed. Raises StepNotOpen."""
    _require_failed(it, node)
    standing = it.scope.replayed(without={node})
    reopen(it, it.run.generation)
    made = it.scope.rewrite(standing, it.run.generation, again=())
    token = next((one for one in made if one.node == node), None)
    if token is None:
        title = it.plan.steps[node].title
        raise StepNotOpen(f"Step {title} lies on a path that another failed step opened. Retry that one first.")
    return token


def _require_may_end(it: Opened, token: Token, title: str) -> None:
    """Raises StepNotOpen, StepRunning, RunNotRepeatable."""
    _require_open(token, title)
    if it.run.control == "C":
        message = "It failed while it was paused, so nothing in it goes on. Retry it, or skip the step that failed."
        raise RunNotRepeatable(f"Run {it.run.pk} is to be undone. {message}")
    # It is no human task; kept as an assertion, for a skip must never close one.
    assert not HumanTask.objects.waiting().filter(token_id=token.pk).exists()


def _advance(it: Opened, token: Token, step: PlanStep, ports: tuple[str, ...], output: Json, text: str) -> None:
    """End the step by the engine's one door, as a session that lives for this transaction only."""
    session = -1 - secrets.randbits(62)  # negative: no worker had the step in hand, so an undo has nothing to take back
    leased = Token.objects.select_for_update(skip_locked=True).filter(pk=token.pk, epoch=token.epoch, state=token.state)
    if not leased:
        raise RunBusy(f"Step {step.title} is moving at this very moment. Try again.")
    now = timezone.now()
    epoch = token.epoch + 1
    Token.objects.filter(pk=token.pk).update(
        state=TokenState.LEASED,
        session_id=session,
        epoch=epoch,
        attempt=token.attempt + 1,
        verdict="",
        wake_at=None,
        ready_at=Now(),  # what follows has not waited for a worker before
        # A wait belongs to its attempt, which the skip ends.
        started_at=token.first_started_at if token.phase == 1 and token.attempt == 0 else now,
        first_started_at=token.first_started_at or now,
    )
    packed = Packed({"t": token.pk, "e": epoch, "then": "go", "o": "S", "ports": list(ports)})
    packed.put(output, "out", "oref")
    packed.item["log"] = [{"at": now.isoformat(), "level": "warning", "text": text}]
    effects = advance(it.plan, token.node, ports)
    if effects.signals:
        packed.item["sig"] = effects.flat()
    if effects.starts:
        packed.item["starts"] = starts_as_json(it.plan, effects.starts)
    for row in _call(session, packed.finished()):
        if row["status"] == "moved":
            # The token stands at the next step, in our hands: somebody else will claim it.
            _call(session, {"t": token.pk, "e": row["epoch"], "then": "back"})


def _hold(run_id: UUID) -> None:
    """What follows in a queued run waits for its slot with it."""
    Token.objects.filter(run_id=run_id, state=TokenState.READY).update(
        state=TokenState.HELD, queue_limit_id=None, epoch=F("epoch") + 1, xid=XID
    )


def _call(session: int, item: dict[str, Any]) -> list[dict[str, Any]]:
    with connection.cursor() as cursor:
        cursor.execute(statements.ADVANCE, [session, json.dumps([item])])
        names = [column.name for column in cursor.description or ()]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
