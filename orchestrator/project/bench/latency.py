"""How long people and programs wait until the work they asked for begins, on an idle machine."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Any
from uuid import uuid4

import httpx
import redis.asyncio
from asgiref.sync import sync_to_async
from django.conf import settings

from orchestrator.models import HumanTask, Version
from orchestrator.project.bench import drawings, floors
from orchestrator.project.bench.place import WORKSPACE, Place
from orchestrator.project.bench.row import Row, at_most, percentile

ROUNDS = 5
STARTS = 200  # per round
DECISIONS = 60
WARM_UP = 20
REST = 0.03  # seconds of idleness before the next request
CALM = 0.15  # seconds until the mails and messages that an opened task sets off are done: nobody decides that fast
PATIENCE = 20  # seconds

#: Sends one request for the `key` its handler will answer on; returns when it was sent, by the wall clock.
Ask = Callable[[httpx.AsyncClient, str], Awaitable[float]]


def start(place: Place) -> Iterator[Row]:
    version = place.publish(drawings.document("Stamp", [drawings.stamp("stamp")], []))
    address = f"/api/v1/w/{WORKSPACE}/workflows/{version.workflow.slug}/runs/"

    async def ask(client: httpx.AsyncClient, key: str) -> float:
        asked = time.time()
        answer = await client.post(address, json={"input": {"key": key}})
        assert answer.status_code == 201, answer.text
        return asked

    yield from _rows(place, "API start -> handler begins", ask, STARTS, (0.004, 0.010))


def decision(place: Place) -> Iterator[Row]:
    steps = [drawings.approval("ask", place.actor.username), drawings.stamp("stamp")]
    version = place.publish(drawings.document("Ask", steps, [("ask.yes", "stamp")]))

    async def ask(client: httpx.AsyncClient, key: str) -> float:
        task = await _open_task(place, version, key)
        address = f"/api/v1/w/{WORKSPACE}/tasks/{task.pk}/"
        shown = (await client.get(address)).json()
        body = {"outcome": "yes", "values": {}, "digest": shown["digest"]}
        await asyncio.sleep(CALM)
        asked = time.time()
        answer = await client.post(f"{address}decide/", json=body)
        assert answer.status_code == 200, answer.text
        return asked

    yield from _rows(place, "form decision -> handler begins", ask, DECISIONS, (0.005, 0.020))


async def _open_task(place: Place, version: Version, key: str) -> HumanTask:
    run_id = await sync_to_async(place.start)(version, {"key": key})
    deadline = time.monotonic() + PATIENCE
    while (task := await HumanTask.objects.filter(run_id=run_id).afirst()) is None:
        if time.monotonic() > deadline:
            raise TimeoutError("the measured task does not open")
        await asyncio.sleep(0.01)  # looking must not disturb what is measured
    return task


def _rows(place: Place, name: str, ask: Ask, count: int, bounds: tuple[float, float]) -> Iterator[Row]:
    trips: list[list[float]] = []
    rounds: list[list[float]] = []
    with floors.celery_worker() as round_trip:
        for number in range(ROUNDS):
            trips.append([round_trip() for _ in range(count // 2)])
            rounds.append(asyncio.run(_latencies(place, ask, count, 0 if number else WARM_UP)))
    for percent, bound in zip((50, 99), bounds, strict=True):
        measured = [percentile(values, percent) for values in rounds]
        floor = [percentile(values, percent) for values in trips]
        yield at_most(f"{name}, p{percent}", bound, measured, floor)


async def _latencies(place: Place, ask: Ask, count: int, warm_up: int) -> list[float]:
    """Seconds from request to handler, one after another."""
    found = []
    heard: Any = redis.asyncio.Redis.from_url(settings.REDIS_URL, socket_timeout=2 * PATIENCE)
    headers = {"Authorization": f"Bearer {place.token}"}
    async with httpx.AsyncClient(base_url=place.address, headers=headers, trust_env=False) as client, heard:
        for _ in range(count + warm_up):
            key = f"bench-{uuid4().hex}"
            asked = await ask(client, key)
            answer = await heard.blpop([key], timeout=PATIENCE)
            if answer is None:
                raise TimeoutError("the measured handler does not begin")
            found.append(float(answer[1]) - asked)
            await asyncio.sleep(REST)
    return found[warm_up:]
