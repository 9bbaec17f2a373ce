"""One executable document: what is put in, what people do meanwhile, and what must have happened in the end."""

from dataclasses import dataclass, field
from typing import Any

from tests.engine.drawings import document, step

#: What a test expects of an output that it does not look at.
ANY = object()


@dataclass(frozen=True)
class Ran:
    """Wait until a step has succeeded, so many times."""

    key: str
    times: int = 1


@dataclass(frozen=True)
class Opened:
    """Wait until exactly so many human tasks are open at once."""

    tasks: int


@dataclass(frozen=True)
class Decide:
    """Answer the oldest open task of a step."""

    key: str


@dataclass(frozen=True)
class InTurn:
    """Answer so many tasks of whatever steps, of which never more than one may be open."""

    tasks: int


@dataclass(frozen=True)
class CancelRun:
    """An operator cancels the run."""


@dataclass(frozen=True)
class Awaiting:
    """Wait until exactly so many steps wait for an event."""

    steps: int


@dataclass(frozen=True)
class Publish:
    """An event comes from outside."""

    type: str
    data: Any = None
    key: str = ""


Act = Ran | Opened | Decide | InTurn | CancelRun | Awaiting | Publish


@dataclass(frozen=True, kw_only=True)
class Pattern:
    """`ran`: how often each step succeeded, every other one never. `cancelled`: the steps that were cancelled.

    `order`: "a < b" (a ended before b began), "a 1 < b 2" (the first time of a, the second of b).
    `ends`: the same of two ends (a ended before b ended), of steps that wait from their beginning on.
    `apart`: groups of steps; while one is at work, from its first to its last step, no other is.
    `direct`: the drawing says it; otherwise it is a workaround.
    """

    number: int
    name: str
    document: dict[str, Any]
    ran: dict[str, int]
    direct: bool = True
    input: dict[str, Any] = field(default_factory=dict)
    acts: tuple[Act, ...] = ()
    state: str = "succeeded"
    output: Any = ANY
    cancelled: dict[str, int] = field(default_factory=dict)
    order: tuple[str, ...] = ()
    ends: tuple[str, ...] = ()
    apart: tuple[tuple[str, ...], ...] = ()

    @property
    def slug(self) -> str:
        """Its name as a workflow."""
        return f"p{self.number:02}-{self.name}"


def drawn(*steps: dict[str, Any], lines: tuple[str, ...] = (), **more: Any) -> dict[str, Any]:
    """A document of these steps and edges (see `tests.engine.drawings.edges`)."""
    return document(list(steps), *lines, **more)


def task(key: str, **more: Any) -> dict[str, Any]:
    """A step that waits until somebody answers (port "done")."""
    return step(key, "human_task", config={"title": key.capitalize(), "outcomes": [{"key": "done"}]}, **more)


def value(key: str, expression: str, **more: Any) -> dict[str, Any]:
    """A step that gives what an expression says."""
    return step(key, config={"value": {"$": expression}}, **more)


def choose(key: str, mode: str = "exclusive", **cases: str) -> dict[str, Any]:
    """A choice: each port with its condition."""
    listed = [{"port": port, "when": {"$": condition}} for port, condition in cases.items()]
    return step(key, "choose", config={"mode": mode, "cases": listed})


def joined(key: str, mode: str, kind: str = "merge", **join: Any) -> dict[str, Any]:
    """A step at which branches meet."""
    more = {name: join.pop(name) for name in ("parent", "config") if name in join}
    return step(key, kind, join={"mode": mode, **join}, **more)
