"""What a handler is given: the step context of one attempt."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from orchestrator.core.json_types import Json
from orchestrator.core.kinds import Evaluator, HttpClient, Mailer
from orchestrator.engine.lease import Lease

LONGEST_LINE = 16_000  # characters
MOST_LINES = 200


@dataclass(slots=True)
class StepLogger:
    """Collects an attempt's lines; they are stored with it."""

    lines: list[dict[str, Json]] = field(default_factory=list)

    def info(self, text: str) -> None:
        self._add("info", text)

    def warning(self, text: str) -> None:
        self._add("warning", text)

    def error(self, text: str) -> None:
        self._add("error", text)

    def _add(self, level: str, text: str) -> None:
        if len(self.lines) < MOST_LINES:
            # PostgreSQL's jsonb takes neither NUL nor half of a surrogate pair.
            clean = str(text)[:LONGEST_LINE].replace("\x00", "\N{SYMBOL FOR NULL}").encode("utf-8", "replace").decode()
            self.lines.append({"at": datetime.now(UTC).isoformat(), "level": level, "text": clean})


class StopSign:
    """Set once and looked at from time to time. Nobody waits for it, so it needs none of an event's locks."""

    __slots__ = ("_is_set",)

    def __init__(self) -> None:
        self._is_set = False

    def set(self) -> None:
        self._is_set = True

    def is_set(self) -> bool:
        return self._is_set


@dataclass(slots=True, kw_only=True)
class AttemptContext:
    """One attempt's `StepContext`."""

    lease: Lease
    step_key: str
    step_title: str
    timeout: float
    roots: Mapping[str, Json]
    http: HttpClient
    mail: Mailer
    sandbox: Evaluator
    stop: StopSign
    log: StepLogger = field(default_factory=StepLogger)

    @property
    def run_id(self) -> str:
        return str(self.lease.run.run_id)

    @property
    def attempt(self) -> int:
        return self.lease.attempt

    @property
    def idempotency_key(self) -> str:
        return self.lease.idempotency_key

    @property
    def now(self) -> datetime:
        return self.lease.started_at

    def note(self, error: BaseException) -> None:
        """Keep what a handler raised with the attempt."""
        self.log.error(f"{type(error).__name__}: {error}")  # noqa: G004  not the logging module: lines are kept as text

    def cancelled(self) -> bool:
        return self.stop.is_set()
