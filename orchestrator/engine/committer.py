"""One connection through which all slots of a process end their attempts, several in one commit when they meet.

Who must know the answer commits in its own thread, for all who queued behind the previous commit (group commit without
a timer). Who need not wait leaves its item to the committer's thread and hears of it by a call.
"""

import json
import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import psycopg
import structlog

from orchestrator.engine import metrics, statements
from orchestrator.engine.database import TRY_AGAIN, OwnConnection, Row, connect
from orchestrator.engine.lost_reply import answers_of

log = structlog.get_logger(__name__)
MAX_BATCH = 64
BEHIND = 32  # items that wait for the commit before theirs
LONGEST_PAUSE = 1.0  # seconds between tries while PostgreSQL is away

Item = dict[str, Any]
Heard = Callable[[Row, Exception | None], None]


@dataclass(slots=True)
class _Entry:
    item: Item
    heard: Heard | None = None
    soon: bool = False
    done: bool = False
    answer: Row = field(default_factory=dict)
    error: Exception | None = None


class Committer:
    """Ends attempts by `branchline_advance`. Thread-safe.

    `woken(queues)` hears of tokens now ready elsewhere, `committed()` of every commit.
    """

    def __init__(self, session_id: int, woken: Any, committed: Callable[[], None] = lambda: None) -> None:
        self.session_id = session_id
        self._woken = woken
        self._committed = committed
        self._waiting: deque[_Entry] = deque()
        self._changed = threading.Condition()
        self._busy = False
        self._closed = False
        self._thread: threading.Thread | None = None
        self._connection: OwnConnection | None = None

    def advance(self, item: Item, *, soon: bool = False) -> Row:
        """Commit one item and return its row of `branchline_advance`. Blocks while PostgreSQL is away.

        `soon`: it need not be flushed yet, unless others that must are committed with it.

        Raises the database's error when PostgreSQL refuses this very item.
        """
        entry = _Entry(item, soon=soon)
        with self._changed:
            self._waiting.append(entry)
        while self._lead(lambda: entry.done):
            pass
        if entry.error is not None:
            raise entry.error
        return entry.answer

    def submit(self, item: Item, heard: Heard) -> None:
        """Commit one item soon, then call `heard(row, error)` in another thread. One token's items keep order."""
        with self._changed:
            self._waiting.append(_Entry(item, heard))
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="committer", daemon=True)
                self._thread.start()
            if not self._busy:
                self._changed.notify_all()

    @property
    def is_behind(self) -> bool:
        """Whether so many items wait that the process should rather not take up more work."""
        return len(self._waiting) >= BEHIND

    @property
    def queued(self) -> int:
        """How many items wait for their commit to begin."""
        return len(self._waiting)

    def close(self) -> None:
        """Close the connection; nothing may be under way."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        if self._connection is not None:
            self._connection.close()

    def _run(self) -> None:
        while self._lead(lambda: self._closed):
            pass

    def _lead(self, enough: Callable[[], bool]) -> bool:
        """Commit one batch. False, without one, as soon as the caller has what it came for."""
        with self._changed:
            while not enough() and (self._busy or not self._waiting):
                self._changed.wait()
            if enough():
                return False
            self._busy = True
            batch = [self._waiting.popleft() for _ in range(min(len(self._waiting), MAX_BATCH))]
        try:
            self._settle(batch)
        finally:
            with self._changed:
                self._busy = False
                self._changed.notify_all()
        self._committed()
        for entry in batch:
            if entry.heard is not None:
                self._tell(entry, entry.heard)
        return True

    def _tell(self, entry: _Entry, heard: Heard) -> None:
        try:
            heard(entry.answer, entry.error)
        except Exception as error:  # the others must hear of theirs; the token is returned as a stray
            log.warning("the end of an attempt was not heard", token=entry.item["t"], error=repr(error)[:200])

    def _settle(self, batch: list[_Entry]) -> None:
        try:
            self._commit(batch)
        except Exception as error:  # also text that cannot be encoded: whoever waits here must get an answer
            if len(batch) == 1:
                batch[0].error, batch[0].done = error, True
                return
            # One bad item must not fail its neighbours.
            for entry in batch:
                self._settle([entry])

    def _commit(self, batch: list[_Entry]) -> None:
        # A run before its sub-workflows, which began later, as control locks them. One token's items keep their order.
        batch.sort(key=lambda entry: (entry.item.get("r", ""), int(entry.item["t"])))
        text = json.dumps([entry.item for entry in batch], ensure_ascii=False)
        statement = _statement_for(entry.item for entry in batch)
        if statement == statements.ADVANCE and all(entry.soon for entry in batch):
            statement = statements.ADVANCE_SOON
        unsure = False
        while True:
            try:
                rows = self._ask(statement, text) if not unsure else self._recover(batch)
                break
            except TRY_AGAIN:
                continue
            except (psycopg.OperationalError, psycopg.InterfaceError) as error:
                if self._connection is not None and not self._connection.closed and not self._connection.broken:
                    raise
                log.warning("database away, trying again", error=str(error).strip()[:200])
                unsure = True
        metrics.committed(len(batch), rows)
        # A token may be in a batch twice: an attempt that was taken over, and a later one that is in our hands again.
        answers: defaultdict[int | None, deque[Row]] = defaultdict(deque)
        for row in rows:
            answers[row["token_id"]].append(row)
        for entry in batch:
            entry.answer, entry.done = answers[entry.item["t"]].popleft(), True
        for row in answers[None]:
            self._woken(row["queues"])

    def _ask(self, statement: str, text: str) -> list[Row]:
        connection = self._open()
        with metrics.COMMIT_SECONDS.time():
            return connection.ask(statement, (self.session_id, text))

    def _recover(self, batch: list[_Entry]) -> list[Row]:
        """The answer to a call was lost: look where the tokens are, and call again for what was not done."""
        items = [entry.item for entry in batch]
        known = {
            "session": self.session_id,
            "tokens": list({item["t"] for item in items}),
            "nodes": list({item["n"] for item in items if "n" in item}),
        }
        found = self._open().execute(statements.WHERE_ARE_THEY, known).fetchall()
        rows, again = answers_of(items, {row["token_id"]: row for row in found})
        if again:
            rows += self._ask(_statement_for(again), json.dumps(again, ensure_ascii=False))
        return rows

    def _open(self) -> OwnConnection:
        pause = 0.05
        while self._connection is None or self._connection.closed or self._connection.broken:
            if self._closed:
                raise RuntimeError("This worker has stopped: its tokens are taken over.")
            try:
                self._keep(connect("advance"))
            except psycopg.OperationalError:
                # PostgreSQL restarts: there is no event to wait for, so look again, slower each time.
                time.sleep(pause)
                pause = min(pause * 2, LONGEST_PAUSE)
        return self._connection

    def _keep(self, connection: OwnConnection) -> None:
        self._connection = connection
        if self._closed:  # by somebody who saw no connection yet
            connection.close()


def _statement_for(items: Iterable[Item]) -> str:
    waits_for_event = any("await" in item or "event" in item for item in items)
    return statements.ADVANCE_EVENTS if waits_for_event else statements.ADVANCE
