"""One attempt under way in this process. Who settles it first decides its end: handler, time-out or cancellation."""

import asyncio
import threading
import time
from dataclasses import dataclass, field
from typing import Any

from orchestrator.engine.context import StopSign
from orchestrator.engine.lease import Lease

SUSPECT = 2  # deaths, as in `claim`
TRUSTED = 30.0  # seconds at work


@dataclass(slots=True)
class Chain:
    """Steps of one token in one slot, one after another. Guarded by whoever keeps the attempts."""

    uncommitted: int = 0  # ends on their way to the rows, behind which a step has begun


@dataclass(slots=True, kw_only=True)
class Attempt:
    """A lease at work. `deadline` is monotonic seconds, set once its handler runs.

    `ahead` counts the ends before it in its chain that were not committed when it began. `calls` are those of a lane:
    each uses its epoch up, and is counted before it is made, so whoever reads a later epoch finds it counted.
    """

    lease: Lease
    began: float = field(default_factory=time.monotonic)
    deadline: float | None = None
    ahead: int = 0
    calls: int = 0
    chain: Chain = field(default_factory=Chain)
    thread_id: int | None = None
    task: asyncio.Task[None] | None = None
    lane: Any = None  # a `lane.Lane`, which itself knows attempts
    is_cleared: bool = False  # of what it was suspected of
    stop: StopSign = field(default_factory=StopSign)
    _settled: threading.Lock = field(default_factory=threading.Lock)

    def settle(self) -> bool:
        """True for the first caller only."""
        return self._settled.acquire(blocking=False)

    def is_settled(self) -> bool:
        """True once somebody has decided its end."""
        return self._settled.locked()

    def is_suspect(self) -> bool:
        """Whether it may be what killed the workers it was lost with: it has not lived long enough to be trusted."""
        is_young = time.monotonic() - self.began < TRUSTED
        return self.lease.lost >= SUSPECT and is_young and not self.is_cleared

    def may_stand_at(self, epoch: int | None) -> bool:
        """Whether a token of ours with this epoch (None: not ours) is the one at work here, or on its way here."""
        return epoch is not None and -self.calls <= self.lease.epoch - epoch <= self.ahead

    def spent(self) -> float:
        """Seconds since the step's first attempt began."""
        before = (self.lease.started_at - self.lease.first_started_at).total_seconds()
        return before + time.monotonic() - self.began
