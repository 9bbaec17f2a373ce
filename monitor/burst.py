"""All database reads of one burst, in one trip to a thread. Statements count by runs and people, never by sockets."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from orchestrator.api import (
    Action,
    Actor,
    Frame,
    Lost,
    NotFound,
    Run,
    Viewer,
    dashboard,
    narrowed,
    read_changes,
    standings,
    task_counts,
    watchable,
)

COUNTS: Mapping[str, Callable[[Actor], Any]] = {"dashboard": dashboard, "tasks": task_counts}


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a room wants to know. `changed` and `joining` name from which position each run is read."""

    sockets: tuple[Any, ...]
    joining: tuple[tuple[Run, int | None, frozenset[Any]], ...] = ()
    changed: tuple[tuple[Run, int | None], ...] = ()
    counts: Mapping[str, frozenset[Any]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """What was read, in the order it was asked for. None: the run is gone."""

    standings: Mapping[Viewer, Actor | Lost]
    joining: tuple[Frame | None, ...]
    changed: tuple[tuple[Run, Frame | None], ...]
    #: Watched runs that a socket's person may not see any more.
    hidden: Mapping[Any, frozenset[UUID]]
    counts: tuple[tuple[Any, str, str], ...]


def read(asked: Asked) -> Answers:
    """Read it all: rights first, so that nothing is told to somebody who lost them before."""
    now = standings({socket.viewer for socket in asked.sockets})
    return Answers(
        standings=now,
        hidden=_hidden(asked, now),
        joining=tuple(_frame(run, after) for run, after, _ in asked.joining),
        changed=tuple((run, _frame(run, after)) for run, after in asked.changed),
        counts=tuple(_counts(asked, now)),
    )


def _frame(run: Run, after: int | None) -> Frame | None:
    try:
        return read_changes(run, after)
    except NotFound:
        return None


def _hidden(asked: Asked, now: Mapping[Viewer, Actor | Lost]) -> dict[Any, frozenset[UUID]]:
    """Approvers see the runs of their own tasks, and those can be given to others."""
    runs = {run.pk for run, _, _ in asked.joining} | {run.pk for run, _ in asked.changed}
    seen: dict[Actor, frozenset[UUID]] = {}
    hidden = {}
    for socket in asked.sockets:
        actor = now[socket.viewer]
        if runs and isinstance(actor, Actor) and narrowed(actor, Action.RUN_READ):
            if actor not in seen:
                seen[actor] = frozenset(runs - set(watchable(actor, runs)))
            hidden[socket] = seen[actor]
    return hidden


def _counts(asked: Asked, now: Mapping[Viewer, Actor | Lost]) -> Iterator[tuple[Any, str, str]]:
    texts: dict[tuple[str, Actor], str] = {}
    for what, sockets in asked.counts.items():
        for socket in sockets:
            actor = now.get(socket.viewer)
            if not isinstance(actor, Actor):
                continue
            if (what, actor) not in texts:
                texts[what, actor] = json.dumps({what: COUNTS[what](actor).as_json()}, separators=(",", ":"))
            yield socket, what, texts[what, actor]
