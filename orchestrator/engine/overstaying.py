"""Handlers that overstay: their time-out is committed without them, and another thread takes their slot."""

import time
from collections.abc import Callable

import structlog

from orchestrator.engine.attempt import Attempt
from orchestrator.engine.ending import Ender
from orchestrator.engine.equipment import Equipment
from orchestrator.engine.perform import too_slow
from orchestrator.engine.watch import AGAIN, LONGEST

log = structlog.get_logger(__name__)


class Overstaying:
    """Finds handlers past their deadline. `lane_ended(attempt, queues)` hears of lanes that were closed for one."""

    def __init__(self, equipment: Equipment, ender: Ender, *, lane_ended: Callable[[Attempt, list[str]], None]) -> None:
        self._plans = equipment.plans
        self._slots = equipment.slots
        self._attempts = equipment.attempts
        self._ender = ender
        self._lane_ended = lane_ended

    def look(self) -> float:
        """Give up slots whose handler overstays, and say when to look again (`time.monotonic`).

        What waits for slots that do not come free is left to others.
        """
        if self._slots.is_jammed():
            self._slots.withdraw()
        now = time.monotonic()
        again = now + (AGAIN if self._slots.is_crowded else LONGEST)
        for attempt in self._attempts.all():
            deadline = attempt.deadline
            if deadline is None or now <= deadline:
                again = min(again, deadline or again)
                continue
            # Its end may be on its way to the rows for longer.
            again = min(again, now + AGAIN)
            try:
                self._give_up(attempt)
            except Exception as error:  # the next one is watched all the same
                log.warning("a late step could not be stopped", error=repr(error)[:200])
        return again

    def _give_up(self, attempt: Attempt) -> None:
        """Decide its end here: its late answer is ignored."""
        lease = attempt.lease
        step = self._plans.get(lease.run.version_id).plan.step(lease.node)
        if attempt.thread_id is None or not (attempt.settle() if attempt.lane is None else attempt.lane.settle_late()):
            return
        attempt.stop.set()
        self._slots.give_up(attempt.thread_id)
        if attempt.lane is not None:
            self._lane_ended(attempt, attempt.lane.overstayed())
            return
        late = Attempt(lease=lease, began=attempt.began)
        self._attempts.put(late)
        self._ender.end_in_slot(late, too_slow(step.name, step.timeout), None)
