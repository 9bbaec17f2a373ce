"""What the steps of chaos drawings call, in real worker processes; and a witness of what those were told."""

import os
import time
from pathlib import Path
from typing import Any

from orchestrator.core.kinds import StepContext
from orchestrator.engine import observe
from orchestrator.engine.lane import Lane
from orchestrator.steps import Permanent, Transient, step
from tests.chaos.journal import ACKNOWLEDGED, ACTED, CALLED, FOLDER, write

#: Seconds that a call of something outside takes: so long that kills and stops really fall into handlers.
OUTSIDE = 0.02


def mend(folder: Path, mark: str) -> None:
    """From now on no step fails in runs that were started with this mark."""
    (folder / mark).touch()


@step("chaos.act")
def act(context: StepContext, fails: bool, flaky: int, mark: str = "") -> dict[str, str]:
    """Write down that this step acts, work for a moment, then end as the drawing says."""
    write(CALLED, context.idempotency_key, context.attempt)
    time.sleep(OUTSIDE)
    write(ACTED, context.idempotency_key, context.attempt)
    if context.attempt <= flaky:
        raise Transient("not yet")
    if fails and not (Path(os.environ[FOLDER]) / mark).is_file():
        raise Permanent("acted", "as told")
    return {"step": context.step_key}


def _witness_attempts() -> None:
    told = observe.attempt_ended

    def attempt_ended(attempt: Any, facts: Any, settled: Any, status: str) -> None:
        if settled is not None and settled.logged == "S" and status != "fenced":
            write(ACKNOWLEDGED, attempt.lease.idempotency_key, attempt.lease.attempt)
        told(attempt, facts, settled, status)

    observe.attempt_ended = attempt_ended


def _witness_lanes() -> None:
    flush = Lane._flush

    def _flush(self: Lane, leave: Any) -> dict[str, Any]:
        lease, rows = self._lease, list(self._buffer.rows)
        answer = flush(self, leave)
        for row in rows if answer["status"] != "fenced" else ():
            if row["o"] == "S":
                place = f"{lease.run.run_id}:{row['node']}:{lease.scope_id + row['index']}:{lease.generation}"
                write(ACKNOWLEDGED, place, row["attempt"])
        return answer

    Lane._flush = _flush  # type: ignore[method-assign]


if FOLDER in os.environ:  # a worker of a chaos round, not the test that started it
    _witness_attempts()
    _witness_lanes()
