"""Waiting for a run's end without asking the database more often than something happens."""

import asyncio
import time

from asgiref.sync import async_to_sync
from channels.layers import get_channel_layer

from orchestrator.api import FINAL_RUN, Run

#: Messages may be lost: look again after this many seconds without one.
LOOK_AGAIN = 1.0


def wait_for_end(run_id: str, workspace_id: int, seconds: float) -> bool:
    """Return True once the run has ended, False after `seconds`. Wakes up when its workspace announces a change."""
    return async_to_sync(_wait)(run_id, workspace_id, time.monotonic() + seconds)


async def _wait(run_id: str, workspace_id: int, end: float) -> bool:
    layer = get_channel_layer()
    channel = await layer.new_channel()
    group = f"workspace.{workspace_id}"
    # First listen, then look: an end in between is announced.
    await layer.group_add(group, channel)
    try:
        while not await _ended(run_id):
            left = end - time.monotonic()
            if left <= 0:
                return False
            await _announced(layer, channel, run_id, min(left, LOOK_AGAIN))
        return True
    finally:
        await layer.group_discard(group, channel)


async def _announced(layer: object, channel: str, run_id: str, seconds: float) -> None:
    """Return when a message says that this run changed, or after `seconds`."""
    try:
        async with asyncio.timeout(seconds):
            while run_id not in (await layer.receive(channel)).get("runs", ()):  # type: ignore[attr-defined]  # untyped
                pass
    except TimeoutError:
        return


async def _ended(run_id: str) -> bool:
    state = await Run.objects.filter(pk=run_id).values_list("state", flat=True).aget()
    return state in FINAL_RUN
