"""Wake-ups and announcements: messages that may be lost, repeated or late without harm."""

import atexit
import os
import threading
import time
from collections import Counter
from collections.abc import Iterable
from uuid import UUID

import structlog
from celery import current_app

from orchestrator.engine import announcements, metrics, pokes

log = structlog.get_logger(__name__)
WAKE_TASK = "orchestrator.wake"
NOTIFY_TASK = "orchestrator.notify"
MOST_WAKES = 4  # per queue and flush: more workers than that are woken by those who find work left
EXPIRES = 30  # seconds
#: Seconds that what nobody waits for stands back, so that it takes no processor from a step that begins just now.
STAND_BACK = 0.02
NEVER = float("inf")


def wake(queue: str, count: int = 1) -> None:
    """Tell workers that a queue has work. Call after commit. May be lost: the keeper's sweep stands behind it."""
    poked = pokes.poke(queue, min(count, MOST_WAKES))
    herald().ready([queue] * min(count, MOST_WAKES), after=STAND_BACK if poked else 0.0)


def notify(queue: str = "default") -> None:
    """Ask a worker to mail the assignees of new human tasks. Call after commit."""
    _publish(NOTIFY_TASK, None, queue)


def announce(workspace_id: int, run_id: UUID, *, tasks: bool = False) -> None:
    """Tell the sockets of a workspace that a run changed. Call after commit. Never waits, may be lost."""
    herald().changed(workspace_id, run_id, task=tasks, after=STAND_BACK)


def _publish(task: str, argument: str | None, queue: str) -> None:
    try:
        current_app.send_task(
            task,
            args=[] if argument is None else [argument],
            queue=queue,
            expires=EXPIRES,
            retry=False,
            ignore_result=True,
        )
        metrics.WAKE_UPS.labels("sent").inc()
    except Exception as error:
        metrics.WAKE_UPS.labels("failed").inc()
        log.warning("wake-up not sent", queue=queue, error=str(error)[:200])


class Herald:
    """A worker's messages, collected and sent by a thread of its own: slots never wait for the broker."""

    INTERVAL = 0.05  # seconds between announcements
    WAKE_INTERVAL = 0.005

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._queues: Counter[str] = Counter()
        self._runs: dict[int, set[UUID]] = {}
        self._tasks: set[int] = set()
        self._stopped = False
        self._wake_at = self._tell_at = NEVER
        self._told_at = 0.0
        self._thread = threading.Thread(target=self._run, name="herald", daemon=True)
        self._thread.start()

    def ready(self, queues: Iterable[str], *, after: float = 0.0) -> None:
        """Tokens became ready on these queues (one entry each): say so after that many seconds at the latest."""
        with self._changed:
            self._queues.update(queues)
            self._wake_at = min(self._wake_at, time.monotonic() + after) if self._queues else NEVER
            self._changed.notify()

    def changed(self, workspace_id: int, run_id: UUID, *, task: bool = False, after: float = 0.0) -> None:
        """A run moved; `task`: a human task opened with it. `after`: seconds that saying so may wait."""
        # Also without the lock no change is lost by this: what is collected here has yet to be sent.
        if not task and run_id in self._runs.get(workspace_id, ()):
            return
        with self._changed:
            self._runs.setdefault(workspace_id, set()).add(run_id)
            if task:
                self._tasks.add(workspace_id)
            tell_at = time.monotonic() + after
            if tell_at < self._tell_at:  # others are no reason to wake up again
                self._tell_at = tell_at
                self._changed.notify()

    def stop(self) -> None:
        """Send what is left, then end."""
        with self._changed:
            self._stopped = True
            self._changed.notify()
        self._thread.join(timeout=2)

    def _run(self) -> None:
        while True:
            with self._changed:
                while (pause := self._pause()) > 0:
                    self._changed.wait(None if pause == NEVER else pause)
                queues, self._queues, self._wake_at = self._queues, Counter(), NEVER
                runs, tasks = self._due_announcements()
                stopped = self._stopped
            self._send(queues, runs, tasks)
            if stopped:
                return
            with self._changed:
                if self._queues:
                    self._changed.wait(self.WAKE_INTERVAL)

    def _pause(self) -> float:
        """Seconds until there is something to say; a wake-up takes announcements that are due along."""
        if self._stopped:
            return 0.0
        tell_at = max(self._tell_at, self._told_at + self.INTERVAL)
        return max(0.0, min(self._wake_at, tell_at) - time.monotonic())

    def _due_announcements(self) -> tuple[dict[int, set[UUID]], set[int]]:
        now = time.monotonic()
        if not self._stopped and now < max(self._tell_at, self._told_at + self.INTERVAL):
            return {}, set()
        runs, tasks = self._runs, self._tasks
        self._runs, self._tasks, self._tell_at = {}, set(), NEVER
        if runs:
            self._told_at = now
        return runs, tasks

    def _send(self, queues: Counter[str], runs: dict[int, set[UUID]], tasks: set[int]) -> None:
        for queue, count in queues.items():
            for _ in range(min(count, MOST_WAKES)):
                _publish(WAKE_TASK, queue, queue)
        if tasks:
            notify()
        for workspace_id, ids in runs.items():
            if not announcements.tell(workspace_id, ids, tasks=workspace_id in tasks):
                log.warning("live message not sent", workspace=workspace_id)


_herald: tuple[int, Herald] | None = None
_herald_lock = threading.Lock()


def herald() -> Herald:
    """This process's own herald, started at the first message; a forked child starts another."""
    global _herald
    if _herald is None or _herald[0] != os.getpid():
        with _herald_lock:
            if _herald is None or _herald[0] != os.getpid():
                _herald = os.getpid(), Herald()
                # What a short command has said last is still sent before it ends.
                atexit.register(_herald[1].stop)
    return _herald[1]
