"""What changed in a workspace, told to everybody who watches it: published by Valkey, one message for many changes.

A message may be lost, repeated or late: whoever hears looks at the rows, and looks again from time to time anyway.
"""

import asyncio
import json
import os
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any
from uuid import UUID

import redis.asyncio
from django.conf import settings
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from orchestrator.engine.wire import Wire

PREFIX = "branchline:runs:"
CONNECT = 5.0  # seconds until Valkey must have answered somebody who wants to hear
ALIVE = 15  # seconds of silence after which Valkey is asked whether it is still there
#: Nothing is heard any more, or cannot be heard.
DEAF = (redis.RedisError, OSError)


@dataclass(frozen=True, slots=True)
class News:
    """Runs that changed; `tasks`: human tasks opened or closed with them; `events`: some came, or were delivered."""

    runs: frozenset[UUID]
    tasks: bool
    events: bool


def tell(workspace_id: int, runs: Iterable[UUID], *, tasks: bool, events: bool = False) -> bool:
    """Publish what changed. Call after commit. Never raises; False when Valkey did not take it."""
    wire = _wire(os.getpid())
    text = json.dumps({"runs": sorted(map(str, runs)), "tasks": tasks, "events": events})
    return wire.say(wire.packed(("PUBLISH", f"{PREFIX}{workspace_id}", text)), 1)


@cache
def _wire(process: int) -> Wire:
    return Wire(settings.REDIS_URL)


class Ear:
    """Hears one workspace."""

    def __init__(self, channel: Any) -> None:
        self._channel = channel

    async def next(self, seconds: float) -> News | None:
        """The next news; None when there is none for so long. Raises one of `DEAF`."""
        message = await self._channel.get_message(ignore_subscribe_messages=True, timeout=seconds)
        _heed_cancellation()
        if message is None:
            return None
        said = json.loads(message["data"])
        return News(frozenset(map(UUID, said["runs"])), said["tasks"], said["events"])


@asynccontextmanager
async def hearing(workspace_id: int) -> AsyncIterator[Ear]:
    """Inside the block all is heard that is told from its beginning on. Raises one of `DEAF`.

    A lost connection is not opened again unnoticed: what was told meanwhile is lost, so the caller has to look.
    """
    retry = Retry(NoBackoff(), 0)
    client = redis.asyncio.Redis.from_url(
        settings.REDIS_URL, socket_connect_timeout=CONNECT, health_check_interval=ALIVE, retry=retry
    )
    channel = client.pubsub()
    try:
        await channel.subscribe(f"{PREFIX}{workspace_id}")
        if await channel.get_message(timeout=CONNECT) is None:
            raise TimeoutError("Valkey does not answer.")
        _heed_cancellation()
        yield Ear(channel)
    finally:
        await channel.aclose()  # type: ignore[no-untyped-call]
        await client.aclose()


def _heed_cancellation() -> None:
    """Before Python 3.12 `asyncio.wait_for`, by which a command is sent, may swallow a cancellation.

    Whoever cancelled this task would wait for its end for ever.
    """
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError
