"""One attempt, up to the handler: read what it needs, evaluate its config, and ask the kind to act."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from orchestrator.core.document import FOR_EACH, SUB_WORKFLOW
from orchestrator.core.errors import BranchlineError, ConfigInvalid, ExpressionFailed
from orchestrator.core.item_outputs import shown_items
from orchestrator.core.json_types import Json, JsonObject
from orchestrator.core.kinds import Evaluator, HttpAnswer, HttpClient, Kinds, Mailer, Resumed, StepKind
from orchestrator.core.outcome import Done, Fail, Outcome, Retry, StepFault, TimedOut, UndoChild
from orchestrator.core.plan import opens_more
from orchestrator.engine.context import AttemptContext, StopSign
from orchestrator.engine.inside import Inside, Insides
from orchestrator.engine.lease import Lease
from orchestrator.engine.plans import VersionFacts
from orchestrator.engine.sandbox import evaluate_value


@dataclass(frozen=True, slots=True, kw_only=True)
class Tools:
    """What the composition root hands to the engine."""

    kinds: Kinds
    sandbox: Evaluator
    mail: Mailer
    http_for: Callable[[int], HttpClient]


class NoHttp:
    """The client of a handler in a thread: requests are made on the event loop only."""

    async def request(self, method: str, url: str, **_: Any) -> HttpAnswer:
        raise RuntimeError(f"{method} {url[:200]} was asked for in a thread. Make the step's kind asynchronous.")


NO_HTTP = NoHttp()


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """An attempt that is ready for its handler."""

    kind: StepKind
    config: JsonObject
    model: Any
    context: AttemptContext
    inside: Inside = (None, None)
    #: What a step that waited for an event is resumed with.
    event: Json = None

    @property
    def is_async(self) -> bool:
        """Whether the handler runs on the event loop."""
        return self.kind.is_async(self.config)

    def call(self) -> Any:
        """Ask the handler: an outcome, or an awaitable of one."""
        lease = self.context.lease
        if lease.phase == 0:
            return self.kind.run(self.model, self.context)
        waiting = lease.waiting or {}
        body, fault = self.inside
        resumed = Resumed(
            signal=lease.signal if self.event is None else {"event": self.event},
            memo=waiting.get("memo"),
            waited_since=lease.started_at,
            now=lease.started_at,
            body=body,
            fault=fault,
        )
        return self.kind.resume(self.model, self.context, resumed)


def prepare(tools: Tools, insides: Insides, facts: VersionFacts, lease: Lease, stop: StopSign) -> Prepared | Outcome:
    """Everything before the handler. An outcome instead means that no handler is to be called."""
    step = facts.plan.step(lease.node)
    early = _verdict(lease, step.name, step.timeout) or insides.unwanted(facts.plan, lease)
    if early is not None:
        return early
    if step.disabled:
        return Done(None)
    if lease.node < 0 and step.kind == SUB_WORKFLOW:
        return _undo_child(lease)
    kind = tools.kinds.get(step.kind)
    if kind is None:
        return Fail(_unknown_kind(step.kind))
    try:
        values = insides.roots.of_step(facts, lease, kind.reads)
        config: Json = step.config
        if step.has_expressions:
            streamed = ("items",) if step.kind == FOR_EACH else ()
            config = evaluate_value(step.config, values, tools.sandbox, lazy=kind.lazy, streamed=streamed)
        assert isinstance(config, Mapping)  # an object goes in, and only its values are evaluated
        model = kind.build(config)
    except (ExpressionFailed, ConfigInvalid) as error:
        return refused(error)
    context = AttemptContext(
        lease=lease,
        step_key=step.key,
        step_title=step.title,
        timeout=step.timeout,
        roots=values,
        # Reading which hosts are allowed may open a connection: only for handlers that can use the client.
        http=tools.http_for(lease.run.workspace_id) if kind.is_async(config) else NO_HTTP,
        mail=tools.mail,
        sandbox=tools.sandbox,
        stop=stop,
    )
    inside = insides.of(facts, lease) if lease.phase == 1 and opens_more(kind) else (None, None)
    event = insides.event(lease) if lease.phase == 1 else None
    if step.kind == FOR_EACH:
        config = shown_items(config)
    return Prepared(kind=kind, config=config, model=model, context=context, inside=inside, event=event)


def _undo_child(lease: Lease) -> Outcome:
    if lease.signal is None:
        return UndoChild()
    if lease.signal["state"] == "undone":
        return UndoChild() if (lease.waiting or {}).get("more") else Done(None)
    message = f"The sub-workflow's run {lease.signal['run']} could not be undone. Settle its undo, then retry this one."
    return Fail(StepFault(code="child_undo_stuck", message=message, details={"run": lease.signal["run"]}))


def fault_of(error: BranchlineError) -> StepFault:
    """A named error as a step's fault."""
    return StepFault(code=error.error_code, message=error.message, details=error.details)


def refused(error: BranchlineError) -> Outcome:
    """A named error as an outcome: final, unless it may pass."""
    fault = fault_of(error)
    return Retry(fault) if isinstance(error, ExpressionFailed) and error.is_passing else Fail(fault)


def unexpected(error: BaseException) -> Outcome:
    """A handler raised something that has no name here: it counts as passing, until the budget is spent."""
    if isinstance(error, BranchlineError):
        return refused(error)
    return Retry(StepFault(code="handler_error", message=f"{type(error).__name__}: {error}"[:2_000]))


def too_slow(name: str, seconds: float) -> TimedOut:
    """The attempt ran past its time."""
    return TimedOut(StepFault(code="timeout", message=f'Step "{name}" took longer than {seconds:g} s.'))


def _verdict(lease: Lease, name: str, seconds: float) -> Outcome | None:
    if lease.verdict == "T":
        return too_slow(name, seconds)
    if lease.verdict == "U":
        message = f'Step "{name}" lost its worker {lease.lost} times. It may be what kills them; it may have acted.'
        return Fail(StepFault(code="worker_lost", message=message))
    return None


def _unknown_kind(kind: str) -> StepFault:
    message = f'No step kind "{kind}" is installed on this worker. Install it, then retry the run.'
    return StepFault(code="unknown_kind", message=message)
