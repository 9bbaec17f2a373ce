"""What a worker process sees to each second beside its work."""

import os
import socket
from collections.abc import Callable, Sequence
from uuid import UUID

from orchestrator.engine import statements
from orchestrator.engine.attempt import Attempt
from orchestrator.engine.attempts import Attempts
from orchestrator.engine.committer import Committer
from orchestrator.engine.database import Connection


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

    def see_to(self, connection: Connection) -> None:
        """All of it."""
        self.register(connection)
        self.stop_cancelled(connection)
        self.return_strays(connection)

    def register(self, connection: Connection) -> None:
        """Say who this process is, and which queues it serves."""
        arguments = (self._session_id, self._node_id, socket.gethostname(), os.getpid(), self._queues)
        connection.execute(statements.BOOT, arguments)

    def stop_cancelled(self, connection: Connection) -> None:
        """Tell handlers whose run is being cancelled, or whose token was taken from them."""
        attempts = self._attempts.all()
        if not attempts:
            return
        rows = connection.execute(statements.CANCELLED, (list({a.lease.run.run_id for a in attempts}),)).fetchall()
        cancelled = {row["id"] for row in rows}
        tokens = [attempt.lease.token_id for attempt in attempts]
        rows = connection.execute(statements.OURS, (tokens, self._session_id)).fetchall()
        ours = {row["id"]: row["epoch"] for row in rows}
        for attempt in attempts:
            lease = attempt.lease
            # One that moved on meanwhile has ended its handler: telling it so changes nothing.
            is_cancelled = lease.run.run_id in cancelled and lease.node >= 0
            if is_cancelled or not attempt.may_stand_at(ours.get(lease.token_id)):
                self._stop(attempt)

    def return_strays(self, connection: Connection) -> None:
        """Give back tokens that are leased to this process and that nobody here is at work on."""
        for row in connection.execute(statements.STRAYS, (self._session_id,)).fetchall():
            if row["id"] not in self._attempts:
                self._committer.advance({"t": row["id"], "e": row["epoch"], "then": "back"})
