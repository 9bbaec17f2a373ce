"""A run with a step at work that a test holds in its hands."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

from orchestrator.core.kinds import Kinds
from orchestrator.engine.keeper import Keeper
from orchestrator.engine.sandbox import Sandbox
from tests.engine.house import House, keeper_at_work, make_tools, worker_at_work
from tests.engine.kinds import Held

UNDO = {"kind": "transform", "config": {"value": {"$": "output"}}}


@contextmanager
def held_at_work(
    house: House, sandbox: Sandbox, held: Held, known: Kinds, raw: dict[str, Any], grace: float = 60.0
) -> Iterator[tuple[UUID, Keeper]]:
    """The run of a drawing in which `held` is at work, and the keeper; a worker is at work, too."""
    version = house.publish(raw, kinds=known)
    with (
        worker_at_work(make_tools(sandbox, known)) as house.worker,
        keeper_at_work(house.worker.poke, grace=grace) as keeper,
    ):
        run_id = house.start(version)
        held.enter()
        try:
            yield run_id, keeper
        finally:
            held.release.set()
