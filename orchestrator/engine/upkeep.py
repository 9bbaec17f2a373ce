"""What a worker process sees to each second beside its work."""

import os
import socket
from collections.abc import Callable, Sequence
from typing import Any
from uuid import UUID

from orchestrator.engine import statements
from orchestrator.engine.attempt import Attempt
from orchestrator.engine.attempts import Attempts, Place
from orchestrator.engine.committer import Committer
from orchestrator.engine.database import Connection, OwnConnection, Row


class Upkeep:
    """Keeps the session known, and this process's view of its attempts true. `stop` tells an attempt to end."""

    def __init__(
        self,
        node_id: UUID,
        queues: Sequence[str],
        attempts: Attempts,
        committer: Committer,
        stop: Callable[[Attempt], None],
    ) -> None:
        self._node_id = node_id
        self._session_id = committer.session_id
        self._queues = list(queues)
        self._attempts = attempts
        self._committer = committer
        self._stop = stop

    def see_to(self, connection: OwnConnection) -> None:
        """All of it, by one call: each that waits for an answer takes the interpreter from a step that computes."""
        attempts, left = self._attempts.all(), set(self._attempts.left())
        rows = connection.ask(statements.LOOK_AFTER, (*self._about(), self._session_id))
        self._stop_cancelled(attempts, rows)
        self._return_strays(rows, left)

    def register(self, connection: Connection) -> None:
        """Say who this process is, and which queues it serves."""
        connection.execute(statements.BOOT, self._about())

    def _about(self) -> tuple[Any, ...]:
        return self._session_id, self._node_id, socket.gethostname(), os.getpid(), self._queues

    def _stop_cancelled(self, attempts: list[Attempt], rows: list[Row]) -> None:
        """Tell handlers whose run is being cancelled, or whose token was taken from them."""
        ours: dict[int, Row] = {row["id"]: row for row in rows}
        for attempt in attempts:
            lease, row = attempt.lease, ours.get(attempt.lease.token_id)
            # One that moved on meanwhile has ended its handler: telling it so changes nothing.
            is_cancelled = row is not None and row["cancelled"] and lease.node >= 0
            if is_cancelled or not attempt.may_stand_at(None if row is None else row["epoch"]):
                self._stop(attempt)

    def _return_strays(self, rows: list[Row], left: set[Place]) -> None:
        """Give back tokens that are leased to this process and that nobody here is at work on.

        `left`: where something could not be stored of an attempt that is over, before `rows` were read.
        """
        for row in rows:
            place = row["id"], row["epoch"]
            if row["stray"] and row["id"] not in self._attempts:
                back = {"t": row["id"], "e": row["epoch"], "then": "back", "stray": True}
                self._committer.advance(self._attempts.left().get(place, back))
                left.add(place)
            else:
                left.discard(place)
        self._attempts.drop_left(left)
