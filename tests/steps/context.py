"""A step context without an engine: what a handler asks for is recorded, what it gets is given."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from orchestrator.core.json_types import Json
from orchestrator.core.kinds import HttpAnswer
from orchestrator.engine.sandbox import Sandbox

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


@dataclass
class Lines:
    """Collects the log."""

    lines: list[str] = field(default_factory=list)

    def info(self, text: str) -> None:
        self.lines.append(text)

    warning = info
    error = info


@dataclass
class Sent:
    """A mailer that keeps the messages, or raises."""

    messages: list[dict[str, object]] = field(default_factory=list)
    raises: Exception | None = None

    def send(self, *, to: tuple[str, ...], subject: str, text: str, html: str | None) -> str:
        if self.raises:
            raise self.raises
        self.messages.append({"to": to, "subject": subject, "text": text, "html": html})
        return f"<{len(self.messages)}@test>"


@dataclass
class Requests:
    """An HTTP client that keeps the requests and gives one answer, or raises."""

    answer: HttpAnswer = field(default_factory=lambda: HttpAnswer(status=200, headers={}, body=b""))
    raises: Exception | None = None
    made: list[dict[str, object]] = field(default_factory=list)

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        content: bytes | None,
        timeout: float,
        limit: int = 5_000_000,
    ) -> HttpAnswer:
        self.made.append({"method": method, "url": url, "headers": dict(headers), "content": content})
        if self.raises:
            raise self.raises
        return self.answer


class NoSandbox:
    """For kinds that evaluate nothing."""

    def expression(self, source: str, roots: Mapping[str, Json]) -> Json:
        raise AssertionError("nothing should be evaluated")

    def script(self, source: str, roots: Mapping[str, Json], *, seconds: float, log: Callable[[str], None]) -> Json:
        raise AssertionError("nothing should be run")


@dataclass
class Context:
    """Everything `core.kinds.StepContext` promises."""

    roots: Mapping[str, Json] = field(default_factory=dict)
    sandbox: Sandbox | NoSandbox = field(default_factory=NoSandbox)
    log: Lines = field(default_factory=Lines)
    mail: Sent = field(default_factory=Sent)
    http: Requests = field(default_factory=Requests)
    run_id: str = "run-1"
    step_key: str = "step"
    step_title: str = '"step"'
    attempt: int = 1
    idempotency_key: str = "key-1"
    now: datetime = NOW
    timeout: float = 5.0

    def cancelled(self) -> bool:
        return False
