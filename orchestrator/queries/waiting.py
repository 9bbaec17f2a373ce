"""The line "Waiting because ...": pure functions from what the database said to what people read."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, cast

from orchestrator.core.approval import Ballot, assigned_text
from orchestrator.queries.step_run import Waiting, WaitingKind
from orchestrator.queries.topics import key_of

#: A ready step is not reported before a worker had this long (seconds) to take it.
PATIENCE = 5


def for_person(task: Mapping[str, Any], due: datetime | None) -> Waiting:
    """Who must answer: the one who took the task, else all who may."""
    if task["claimed_by"]:
        return Waiting(kind="person", text=f"Waiting for {task['claimed_by']}, who took the task", until=due)
    named = Ballot(users=frozenset(task["users"]), roles=frozenset(task["roles"]), groups=frozenset(task["groups"]))
    return Waiting(kind="person", text=f"Waiting for {assigned_text(named)}", until=due)


def for_retry(*, attempt: int, attempts_max: int, until: datetime | None, now: datetime) -> Waiting:
    """Which try comes next, and when."""
    when = f" at {clock(until, now)}" if until else ""
    return Waiting(kind="retry", text=f"Retry {attempt + 1} of {attempts_max}{when}", until=until)


def for_time(until: datetime | None, now: datetime) -> Waiting:
    when = f" until {clock(until, now)}" if until else ""
    return Waiting(kind="time", text=f"Waiting{when}", until=until)


def for_signal(waiting: Mapping[str, Any], until: datetime | None, *, shown: bool) -> Waiting:
    """An event or a child run: the handler said what it waits for. `shown`: the event's key, which is run data, too."""
    kind = cast("WaitingKind", waiting.get("kind") or "event")
    text = waiting.get("text") or f"Waiting for a {kind}"
    key = key_of(waiting.get("topic") or "") if shown else None
    return Waiting(kind=kind, text=text if key is None else f"{text} with key {key}", until=until)


def for_branches(gate: Mapping[str, int], until: datetime | None, now: datetime) -> Waiting:
    """A join that some branches have reached. Skipped branches are not waited for."""
    coming = gate["size"] - gate["skip"]
    needed = f", {gate['need']} are needed" if 0 < gate["need"] < gate["size"] else ""
    failed = f", {gate['fail']} failed" if gate["fail"] else ""
    when = f", until {clock(until, now)}" if until else ""
    return Waiting(kind="branch", text=f"{gate['ok']} of {coming} branches arrived{needed}{failed}{when}", until=until)


def for_turn() -> Waiting:
    """A step behind one that an operator has run again."""
    return Waiting(kind="branch", text="Runs again when control reaches it")


def for_worker(queue: str) -> Waiting:
    return Waiting(kind="worker", text=f"No worker serves the queue {queue}")


def for_resume(paused_by: str | None) -> Waiting:
    return Waiting(kind="paused", text=f"Paused by {paused_by}" if paused_by else "Paused")


def for_slot(told: Mapping[str, Any], *, shown: bool) -> Waiting:
    """A run that its workflow's limit has queued. `shown`: the key of the limit, which is run data, too."""
    of_key = (f" with key {told['key']}" if shown else " with the same key") if told["key"] else ""
    return Waiting(kind="limit", text=f"{told['open']} of {told['limit']} runs of this workflow{of_key} are open")


def for_turn_in_queue(queue: str, told: Mapping[str, Any], until: datetime | None, now: datetime) -> Waiting:
    """A step in the line of a queue that the workspace limits."""
    if told["line"] == "T" and until is not None:
        text = f"The queue {queue} starts {told['starts']} {per(told['period'])}, the next at {clock(until, now)}"
        return Waiting(kind="limit", text=text, until=until)
    if told["line"] == "F":
        most = told["concurrency"]
        are = "step is" if most == 1 else "steps are"
        return Waiting(kind="limit", text=f"{most} of {most} {are} at work on the queue {queue}")
    return Waiting(kind="limit", text=f"In line on the queue {queue}")


def per(seconds: float) -> str:
    """A period as people say it: "per minute", or "in 90 seconds"."""
    units = {1: "second", 60: "minute", 3_600: "hour", 86_400: "day"}
    return f"per {units[int(seconds)]}" if seconds in units else f"in {seconds:g} seconds"


def clock(moment: datetime, now: datetime) -> str:
    """A time of today by its clock, any other with its date."""
    pattern = "%H:%M:%S UTC" if moment.date() == now.date() else "%d %b %Y %H:%M UTC"
    return moment.strftime(pattern)
