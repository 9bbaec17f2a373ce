"""The ceiling on the events of a workspace, whichever door they come by."""

import time
from math import ceil

from rest_framework.exceptions import Throttled

from orchestrator.api import Actor
from orchestrator.rest import throttle

#: Events of a workspace in a minute: it stops loops and floods, not work.
PER_WORKSPACE = 60_000
FULL = f"This workspace has sent its {PER_WORKSPACE:,} events of this minute."


def admits(actor: Actor) -> bool:
    """Count one event of the workspace. False above its ceiling."""
    return throttle.admits(f"events:{actor.workspace_id}", PER_WORKSPACE)


def admit(actor: Actor) -> None:
    """The same for the API. Raises Throttled."""
    if not admits(actor):
        raise Throttled(wait=seconds_left(), detail=FULL)


def seconds_left() -> int:
    """Until events are counted anew."""
    return ceil(throttle.WINDOW - time.time() % throttle.WINDOW)
