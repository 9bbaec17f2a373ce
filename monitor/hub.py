"""One reader for all sockets of a process: a burst of changes costs the same for one viewer as for five hundred.

Each workspace that somebody watches here has a `Room`. It hears "these runs changed" (`hearing`), reads
once what is new, and hands the text to every socket that watches. Messages may be lost, repeated or late: a room
looks again by itself, and `seq` tells exactly where each reader stands.
"""

import asyncio
import json
import time
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol
from uuid import UUID
from weakref import WeakKeyDictionary

import structlog
from channels.db import database_sync_to_async

from monitor.burst import Answers, Asked, read
from monitor.requests import COUNTS
from orchestrator.api import FINAL_RUN, Actor, Frame, Lost, News, Run, Viewer, hearing

log = structlog.get_logger(__name__)

PAUSE = 0.05  # seconds between two bursts: what comes meanwhile is read together
CHECK = 2.0  # seconds between looks at rights, when nothing else happens
LOOK_AGAIN = 10.0  # seconds after which watched runs are read without being told
PER_PERSON = 0.04  # seconds between two rounds of counts, for each person who watches them
TRY_AGAIN = 1.0  # seconds after the database or Valkey failed


class Socket(Protocol):
    """What a room knows of the other end."""

    viewer: Viewer
    actor: Actor

    def offer(self, text: str) -> None:
        """Queue a frame; a reader that is too slow is shut."""
        ...

    def shut(self, code: int) -> None: ...


@dataclass(slots=True)
class Watched:
    """A run that sockets of this process watch. `position` is where its next read starts."""

    run: Run
    sockets: set[Socket] = field(default_factory=set)
    #: Sockets that have not been told yet what they missed, and from where. They get no other frames before that: a
    #: frame's `seq` promises that everything before it was told.
    joining: dict[Socket, int | None] = field(default_factory=dict)
    position: int | None = None
    state: str = ""
    tallies: tuple[Any, ...] = ()


def nobody() -> dict[str, set[Socket]]:
    """Nobody yet, for each kind of counts."""
    return {what: set() for what in COUNTS}


class Room:
    """The sockets of one workspace in this process."""

    def __init__(self, workspace_id: int) -> None:
        self.workspace_id = workspace_id
        self.sockets: set[Socket] = set()
        self.runs: dict[UUID, Watched] = {}
        self.counts = nobody()
        self._changed: set[UUID] = set()
        self._due = nobody()
        self._counted_at = 0.0
        self._looked_at = time.monotonic()
        self._something = asyncio.Event()
        self._listening = asyncio.Event()
        self._work = [asyncio.create_task(work) for work in (self._listen(), self._serve())]

    # What sockets ask for ------------------------------------------------------------------------------------------

    async def enter(self, socket: Socket) -> None:
        """Add a socket. Returns when announcements arrive, so that no change can fall between."""
        self.sockets.add(socket)
        await self._listening.wait()

    def leave(self, socket: Socket) -> None:
        """Forget a socket and all that it watched."""
        self.sockets.discard(socket)
        for watched in list(self.runs.values()):
            self.unwatch_run(socket, watched.run.pk)
        for sockets in (*self.counts.values(), *self._due.values()):
            sockets.discard(socket)

    def watch_run(self, socket: Socket, run: Run, after: int | None) -> None:
        """Tell the socket what changed since `after` (everything without), and all that follows."""
        watched = self.runs.setdefault(run.pk, Watched(run))
        watched.sockets.discard(socket)
        watched.joining[socket] = after
        self._something.set()

    def unwatch_run(self, socket: Socket, run_id: UUID) -> None:
        """Say nothing more of this run."""
        watched = self.runs.get(run_id)
        if watched is None:
            return
        watched.sockets.discard(socket)
        watched.joining.pop(socket, None)
        if not watched.sockets and not watched.joining:
            del self.runs[run_id]

    def watch_counts(self, socket: Socket, what: str) -> None:
        """Tell the socket the counts of its person now and whenever they may have changed."""
        self.counts[what].add(socket)
        self._due[what].add(socket)
        self._something.set()

    def unwatch_counts(self, socket: Socket, what: str) -> None:
        self.counts[what].discard(socket)
        self._due[what].discard(socket)

    async def close(self) -> None:
        """End the room's work."""
        for task in self._work:
            task.cancel()
        await asyncio.gather(*self._work, return_exceptions=True)

    # What is announced ---------------------------------------------------------------------------------------------

    async def _listen(self) -> None:
        while True:
            try:
                async with hearing(self.workspace_id) as ear:
                    self._missed()
                    self._listening.set()
                    while True:
                        self._hear(await ear.next(CHECK))
            except Exception as error:  # sockets live on by looking again
                log.warning("no announcements", error=str(error)[:200])
            self._listening.set()
            self._something.set()
            await asyncio.sleep(TRY_AGAIN)

    def _hear(self, news: News | None) -> None:
        if news is not None:
            self._changed |= news.runs
            told = {"dashboard": bool(news.runs), "tasks": news.tasks, "events": news.events}
            for what, is_told in told.items():
                if is_told:
                    self._due[what] |= self.counts[what]
        self._something.set()

    def _missed(self) -> None:
        """What was told while nobody listened here is lost: look at all that is watched."""
        self._look_again()
        for what, sockets in self.counts.items():
            self._due[what] |= sockets
        self._something.set()

    def _look_again(self) -> None:
        self._looked_at = time.monotonic()
        self._changed.update(run.run.pk for run in self.runs.values() if run.state not in FINAL_RUN)

    # What is read and told -----------------------------------------------------------------------------------------

    async def _serve(self) -> None:
        while True:
            await self._something.wait()
            self._something.clear()
            asked = self._take()
            try:
                answers = await database_sync_to_async(read)(asked)
            except Exception as error:
                log.warning("sockets wait for the database", error=str(error)[:200])
                self._put_back(asked)
                await asyncio.sleep(TRY_AGAIN)
                continue
            self._tell(asked, answers)
            await asyncio.sleep(PAUSE)

    def _take(self) -> Asked:
        """All that is to be read now."""
        now = time.monotonic()
        if now > self._looked_at + LOOK_AGAIN:
            self._look_again()
        changed, self._changed = self._changed, set()
        return Asked(
            sockets=tuple(self.sockets),
            joining=tuple(self._joining()),
            changed=tuple(
                (watched.run, watched.position)
                for run_id in changed
                if (watched := self.runs.get(run_id)) and watched.position is not None
            ),
            counts=self._take_counts(now),
        )

    def _joining(self) -> Iterator[tuple[Run, int | None, frozenset[Socket]]]:
        """Those who join at the same position are told the same."""
        for watched in self.runs.values():
            for after in set(watched.joining.values()):
                yield watched.run, after, frozenset(one for one, at in watched.joining.items() if at == after)

    def _take_counts(self, now: float) -> dict[str, frozenset[Socket]]:
        """Counts are a person's own, so they cost by the person: the more of them, the less often."""
        people = {socket.actor.user_id for sockets in self._due.values() for socket in sockets}
        if not people:
            return {}
        if now < self._counted_at + len(people) * PER_PERSON:
            asyncio.get_running_loop().call_later(len(people) * PER_PERSON, self._something.set)
            return {}
        self._counted_at = now
        due, self._due = self._due, nobody()
        return {what: frozenset(sockets) for what, sockets in due.items() if sockets}

    def _put_back(self, asked: Asked) -> None:
        self._changed.update(run.pk for run, _ in asked.changed)
        for what, sockets in asked.counts.items():
            self._due[what] |= sockets & self.counts[what]
        self._something.set()

    def _tell(self, asked: Asked, answers: Answers) -> None:
        for socket in asked.sockets:
            self._settle(socket, answers)
        for run, frame in answers.changed:
            self._tell_change(run, frame, answers.shown.get(run.pk, frozenset()))
        for (run, after, sockets), frame in zip(asked.joining, answers.joining, strict=True):
            self._tell_joining(run, after, frame, sockets, answers.shown.get(run.pk, frozenset()))
        for socket, what, text in answers.counts:
            if socket in self.counts[what]:
                socket.offer(text)

    def _settle(self, socket: Socket, answers: Answers) -> None:
        """Take over the rights that the viewer has now."""
        standing = answers.standings.get(socket.viewer)
        if isinstance(standing, Lost):
            self.leave(socket)
            socket.shut(standing)
        elif standing is not None:
            socket.actor = standing
        for run_id in answers.hidden.get(socket, ()):
            self.unwatch_run(socket, run_id)

    def _tell_change(self, run: Run, frame: Frame | None, shown: Collection[Socket]) -> None:
        watched = self.runs.get(run.pk)
        if watched is None or frame is None:
            return
        news = bool(frame.changes) or frame.state != watched.state or frame.tallies != watched.tallies
        watched.position, watched.state, watched.tallies = frame.seq, frame.state, frame.tallies
        if news:
            offer(watched.sockets, frame, shown)

    def _tell_joining(
        self, run: Run, after: int | None, frame: Frame | None, sockets: Iterable[Socket], shown: Collection[Socket]
    ) -> None:
        watched = self.runs.get(run.pk)
        if watched is None or frame is None:
            return
        if watched.position is None:
            watched.position, watched.state = frame.seq, frame.state
        # Not those who left meanwhile, nor those who asked again for another position.
        told = [one for one in sockets if one in watched.joining and watched.joining[one] == after]
        for socket in told:
            del watched.joining[socket]
        watched.sockets.update(told)
        offer(told, frame, shown)


def offer(sockets: Iterable[Socket], frame: Frame, shown: Collection[Socket]) -> None:
    """Hand the frame to sockets: written once for all of them, and once more for those who may read the run's data."""
    text = _text(frame, shown=False)
    with_data = text if frame.changes_with_data is None else _text(frame, shown=True)
    for socket in list(sockets):
        socket.offer(with_data if socket in shown else text)


def _text(frame: Frame, *, shown: bool) -> str:
    return json.dumps(frame.as_json(shown=shown), ensure_ascii=False, separators=(",", ":"))


class Hub:
    """The rooms of one event loop."""

    def __init__(self) -> None:
        self._rooms: dict[int, Room] = {}

    async def enter(self, workspace_id: int, socket: Socket) -> Room:
        """Open the workspace's room if need be, and enter it."""
        room = self._rooms.get(workspace_id)
        if room is None:
            room = self._rooms[workspace_id] = Room(workspace_id)
        await room.enter(socket)
        return room

    async def leave(self, room: Room, socket: Socket) -> None:
        """Leave; the last one closes the room."""
        room.leave(socket)
        if not room.sockets and self._rooms.get(room.workspace_id) is room:
            del self._rooms[room.workspace_id]
            await room.close()


_hubs: "WeakKeyDictionary[asyncio.AbstractEventLoop, Hub]" = WeakKeyDictionary()


def hub() -> Hub:
    """The hub of the running event loop."""
    return _hubs.setdefault(asyncio.get_running_loop(), Hub())
