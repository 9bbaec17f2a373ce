"""How a worker process comes by its leases: it claims what its slots have room for, whenever somebody pokes."""

import random
import threading
import time
from collections.abc import Callable, Sequence

import structlog

from orchestrator.engine import metrics, statements
from orchestrator.engine.attempt import SUSPECT
from orchestrator.engine.attempts import Attempts
from orchestrator.engine.committer import Committer
from orchestrator.engine.database import Standing
from orchestrator.engine.lease import Lease, leases_of
from orchestrator.engine.slots import Slots

log = structlog.get_logger(__name__)
IDLE_LOOK = 1.0  # seconds between looks at the queues without a poke: a lost wake-up delays no longer
PAUSE = 0.2  # seconds between tries while PostgreSQL is away
MOST_AWAY = 1_200  # attempts on the event loop at a time
#: Seconds for which whoever has claimed lets go of the interpreter, so that a slot takes it up at once: where few steps
#: came, somebody waits for them.
HANDOVER = 0.0002
FEW = 2


class Claimer:
    """`begin` gets each lease; `began` is told of it once the slots have had their turn."""

    def __init__(
        self,
        session_id: int,
        queues: Sequence[str],
        slots: Slots,
        attempts: Attempts,
        committer: Committer,
        *,
        begin: Callable[[Lease], None],
        began: Callable[[Lease], None],
    ) -> None:
        self._session_id = session_id
        self._queues = list(queues)
        self._slots = slots
        self._attempts = attempts
        self._committer = committer
        self._begin = begin
        self._began = began
        self._is_more = True  # whether, for all we know, work waits for our slots
        self._waits = False  # for commits
        self._connection = Standing("claim")
        self._claiming = threading.Lock()
        self._poked = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="claimer", daemon=True)

    def start(self) -> None:
        """Claim from now on, on a thread of its own."""
        self._thread.start()

    def stop(self, grace: float) -> None:
        """Claim nothing more. What it claims right now is still begun before this returns, within `grace` seconds."""
        self._stopping.set()
        self._poked.set()
        self._thread.join(timeout=grace)
        if self._claiming.acquire(timeout=grace):  # for good
            self._connection.close()

    def poke(self) -> None:
        """There may be work."""
        self._poked.set()

    def freed(self) -> None:
        """A slot has nothing to do."""
        # Of what came since then a poke tells. One that is set is heeded before the next claim: it sees this slot, too.
        if self._is_more and not self._poked.is_set():
            self._poked.set()

    def committed(self) -> None:
        """Ends were committed: whoever waits for that goes on when few are left."""
        if self._waits and not self._poked.is_set() and not self._committer.is_behind:
            self._poked.set()

    def look(self) -> None:
        """There is work: claim it on the caller's thread, without a change of threads, unless a claim is under way."""
        if self._stopping.is_set() or not self._claiming.acquire(blocking=False):
            self._poked.set()
            return
        try:
            self._claim_all()
        except Exception:  # the claimer tries again, and tells of it
            self._poked.set()
        finally:
            self._claiming.release()

    def claim_once(self) -> bool:
        """Fill the free slots. True when more may be waiting for slots that are free even now."""
        self._is_more = True
        self._waits = self._committer.is_behind
        # More would only wait here for its commit, and others may have time for it. Asked twice: had the last of them
        # been committed before it could see that we wait, nobody would wake us.
        if self._waits and self._committer.is_behind:
            return False
        room = min(self._slots.room, MOST_AWAY - len(self._attempts))
        if room <= 0:
            return False
        suspects = not any(attempt.is_suspect() for attempt in self._attempts.all())
        arguments = (self._session_id, self._queues, room, suspects)
        rows = self._connection.get().ask(statements.CLAIM, arguments)
        leases = leases_of(rows)
        for lease in leases:
            self._begin(lease)
        if 0 < len(leases) <= FEW:
            time.sleep(HANDOVER)
        for lease in leases:
            self._began(lease)
        metrics.claimed(rows)
        more = len(rows) == room or any(lease.lost >= SUSPECT for lease in leases)
        self._is_more = more or not suspects
        return more

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._poked.wait(IDLE_LOOK * random.uniform(0.8, 1.2))
            self._poked.clear()
            try:
                with self._claiming:
                    self._claim_all()
            except Exception as error:  # a process that beats but claims no more would be deaf for ever
                log.warning("cannot claim, trying again", error=str(error).strip()[:200])
                self._stopping.wait(PAUSE)
                self._poked.set()

    def _claim_all(self) -> None:
        while not self._stopping.is_set() and self.claim_once():
            pass
