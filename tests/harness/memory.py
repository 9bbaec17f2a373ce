"""What the rows said a step ago, and what they may say now."""

from typing import Any
from uuid import UUID

from orchestrator.engine.database import Connection
from orchestrator.queries.fsck import INVARIANTS, query
from tests.harness.faults import Breached
from tests.harness.told import in_order

# Past facts: rows that no later step may change or remove.
LOGGED = """
SELECT entry, hashtextextended(s::text, 0) AS picture FROM orchestrator_steplog s
"""
GATES = """
SELECT run_id, gate, scope_id, ok, skip, fail, verdict, decided FROM orchestrator_gate
"""
RUNS = "SELECT id, state, finished_at IS NOT NULL AS ended FROM orchestrator_run"
EPOCHS = "SELECT id, epoch, run_id FROM orchestrator_token"

AT_ANY_MOMENT = [invariant for invariant in INVARIANTS if not invariant.patient]
#: All of them in one round trip: this is asked after every step.
AT_ONCE = " UNION ALL ".join(
    f"(SELECT {place} AS place, found::text AS what FROM ({query(invariant, everything=True)}) AS found)"
    for place, invariant in enumerate(AT_ANY_MOMENT)
)


class Memory:
    """Reads facts for the world, and compares the rows with what they were at the last `look`."""

    def __init__(self, database: Connection) -> None:
        self._database = database
        self._logged: dict[int, int] = {}
        self._gates: dict[Any, dict[str, Any]] = {}
        self._ended: dict[UUID, str] = {}
        self._epochs: dict[int, int] = {}
        self._runs: dict[int, UUID] = {}
        self._roots: dict[UUID, UUID] = {}

    def look(self) -> None:
        """Raise Breached when a fact is gone or changed, or when a query of `fsck` finds anything."""
        self._nothing_logged_is_lost()
        self._gates_only_grow()
        self._ends_are_final()
        self._epochs_only_rise()
        self._fsck()
        in_order(self._database)

    def _nothing_logged_is_lost(self) -> None:
        now = {row["entry"]: row["picture"] for row in self._rows(LOGGED)}
        if lost := [entry for entry, picture in self._logged.items() if now.get(entry) != picture]:
            raise Breached("I9 the log only grows", f"entries {lost} are gone or changed")
        self._logged = now

    def _gates_only_grow(self) -> None:
        now = {(row["run_id"], row["gate"], row["scope_id"]): row for row in self._rows(GATES)}
        for key, old in self._gates.items():
            new = now.get(key)
            if new is None or any(new[name] < old[name] for name in ("ok", "skip", "fail", "decided")):
                raise Breached("I3 gates only count up", f"{key}: {old} became {new}")
            if old["verdict"] != "O" and new["verdict"] != old["verdict"]:
                raise Breached("I3 a gate is decided once", f"{key}: {old} became {new}")
        self._gates = now

    def _ends_are_final(self) -> None:
        now = {row["id"]: row["state"] for row in self._rows(RUNS) if row["ended"]}
        for run_id, state in self._ended.items():
            if now.get(run_id) != state:
                raise Breached("I17 an end is final", f"run {run_id} was {state}, is {now.get(run_id)}")
        self._ended = now

    def _epochs_only_rise(self) -> None:
        rows = self._rows(EPOCHS)
        now = {row["id"]: row["epoch"] for row in rows}
        self._runs |= {row["id"]: row["run_id"] for row in rows}
        for token_id, epoch in now.items():
            if epoch < self._epochs.get(token_id, 0):
                raise Breached("I5 epochs only rise", f"token {token_id}: {self._epochs[token_id]} became {epoch}")
        self._epochs = now

    def _fsck(self) -> None:
        if found := self._rows(AT_ONCE):
            invariant = AT_ANY_MOMENT[found[0]["place"]]
            raise Breached(invariant.name, f"{invariant.sentence} {found[:3]}")

    # --- Facts for the world ----------------------------------------------------------------------------------------

    def run_of(self, token_id: int) -> UUID:
        if token_id not in self._runs:
            self._runs |= {row["id"]: row["run_id"] for row in self._rows(EPOCHS)}
        return self._runs[token_id]

    def root_of(self, run_id: UUID) -> UUID:
        """The run at the top of a sub-workflow's run, or the run itself."""
        if run_id not in self._roots:
            statement = "SELECT coalesce(root_run_id, id) AS root FROM orchestrator_run WHERE id = %s"
            self._roots[run_id] = self._rows(statement, run_id)[0]["root"]
        return self._roots[run_id]

    def end_of(self, run_id: UUID) -> str:
        """The state a cancelled run has or heads for."""
        statement = "SELECT coalesce(closing->>'state', state) AS state FROM orchestrator_run WHERE id = %s"
        return str(self._rows(statement, run_id)[0]["state"])

    def timers(self) -> dict[int, tuple[int, float]]:
        """Token -> its epoch and the seconds until it is due (negative: late)."""
        statement = """SELECT id, epoch, extract(epoch FROM wake_at - clock_timestamp())::float8 AS seconds
            FROM orchestrator_token WHERE state = 'W' AND wake_at IS NOT NULL"""
        return {row["id"]: (row["epoch"], row["seconds"]) for row in self._rows(statement)}

    def waiting(self) -> list[tuple[int, int]]:
        """Tokens that wait for somebody's wake-up, with their epochs."""
        statement = """SELECT id, epoch FROM orchestrator_token
            WHERE state = 'W' AND waiting->>'kind' = 'event' AND waiting->>'topic' IS NULL ORDER BY id"""
        return [(row["id"], row["epoch"]) for row in self._rows(statement)]

    def leased(self) -> dict[int, int]:
        """Leased tokens and their epochs."""
        return {
            row["id"]: row["epoch"] for row in self._rows("SELECT id, epoch FROM orchestrator_token WHERE state = 'L'")
        }

    def held_by_the_dead(self, ttl: float) -> list[int]:
        """Tokens leased to a session that is gone or no longer beats."""
        statement = """SELECT t.id FROM orchestrator_token t WHERE t.state = 'L' AND NOT EXISTS (
            SELECT FROM orchestrator_worker_session s WHERE s.id = t.session_id
              AND s.beat_at > clock_timestamp() - make_interval(secs => %s))"""
        return [row["id"] for row in self._rows(statement, ttl)]

    def open_runs(self) -> list[UUID]:
        return [row["id"] for row in self._rows(RUNS) if not row["ended"]]

    def _rows(self, statement: str, *arguments: Any) -> list[dict[str, Any]]:
        return self._database.execute(statement.encode(), arguments or None).fetchall()
