"""What the validator, the engine and the pages must know of a step kind, and what a handler is given."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, Protocol

from orchestrator.core.json_types import Json, JsonObject
from orchestrator.core.outcome import Outcome, StepFault
from orchestrator.core.problem import Severity

Group = Literal["do", "flow", "wait", "tell"]
Effects = Literal["none", "external"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigProblem:
    """One thing wrong in a config. `path` is dotted from the config's root ("fields.2.key").

    `repair` is what to put there instead: what the offer is called, and the value.
    """

    code: str
    message: str
    path: str
    severity: Severity = "error"
    repair: tuple[str, Json] | None = None


class Logger(Protocol):
    """Collects the lines a step writes; they are stored with the attempt (cut at 16 kB a line, 200 lines)."""

    def info(self, text: str) -> None: ...
    def warning(self, text: str) -> None: ...
    def error(self, text: str) -> None: ...


class HttpClient(Protocol):
    """HTTP through the egress gate (`engine.egress`). `limit` is bytes of decoded body, `timeout` seconds in all."""

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        content: bytes | None,
        timeout: float,
        limit: int = 5_000_000,
    ) -> "HttpAnswer": ...


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpAnswer:
    """A whole answer, body already decoded and within the limit."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Mailer(Protocol):
    """Sends one message by the configured backend."""

    def send(self, *, to: tuple[str, ...], subject: str, text: str, html: str | None) -> str:
        """Send, return the Message-ID. Raises `ValueError` for a header with a line break."""
        ...


class Evaluator(Protocol):
    """The sandbox. Raises `orchestrator.core.errors.ExpressionFailed`."""

    def expression(self, source: str, roots: Mapping[str, Json]) -> Json: ...
    def script(self, source: str, roots: Mapping[str, Json], *, seconds: float, log: Callable[[str], None]) -> Json: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Resumed:
    """Why a waiting step goes on: its clock ran out, or a signal (a decision, an event, the end of a body) arrived.

    `body` is what the steps inside a container gave, or a child run; `fault` why they failed.
    """

    signal: JsonObject | None
    memo: Json
    waited_since: datetime
    now: datetime
    body: Json = None
    fault: StepFault | None = None


class StepContext(Protocol):
    """All that a handler may touch. It imports neither models nor settings."""

    @property
    def run_id(self) -> str: ...
    @property
    def step_key(self) -> str: ...
    @property
    def step_title(self) -> str:
        """How messages name the step, quotes included."""
        ...

    @property
    def attempt(self) -> int: ...
    @property
    def idempotency_key(self) -> str:
        """Stable over retries and takeovers of this step; new when a success is repeated on purpose."""
        ...

    @property
    def now(self) -> datetime:
        """The attempt's start by the database clock."""
        ...

    @property
    def timeout(self) -> float: ...
    @property
    def roots(self) -> Mapping[str, Json]:
        """input, steps, errors, run, ... : what expressions may read here."""
        ...

    @property
    def log(self) -> Logger: ...
    @property
    def http(self) -> HttpClient: ...
    @property
    def mail(self) -> Mailer: ...
    @property
    def sandbox(self) -> Evaluator: ...
    def cancelled(self) -> bool:
        """True once the run is being cancelled or this attempt was taken away: stop politely."""
        ...


class StepKind(Protocol):
    """One step kind. `run`/`resume` may be `async def` (a task on the event loop) or `def` (a thread of the slot).

    `config` reaches `run` as the validated pydantic model of the kind, every expression already evaluated,
    except paths listed in `lazy` ("cases.*.when"), which the handler evaluates itself through `context.sandbox`.
    """

    kind: str
    group: Group
    name: str
    description: str
    icon: str
    effects: Effects
    ports_from: str | None
    #: The config field without which the step has no port `timeout`; None where no field decides that.
    timeout_from: str | None
    #: Field of the config -> roots that its expression reads besides; they are there only when `run` evaluates it.
    field_roots: Mapping[str, tuple[str, ...]]
    lazy: tuple[str, ...]
    default_timeout: float
    #: Roots that `run` always reads itself ("join"): they are read before it, where that costs the step no attempt.
    reads: tuple[str, ...]
    #: Whether `resume` answers by the signal and the config alone: asked again, it answers the same.
    resumes_alike: bool
    #: What the steps inside may read besides ("item", "index"); None for a kind that holds no steps.
    inside: tuple[str, ...] | None

    def effects_of(self, config: JsonObject) -> Effects:
        """What a step with this raw config does to the world: with "none" it may run again, or ahead of a commit."""
        ...

    def is_async(self, config: JsonObject) -> bool:
        """Whether `run` with this config must be awaited."""
        ...

    def ports(self, config: JsonObject) -> tuple[str, ...]:
        """All ports of a step with this raw config, failure ports included."""
        ...

    def check(self, config: JsonObject) -> list[ConfigProblem]:
        """Everything wrong with a raw config (values may be expressions)."""
        ...

    def schema(self) -> JsonObject:
        """JSON Schema of the config with `x-ui`."""
        ...

    def build(self, config: JsonObject) -> Any:
        """Validate an evaluated config. Raises `orchestrator.core.errors.ConfigInvalid`."""
        ...

    def run(self, config: Any, context: StepContext) -> Any:
        """-> Outcome, or an awaitable of it."""
        ...

    def resume(self, config: Any, context: StepContext, resumed: Resumed) -> Any:
        """-> Outcome, or an awaitable of it; only kinds that return `Wait` are asked."""
        ...


Kinds = Mapping[str, StepKind]
__all__ = [
    "ConfigProblem",
    "Effects",
    "Evaluator",
    "Group",
    "HttpAnswer",
    "HttpClient",
    "Kinds",
    "Logger",
    "Mailer",
    "Outcome",
    "Resumed",
    "StepContext",
    "StepKind",
]
