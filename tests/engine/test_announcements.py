"""What is announced is heard in its workspace, a lost connection shows, and without Valkey nobody waits."""

import asyncio
from typing import Any
from uuid import uuid4

import pytest
import redis

from orchestrator.engine import announcements
from orchestrator.engine.announcements import DEAF, PREFIX, News, hearing, tell
from orchestrator.engine.wire import Wire
from tests.waiting import wait_until

PATIENCE = 10.0
HERE, ELSEWHERE = 71, 72


async def test_what_is_told_is_heard_in_its_workspace_only(valkey: str) -> None:
    runs = [uuid4(), uuid4()]
    async with hearing(HERE) as first, hearing(HERE) as second, hearing(ELSEWHERE) as other:
        assert tell(HERE, runs, tasks=True)
        assert tell(ELSEWHERE, runs[:1], tasks=False, events=True)
        for ear in (first, second):
            assert await ear.next(PATIENCE) == News(frozenset(runs), tasks=True, events=False)
            assert await ear.next(0.01) is None
        assert await other.next(PATIENCE) == News(frozenset(runs[:1]), tasks=False, events=True)


async def test_whoever_lost_the_connection_hears_of_that(valkey: str) -> None:
    """Were it opened again unnoticed, what was told meanwhile would be missed."""
    client = redis.Redis.from_url(valkey)
    async with hearing(HERE) as ear:
        client.client_kill_filter(_type="pubsub")
        with pytest.raises(DEAF):
            await ear.next(PATIENCE)
    wait_until(lambda: client.pubsub_numsub(f"{PREFIX}{HERE}")[0][1] == 0, PATIENCE, "Valkey to forget who left")


async def test_whoever_is_cancelled_stops_listening(valkey: str) -> None:
    """At any moment, one in the middle of a command included."""

    async def listen() -> None:
        async with hearing(HERE) as ear:
            while True:
                await ear.next(PATIENCE)

    for moment in list(range(60)) * 5:  # turns of the event loop
        listening = asyncio.create_task(listen())
        for _ in range(moment):
            await asyncio.sleep(0)
        listening.cancel()
        await asyncio.wait([listening], timeout=PATIENCE)
        assert listening.cancelled(), moment


async def test_without_valkey_nobody_hears_and_telling_costs_nothing(
    monkeypatch: pytest.MonkeyPatch, unused_tcp_port: int, settings: Any
) -> None:
    nowhere = f"redis://127.0.0.1:{unused_tcp_port}/0"
    settings.REDIS_URL = nowhere
    monkeypatch.setattr(announcements, "_wire", lambda process: Wire(nowhere))
    assert not tell(HERE, [uuid4()], tasks=False)
    with pytest.raises(DEAF):
        await hearing(HERE).__aenter__()
