"""Commit in a worker -> frame on the socket, while five hundred people watch."""

import asyncio
import json
import time
from collections.abc import Iterator
from typing import Any

import websockets
from asgiref.sync import sync_to_async

from orchestrator.core.states import FINAL_RUN
from orchestrator.models import Run, Version
from orchestrator.project.bench import drawings
from orchestrator.project.bench.place import WORKSPACE, Place
from orchestrator.project.bench.row import Row, at_most, percentile

SOCKETS = 500
ROUNDS = 5
PATIENCE = 30  # seconds
WAIT = "PT3S"  # until everybody watches


def frames(place: Place) -> Iterator[Row]:
    steps = [drawings.delay("wait", WAIT), drawings.fibonacci("work", 1)]
    version = place.publish(drawings.document("Watched", steps, [("wait", "work")]))
    late = asyncio.run(_rounds(place, version))
    yield at_most(f"commit in a worker -> frame, {SOCKETS} sockets, p95", 0.250, late)


async def _rounds(place: Place, version: Version) -> list[float]:
    """The 95th percentile of each round."""
    url = f"{place.address.replace('http', 'ws', 1)}/ws/w/{WORKSPACE}/"
    headers = {"Authorization": f"Bearer {place.token}"}
    sockets = []
    try:
        for _ in range(SOCKETS):
            opened = websockets.connect(url, additional_headers=headers, origin=place.address, compression=None)  # type: ignore[arg-type]
            sockets.append(await opened)
        return [percentile(await _round(place, version, sockets), 95) for _ in range(ROUNDS)]
    finally:
        await asyncio.gather(*(one.close() for one in sockets))


async def _round(place: Place, version: Version, sockets: list[Any]) -> list[float]:
    run_id = str(await sync_to_async(place.start)(version))
    seen = await asyncio.gather(*(_end_seen(one, run_id) for one in sockets))
    run = await Run.objects.aget(pk=run_id)
    await asyncio.gather(*(one.send(json.dumps({"unwatch": "run", "id": run_id})) for one in sockets))
    assert run.finished_at is not None, "its end was seen"
    return [moment - run.finished_at.timestamp() for moment in seen]


async def _end_seen(live: Any, run_id: str) -> float:
    await live.send(json.dumps({"watch": "run", "id": run_id}))
    async with asyncio.timeout(PATIENCE):
        while True:
            frame = json.loads(await live.recv())
            if frame.get("run") == run_id and frame.get("state") in FINAL_RUN:
                return time.time()
