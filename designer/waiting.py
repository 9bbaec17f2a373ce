"""Waiting for a run's end: listening on the live channel, with no database connection in hand between two looks."""

import asyncio
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

import structlog
from channels import DEFAULT_CHANNEL_LAYER
from channels.layers import channel_layers
from django.db import connection
from redis.exceptions import RedisError

from orchestrator.api import FINAL_RUN, Run

log = structlog.get_logger(__name__)

#: Messages may be lost: look again after this many seconds without one.
LOOK_AGAIN = 1.0


def wait_for_end(run_id: str, workspace_id: int, seconds: float) -> bool:
    """Return True once the run has ended, False after `seconds`. Wakes up when its workspace announces a change.

    Gives the caller's database connection back (outside a transaction), so that many may wait on a small pool.
    """
    end = time.monotonic() + seconds
    # First listen, then look: an end in between is announced.
    with _ear().listening(f"workspace.{workspace_id}", run_id) as heard:
        while not _ended(run_id):
            left = end - time.monotonic()
            if left <= 0:
                return False
            heard.wait(min(left, LOOK_AGAIN))
            heard.clear()
        return True


def _ended(run_id: str) -> bool:
    try:
        return Run.objects.filter(pk=run_id, state__in=FINAL_RUN).exists()
    finally:
        if not connection.in_atomic_block:
            connection.close()


class _Ear:
    """One event loop for all waits of this process.

    Its channel layer is its own: the usual one belongs to the loop of the sockets, and only one loop may receive on a
    layer at a time.
    """

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._layer = channel_layers.make_backend(DEFAULT_CHANNEL_LAYER)
        threading.Thread(target=self._loop.run_forever, name="waits", daemon=True).start()

    @contextmanager
    def listening(self, group: str, run_id: str) -> Iterator[threading.Event]:
        """Sets the event whenever the group hears of the run. Without Valkey never, but it does not fail."""
        heard, ready = threading.Event(), threading.Event()
        listener = asyncio.run_coroutine_threadsafe(self._listen(group, run_id, heard, ready), self._loop)
        ready.wait(LOOK_AGAIN)
        try:
            yield heard
        finally:
            listener.cancel()

    async def _listen(self, group: str, run_id: str, heard: threading.Event, ready: threading.Event) -> None:
        try:
            channel = await self._layer.new_channel()
            await self._layer.group_add(group, channel)
            ready.set()
            try:
                while True:
                    if run_id in (await self._layer.receive(channel)).get("runs", ()):
                        heard.set()
            finally:
                await self._layer.group_discard(group, channel)
        except (RedisError, OSError) as error:
            log.warning("a wait hears no announcements", run=run_id, error=str(error)[:200])
            ready.set()


@cache
def _ear() -> _Ear:
    return _Ear()
