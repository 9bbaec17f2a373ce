"""One connection through which all slots of a process end their attempts, several in one commit when they meet.

Under load the first slot to come commits for all who queued behind the previous commit (group commit without a timer);
an idle process commits at once, in the slot's own thread.
"""

import json
import threading
import time
from collections import defaultdict, deque
from dataclasses import dataclass, field
from typing import Any

import psycopg
import structlog

from orchestrator.engine import metrics, statements
from orchestrator.engine.database import Connection, Row, connect

log = structlog.get_logger(__name__)
MAX_BATCH = 64
#: A serialisation failure or a deadlock rolled everything back: the fence makes calling again safe.
TRY_AGAIN = (psycopg.errors.SerializationFailure, psycopg.errors.DeadlockDetected)
LONGEST_PAUSE = 1.0  # seconds between tries while PostgreSQL is away

Item = dict[str, Any]


@dataclass(slots=True)
class _Entry:
    item: Item
    done: bool = False
    answer: Row = field(default_factory=dict)
    error: Exception | None = None


class Committer:
    """Ends attempts by `branchline_advance`. Thread-safe. `woken(queues)` hears of tokens now ready elsewhere."""

    def __init__(self, session_id: int, woken: Any) -> None:
        self.session_id = session_id
        self._woken = woken
        self._waiting: deque[_Entry] = deque()
        self._changed = threading.Condition()
        self._busy = False
        self._connection: Connection | None = None

    def advance(self, item: Item) -> Row:
        """Commit one item and return its row of `branchline_advance`. Blocks while PostgreSQL is away.

        Raises the database's error when PostgreSQL refuses this very item.
        """
        entry = _Entry(item)
        with self._changed:
            self._waiting.append(entry)
        while True:
            with self._changed:
                while self._busy and not entry.done:
                    self._changed.wait()
                if entry.done:
                    break
                self._busy = True
                batch = [self._waiting.popleft() for _ in range(min(len(self._waiting), MAX_BATCH))]
            try:
                self._settle(batch)
            finally:
                with self._changed:
                    self._busy = False
                    self._changed.notify_all()
        if entry.error is not None:
            raise entry.error
        return entry.answer

    def close(self) -> None:
        """Close the connection; nothing may be under way."""
        if self._connection is not None:
            self._connection.close()

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
        batch.sort(key=lambda entry: (entry.item["t"], entry.item["e"]))
        text = json.dumps([entry.item for entry in batch], ensure_ascii=False)
        unsure = False
        while True:
            try:
                rows = self._call(text) if not unsure else self._recover(batch)
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

    def _call(self, text: str) -> list[Row]:
        connection = self._open()
        with metrics.COMMIT_SECONDS.time():
            return connection.execute(statements.ADVANCE, (self.session_id, text)).fetchall()

    def _recover(self, batch: list[_Entry]) -> list[Row]:
        """The answer to a call was lost. What it moved is ours one epoch later; the rest is called again."""
        tokens = [entry.item["t"] for entry in batch]
        found = self._open().execute(statements.WHERE_ARE_THEY, (tokens, self.session_id)).fetchall()
        epochs = {row["token_id"]: row for row in found}
        rows: list[Row] = []
        again: list[_Entry] = []
        for entry in batch:
            row = epochs.get(entry.item["t"])
            if row is not None and row["epoch"] == entry.item["e"]:
                again.append(entry)
            elif row is not None and row["epoch"] == entry.item["e"] + 1:
                rows.append({**row, "status": "moved", "entry": (row["cause"] or [None])[0], "queues": None})
            else:
                rows.append({"token_id": entry.item["t"], "status": "fenced"})
        if again:
            rows += self._call(json.dumps([entry.item for entry in again], ensure_ascii=False))
        return rows

    def _open(self) -> Connection:
        pause = 0.05
        while self._connection is None or self._connection.closed or self._connection.broken:
            try:
                self._connection = connect("advance")
            except psycopg.OperationalError:
                # PostgreSQL restarts: there is no event to wait for, so look again, slower each time.
                time.sleep(pause)
                pause = min(pause * 2, LONGEST_PAUSE)
        return self._connection
