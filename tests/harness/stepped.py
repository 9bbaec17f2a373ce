"""The product's worker without its threads: every claim, step and commit happens when the harness says so."""

import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from contextvars import copy_context
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from unittest.mock import patch
from uuid import UUID

import psycopg

from orchestrator.core.outcome import Outcome
from orchestrator.engine import statements
from orchestrator.engine.attempt import Attempt
from orchestrator.engine.committer import Committer, Heard, Item, _Entry
from orchestrator.engine.database import Row
from orchestrator.engine.identity import new_session_id
from orchestrator.engine.lease import LANE, Lease
from orchestrator.engine.perform import Prepared, Tools
from orchestrator.engine.worker import Worker
from tests.engine.house import NoHttp, NoMail
from tests.harness.drawings import KINDS
from tests.harness.faults import KILLS, LOSES, Blow, Killed

if TYPE_CHECKING:
    from tests.harness.world import World

SLOTS = 4


def session_of(name: str) -> int:
    """The session of a process that is started under `name`: the product's random one, whatever the name."""
    return new_session_id()


WORKER = "orchestrator.engine.worker"


class Silent:
    """Stands where a herald stands: nobody is told anything, so nothing may depend on it."""

    def __init__(self, *_: Any) -> None: ...

    def ready(self, queues: Any, **_: Any) -> None: ...

    def changed(self, *_: Any, **__: Any) -> None: ...

    def stop(self) -> None: ...


class InHand:
    """Stands where slots stand: work begins at once, which only puts the attempt into the worker's hands."""

    def __init__(self, size: int, freed: Callable[[], None], crowded: Callable[[], None]) -> None:
        self.size = size

    @property
    def room(self) -> int:
        return SLOTS

    def submit(self, work: Callable[[], None], withdrawn: Callable[[], None] | None = None) -> None:
        # As a slot's thread does: what lines and requests are about ends with the work.
        copy_context().run(work)

    def give_up(self, thread_id: int) -> None: ...

    def stop(self) -> None: ...


class Stepped(Committer):
    """A committer without its thread: what nobody waits for is committed with the next call, or by `flush`."""

    def submit(self, item: Item, heard: Heard) -> None:
        self._waiting.append(_Entry(item, heard))

    def flush(self) -> None:
        while self._lead(lambda: not self._waiting):
            pass


class Arrivals(deque[Any]):
    """The committer's queue; `one` counts who has come."""

    def __init__(self) -> None:
        super().__init__()
        self.one = threading.Semaphore(0)

    def append(self, item: Any) -> None:
        super().append(item)
        self.one.release()


@dataclass(eq=False, slots=True)
class Held:
    """An attempt in a worker's hands; `ended` once its handler has been asked."""

    attempt: Attempt
    ended: tuple[Outcome | None, Prepared | None] | None = None

    @property
    def is_lane(self) -> bool:
        """Whether it goes through items of a for-each."""
        return self.attempt.lease.phase == LANE


class Wire:
    """One connection of one process as the committer sees it. What happens to the next call is decided outside."""

    def __init__(self, process: "Process") -> None:
        self.process = process
        self.closed = self.broken = False

    def execute(self, statement: str, arguments: Any) -> "Answer":
        return Answer(self.process.world.ask(statement, arguments))

    def ask(self, statement: str, arguments: Any) -> list[Row]:
        return self._call(statement, *arguments)

    def close(self) -> None:
        self.closed = True

    def _call(self, statement: str, session_id: int, text: str) -> list[Row]:
        world = self.process.world
        blow, self.process.blow = self.process.blow, Blow.NONE
        if blow is Blow.KILLED_BEFORE:
            raise Killed
        if blow is Blow.ROLLED_BACK:
            raise psycopg.errors.DeadlockDetected("the harness rolled this back")
        rows = [] if blow is Blow.REQUEST_LOST else world.advance(self.process, session_id, text, statement)
        if blow is Blow.REPEATED:
            world.replay(len(world.journal) - 1)
        if blow in KILLS:
            raise Killed
        if blow in LOSES:
            self.closed = True
            raise psycopg.OperationalError("the harness cut this connection")
        return rows


class Pooled:
    """A connection of the process's pool, on which a lane stores what its items did. It, too, may be struck."""

    def __init__(self, process: "Process") -> None:
        self.process = process

    def execute(self, statement: str, arguments: Any = None) -> Any:
        world = self.process.world
        if statement == statements.ADVANCE:  # a lane that is handed back
            return Answer(world.advance(self.process, *arguments))
        if statement != statements.FLUSH:
            return world.database.execute(statement, arguments)
        blow, self.process.blow = self.process.blow, Blow.NONE
        if blow is Blow.KILLED_BEFORE:
            raise Killed
        if blow in (Blow.REQUEST_LOST, Blow.ROLLED_BACK):
            raise psycopg.OperationalError("the harness cut this connection")
        row = world.flush(self.process, *arguments)
        if blow is Blow.REPEATED and world.flush(self.process, *arguments)["status"] != "fenced":
            world._breached("I5 a repeated call changes nothing", f"{arguments}")
        if blow is Blow.KILLED_AFTER:
            raise Killed
        if blow is Blow.REPLY_LOST:
            raise psycopg.OperationalError("the harness cut this connection")
        return Answer([row])


@dataclass(slots=True)
class Answer:
    """The rows of a call that was watched."""

    rows: list[Row]

    def fetchall(self) -> list[Row]:
        return self.rows

    def fetchone(self) -> Row | None:
        return self.rows[0] if self.rows else None


class Process(Worker):
    """One life of one worker process. `blow` strikes its next commit; `meanwhile` happens before it reconnects."""

    def __init__(self, world: "World", node: UUID, name: str, queues: tuple[str, ...]) -> None:
        self.world = world
        self.name = name
        self.in_hand: list[Held] = []
        self._committer: Stepped
        self.blow = Blow.NONE
        self.meanwhile: Callable[[], None] | None = None
        self.dead = self.frozen = False
        tools = Tools(kinds=KINDS, sandbox=world.sandbox, mail=NoMail(), http_for=lambda _: NoHttp())
        parts: dict[str, Any] = {
            "new_session_id": lambda: session_of(name),
            "open_pool": lambda *_: self,
            "Herald": Silent,
            "Slots": InHand,
            "Committer": Stepped,
        }
        with patch.multiple(WORKER, **parts):
            super().__init__(node, queues, tools, slots=SLOTS)
        self._awaiting._loop.close()
        self.pid = len(world.processes)
        self.execute(statements.BOOT, (self.session_id, node, "harness", self.pid, self.queues))

    def take(self, lease: Lease) -> None:
        """One of a claim, heard of."""
        self._begin(lease)

    # What the worker and its parts ask of a pool.
    def connection(self) -> Any:
        return nullcontext(Pooled(self))

    def execute(self, statement: str, arguments: Any) -> None:
        self.world.database.execute(statement, arguments)

    def reconnect(self, _name: str) -> Wire:
        """What the committer gets instead of a connection."""
        meanwhile, self.meanwhile = self.meanwhile, None
        if meanwhile is not None:
            meanwhile()
        return Wire(self)

    def _chain(self, first: Attempt) -> None:
        self.in_hand.append(Held(first))

    @property
    def at_steps(self) -> list[Held]:
        """What ends by the committer, unlike a lane."""
        return [held for held in self.in_hand if not held.is_lane]

    # The single steps.
    def perform(self, held: Held) -> None:
        """Ask the handler. A lane asks those of its items when it is its turn."""
        if held.is_lane:
            held.ended = (None, None)
            return
        ready = self._prepared(held.attempt)
        held.ended = (self._call(held.attempt, ready), ready) if isinstance(ready, Prepared) else (ready, None)

    def finish(self, held: Held) -> None:
        """Commit the attempt's end; the next step of its chain, if any, is then in hand."""
        with self._committing():
            self._finish(held)
            self._flush()

    def run_ahead(self, held: Held) -> None:
        """End the attempt, but let its commit wait where the worker does not wait for it."""
        with self._committing():
            self._finish(held)

    def finish_together(self, several: list[Held]) -> None:
        """The same for several attempts in one commit, as when slots meet at the committer."""
        committer = self._committer
        committer._waiting = arrivals = Arrivals()
        with self._committing():
            committer._busy = True
            threads = [threading.Thread(target=self._finish, args=(held,)) for held in several[1:]]
            for thread in threads:
                thread.start()
                assert arrivals.one.acquire(timeout=5), "no item came to the committer"
            # Nobody is told that the committer is free, so this thread takes all of them along.
            committer._busy = False
            self._finish(several[0])
            self._flush()
            for thread in threads:
                thread.join()
        self.in_hand.sort(key=lambda held: held.attempt.lease.token_id)

    def look_after(self) -> None:
        """What the worker does each second beside its work."""
        with self._committing():
            self._upkeep.see_to(self.world.database)
            self._flush()

    def stop_politely(self) -> None:
        """Claim nothing more, end what has begun, hand its chains back, close the session."""
        self._stopping.set()
        with self._committing():
            self._flush()
        for held in list(self.in_hand):
            if held.ended is None:
                self.perform(held)
            self.finish(held)
        assert not self.in_hand
        self.execute(statements.END_SESSION, (self.session_id,))
        self.dead = True

    def _finish(self, held: Held) -> None:
        assert held.ended is not None
        if held in self.in_hand:
            self.in_hand.remove(held)
        if held.is_lane:
            self._in_lane(held.attempt)
            return
        following = self._ender.end(held.attempt, *held.ended)
        if following is not None:
            self.in_hand.append(Held(following))

    def _flush(self) -> None:
        """Commit what waits. What began ahead of a move that did not come is over."""
        self._committer.flush()
        self.in_hand = [held for held in self.in_hand if not held.attempt.is_settled()]

    @contextmanager
    def _committing(self) -> Iterator[None]:
        with patch("orchestrator.engine.committer.connect", self.reconnect):
            yield
