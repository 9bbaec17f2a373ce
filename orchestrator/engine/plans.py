"""Compiled plans in memory, by version: a version never changes, so it is read once."""

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from orchestrator.core.plan import Plan
from orchestrator.core.plan_json import plan_from_json
from orchestrator.engine import statements
from orchestrator.engine.database import Connection

CAPACITY = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionFacts:
    """A plan and the names around it."""

    plan: Plan
    number: int
    workflow: str
    workflow_name: str
    workspace: str


class Plans:
    """The least recently used plan goes first. Thread-safe."""

    def __init__(self, pool: Any) -> None:
        self._pool = pool
        self._held: OrderedDict[int, VersionFacts] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, version_id: int) -> VersionFacts:
        """The version's plan, read at its first use."""
        with self._lock:
            if version_id in self._held:
                self._held.move_to_end(version_id)
                return self._held[version_id]
        facts = self._read(version_id)
        with self._lock:
            self._held[version_id] = facts
            while len(self._held) > CAPACITY:
                self._held.popitem(last=False)
        return facts

    def _read(self, version_id: int) -> VersionFacts:
        with self._pool.connection() as connection:
            return _facts(connection, version_id)


class LonePlans:
    """The same for somebody with one connection, who needs a plan now and then."""

    def __init__(self, open_connection: Callable[[], Connection]) -> None:
        self._open = open_connection

    def of(self, version_id: int) -> Plan:
        """The version's plan."""
        return _facts(self._open(), version_id).plan


def _facts(connection: Connection, version_id: int) -> VersionFacts:
    row = connection.execute(statements.PLAN, (version_id,)).fetchone()
    assert row is not None
    return VersionFacts(
        plan=plan_from_json(row["plan"]),
        number=row["number"],
        workflow=row["slug"],
        workflow_name=row["name"],
        workspace=row["workspace"],
    )
