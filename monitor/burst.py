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
    data_readable,
    event_counts,
    narrowed,
    read_changes,
    standings,
    task_counts,
    watchable,
)

COUNTS: Mapping[str, Callable[[Actor], Any]] = {"dashboard": dashboard, "tasks": task_counts, "events": event_counts}


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
    #: Runs whose frames say more to those who may read the run's data: the sockets that are told it.
    shown: Mapping[UUID, frozenset[Any]] = field(default_factory=dict)


def read(asked: Asked) -> Answers:
    """Read it all: rights first, so that nothing is told to somebody who lost them before."""
    now = standings({socket.viewer for socket in asked.sockets})
    joining = tuple(_frame(run, after) for run, after, _ in asked.joining)
    changed = tuple((run, _frame(run, after)) for run, after in asked.changed)
    return Answers(
        standings=now,
        hidden=_hidden(asked, now),
        joining=joining,
        changed=changed,
        shown=_shown(asked, now, (*joining, *(frame for _, frame in changed))),
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


def _shown(
    asked: Asked, now: Mapping[Viewer, Actor | Lost], frames: tuple[Frame | None, ...]
) -> dict[UUID, frozenset[Any]]:
    telling = {frame.run_id for frame in frames if frame is not None and frame.changes_with_data is not None}
    seen: dict[Actor, frozenset[UUID]] = {}
    shown: dict[UUID, set[Any]] = {run_id: set() for run_id in telling}
    for socket in asked.sockets if telling else ():
        actor = now[socket.viewer]
        if isinstance(actor, Actor):
            if actor not in seen:
                seen[actor] = data_readable(actor, telling)
            for run_id in seen[actor]:
                shown[run_id].add(socket)
    return {run_id: frozenset(sockets) for run_id, sockets in shown.items()}


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
