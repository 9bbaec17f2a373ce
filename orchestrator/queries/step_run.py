"""One step's life inside a run, as readers get it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from orchestrator.core.json_types import Json
from orchestrator.core.states import StepRunState

WaitingKind = Literal[
    "person", "event", "time", "retry", "branch", "worker", "paused", "child", "lock", "limit", "undo"
]


def rfc3339(moment: datetime | None) -> str | None:
    """The moment as the API writes it (aware times are kept in UTC)."""
    return None if moment is None else moment.isoformat().replace("+00:00", "Z")


def rfc3339_text(text: str | None) -> str | None:
    """The same for a moment as PostgreSQL writes it in UTC: "2026-01-05 09:00:00.5+00"."""
    return None if text is None else f"{text[:10]}T{text[11:-3]}Z"


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """Why a step does not move, in one line; `until` is the clock that ends the wait by itself."""

    kind: WaitingKind
    text: str
    until: datetime | None = None

    def as_json(self) -> dict[str, Json]:
        return {"kind": self.kind, "text": self.text, "until": rfc3339(self.until)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a for-each is: its items, and those that have ended."""

    total: int
    ok: int
    failed: int

    @property
    def done(self) -> int:
        """The items that have ended, well or not."""
        return self.ok + self.failed

    @property
    def text(self) -> str:
        """For people, in one line."""
        failed = f", {self.failed:,} failed" if self.failed else ""
        return f"{self.done:,} of {self.total:,} done{failed}"

    def as_json(self) -> dict[str, Json]:
        return {"total": self.total, "ok": self.ok, "failed": self.failed}


#: The form of a step run of which there is nothing to say but how it stands.
UNREMARKABLE: Mapping[str, Json] = {"port": None, "error": None, "waiting": None, "progress": None}


@dataclass(frozen=True, slots=True, kw_only=True)
class StepRun:
    """A step run at one moment. `scope` is None outside containers; `ports` the ways by which control left it."""

    key: str
    scope: str | None = None
    state: StepRunState
    attempt: int = 0
    attempts_max: int = 1
    started_at: datetime | None = None
    finished_at: datetime | None = None
    ports: tuple[str, ...] | None = None
    error_code: str | None = None
    error_message: str = ""
    waiting: Waiting | None = None
    #: Of a for-each that has begun.
    progress: Progress | None = None

    def as_json(self) -> dict[str, Json]:
        """The StepRunView of the API and of socket frames."""
        return {
            **UNREMARKABLE,
            "key": self.key,
            "scope": self.scope,
            "state": str(self.state),
            "attempt": self.attempt,
            "attempts_max": self.attempts_max,
            "started_at": rfc3339(self.started_at),
            "finished_at": rfc3339(self.finished_at),
            "port": None if self.ports is None else list(self.ports),
            "error": {"code": self.error_code, "message": self.error_message} if self.error_code else None,
            "waiting": self.waiting.as_json() if self.waiting else None,
            "progress": self.progress.as_json() if self.progress else None,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class StepRuns:
    """Step runs of one run and the position from which later changes can be asked for."""

    seq: int
    run_state: str
    run_error: Json = None
    items: tuple[StepRun, ...] = ()
