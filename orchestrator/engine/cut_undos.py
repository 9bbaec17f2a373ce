"""Undos that were cut short, counted by the one keeper that acts: no attempt of theirs ends, so no worker tells."""

from typing import TYPE_CHECKING

from orchestrator.engine import metrics, statements
from orchestrator.engine.database import Connection
from orchestrator.engine.ended import GAP, LOOK_BACK

if TYPE_CHECKING:
    from datetime import datetime


class CutUndos:
    """What one keeper has seen of them since it began to act."""

    def __init__(self) -> None:
        self._since: datetime | None = None
        self._seen: set[tuple[datetime, str, int]] = set()

    def look(self, connection: Connection) -> None:
        """Count those that were cut since the last look."""
        if self._since is None:
            row = connection.execute(statements.DATABASE_TIME).fetchone()
            assert row is not None  # a SELECT without FROM
            self._since = row["now"] - GAP
        rows = connection.execute(statements.CUT_UNDOS, (self._since,)).fetchall()
        new = {(row["at"], str(row["run_id"]), row["entry"]) for row in rows} - self._seen
        if new:
            metrics.UNDO_ITEMS.labels("stuck").inc(len(new))
            self._since = max(self._since, max(new)[0] - LOOK_BACK)
            self._seen = {one for one in self._seen | new if one[0] >= self._since}
