"""Wake-ups and announcements: messages that may be lost, repeated or late without harm."""

import atexit
import os
import threading
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
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


def announce(workspace_id: int, run_id: UUID | None, *, tasks: bool = False, events: bool = False) -> None:
    """Tell the sockets of a workspace that a run changed, or events without one. Call after commit. May be lost."""
    herald().changed(workspace_id, run_id, task=tasks, event=events, after=STAND_BACK)


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


@dataclass(slots=True)
class Draft:
    """What is to be said of one workspace."""

    runs: set[UUID] = field(default_factory=set)
    tasks: bool = False
    events: bool = False

    def says(self, run_id: UUID | None, *, event: bool) -> bool:
        return (run_id is None or run_id in self.runs) and (self.events or not event)

    def add(self, run_id: UUID | None, *, task: bool, event: bool) -> None:
        if run_id is not None:
            self.runs.add(run_id)
        self.tasks |= task
        self.events |= event


NOTHING = Draft()


class Herald:
    """A worker's messages, collected and sent by a thread of its own: slots never wait for the broker."""

    INTERVAL = 0.05  # seconds between announcements
    WAKE_INTERVAL = 0.005

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._queues: Counter[str] = Counter()
        self._drafts: dict[int, Draft] = {}
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

    def changed(
        self, workspace_id: int, run_id: UUID | None, *, task: bool = False, event: bool = False, after: float = 0.0
    ) -> None:
        """A run moved, or without one an event came. `task`, `event`: one opened, or came or was delivered, with it.

        `after`: seconds that saying so may wait.
        """
        # Also without the lock no change is lost by this: what is collected here has yet to be sent.
        if not task and self._drafts.get(workspace_id, NOTHING).says(run_id, event=event):
            return
        with self._changed:
            self._drafts.setdefault(workspace_id, Draft()).add(run_id, task=task, event=event)
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
                drafts = self._due_announcements()
                stopped = self._stopped
            self._send(queues, drafts)
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

    def _due_announcements(self) -> dict[int, Draft]:
        now = time.monotonic()
        if not self._stopped and now < max(self._tell_at, self._told_at + self.INTERVAL):
            return {}
        drafts, self._drafts, self._tell_at = self._drafts, {}, NEVER
        if drafts:
            self._told_at = now
        return drafts

    def _send(self, queues: Counter[str], drafts: dict[int, Draft]) -> None:
        for queue, count in queues.items():
            for _ in range(min(count, MOST_WAKES)):
                _publish(WAKE_TASK, queue, queue)
        if any(draft.tasks for draft in drafts.values()):
            notify()
        for workspace_id, draft in drafts.items():
            if not announcements.tell(workspace_id, draft.runs, tasks=draft.tasks, events=draft.events):
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
