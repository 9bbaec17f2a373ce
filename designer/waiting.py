"""Waiting for a run's end: listening on the live channel, with no database connection in hand between two looks."""

import asyncio
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from uuid import UUID

import structlog
from django.db import connection

from orchestrator.api import DEAF, FINAL_RUN, Run, hearing

log = structlog.get_logger(__name__)

#: Messages may be lost: look again after this many seconds without one.
LOOK_AGAIN = 1.0


def wait_for_end(run_id: UUID, workspace_id: int, seconds: float) -> bool:
    """Return True once the run has ended, False after `seconds`. Wakes up when its workspace announces a change.

    Gives the caller's database connection back (outside a transaction), so that many may wait on a small pool.
    """
    end = time.monotonic() + seconds
    # First listen, then look: an end in between is announced.
    with _ears().listening(workspace_id, run_id) as heard:
        while not _ended(run_id):
            left = end - time.monotonic()
            if left <= 0:
                return False
            heard.wait(min(left, LOOK_AGAIN))
            heard.clear()
        return True


def _ended(run_id: UUID) -> bool:
    try:
        return Run.objects.filter(pk=run_id, state__in=FINAL_RUN).exists()
    finally:
        if not connection.in_atomic_block:
            connection.close()


class _Ears:
    """One event loop for all waits of this process."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, name="waits", daemon=True).start()

    @contextmanager
    def listening(self, workspace_id: int, run_id: UUID) -> Iterator[threading.Event]:
        """Sets the event whenever the workspace hears of the run. Without Valkey never, but it does not fail."""
        heard, ready = threading.Event(), threading.Event()
        listener = asyncio.run_coroutine_threadsafe(_listen(workspace_id, run_id, heard, ready), self._loop)
        ready.wait(LOOK_AGAIN)
        try:
            yield heard
        finally:
            listener.cancel()


async def _listen(workspace_id: int, run_id: UUID, heard: threading.Event, ready: threading.Event) -> None:
    try:
        async with hearing(workspace_id) as ear:
            ready.set()
            while True:
                news = await ear.next(LOOK_AGAIN)
                if news is not None and run_id in news.runs:
                    heard.set()
    except DEAF as error:
        log.warning("a wait hears no announcements", run=str(run_id), error=str(error)[:200])
        ready.set()


@cache
def _ears() -> _Ears:
    return _Ears()
