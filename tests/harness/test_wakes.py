"""I6, the other way round: with no sweep and no look at the clock, wake-ups alone must bring every run to its end.

So each token that becomes ready for somebody else is told of, and only after the commit that made it so.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any
from unittest.mock import patch

import pytest

from orchestrator.engine import statements
from orchestrator.engine.committer import Committer
from orchestrator.engine.database import Connection
from orchestrator.engine.lease import leases_of
from orchestrator.services.control import pause_run, resume_run
from tests.engine.drawings import document, step
from tests.engine.house import House
from tests.engine.rows import own_connection
from tests.harness.clock import movable_clock
from tests.harness.faults import Blow, Breached
from tests.harness.world import World

MANY = 100


class Broker:
    """Delivers each wake-up at once: who serves the queue looks, on another connection, and never looks unasked."""

    def __init__(self, world: World, looker: Connection) -> None:
        self.world, self.looker = world, looker

    def ready(self, queues: list[str], **_: Any) -> None:
        for process in self.world.processes:
            if not set(queues).isdisjoint(process.queues):
                arguments = (process.session_id, process.queues, MANY, True)
                for lease in leases_of(self.looker.execute(statements.CLAIM, arguments).fetchall()):
                    self.world.owners[lease.token_id] = process, lease.epoch
                    process.take(lease)

    def changed(self, *_: Any, **__: Any) -> None: ...


@contextmanager
def told_only(house: House) -> Iterator[World]:
    """A world in which two processes serve a queue each and hear of work by messages only."""
    with ExitStack() as stack:
        world = World(house, stack.enter_context(movable_clock()), [])
        broker = Broker(world, stack.enter_context(own_connection("looker")))
        stack.enter_context(patch("orchestrator.engine.dispatch.herald", lambda: broker))
        for queue in ("default", "heavy"):
            world.boot(queues=(queue,))._herald = broker  # type: ignore[assignment]
        yield world


def work_off(world: World) -> None:
    """Perform and commit until nobody has anything in hand; every run must then have ended."""
    while busy := [process for process in world.processes if process.in_hand]:
        held = busy[0].in_hand[0]
        busy[0].perform(held)
        world.finish(busy[0], [held], Blow.NONE, None)
        world.check()
    if stuck := world.memory.open_runs():
        raise Breached("I6 who is ready is told of", f"{len(stuck)} runs wait although nobody was told: {stuck}")


def runs_of_two_queues(house: House) -> None:
    """Steps of one queue lead to steps of another, by forks and by a join."""
    steps = [step("a"), step("b", queue="heavy"), step("c"), step("m", "merge", queue="heavy"), step("z")]
    version = house.publish(document(steps, "a > b > m > z", "a > c > m"))
    with told_only(house) as world:
        for _ in range(3):
            world.know(house.start(version), version)
        work_off(world)


def a_resumed_run(house: House) -> None:
    """What was held is told of when the run goes on."""
    version = house.publish(document([step("a"), step("b")], "a > b"))
    with told_only(house) as world:
        run_id = house.start(version)
        world.know(run_id, version)
        pause_run(run_id, house.actor)
        (process,) = (process for process in world.processes if process.in_hand)
        held = process.in_hand[0]
        process.perform(held)
        world.finish(process, [held], Blow.NONE, None)
        assert not process.in_hand
        resume_run(run_id, house.actor)
        work_off(world)


SCENES = [runs_of_two_queues, a_resumed_run]


@pytest.mark.parametrize("scene", SCENES)
def test_wake_ups_alone_are_enough(house: House, scene: Callable[[House], None]) -> None:
    scene(house)


def before_the_commit_of_a_service() -> AbstractContextManager[object]:
    """Mutant: services send their wake-ups inside the transaction."""
    return patch("django.db.transaction.on_commit", lambda tell, **_: tell())


@contextmanager
def before_the_commit_of_a_worker() -> Iterator[None]:
    """Mutant: the worker sends its wake-ups when it knows them, and commits then."""

    def ask(self: Committer, statement: str, text: str) -> Any:
        database = self._open()
        world: World = database.process.world  # type: ignore[attr-defined]
        with world.database.transaction():
            rows = database.execute(statement, (self.session_id, text)).fetchall()
            for queues in (row["queues"] for row in rows if row["token_id"] is None):
                self._woken(queues)
        return [row for row in rows if row["token_id"] is not None]

    with patch.object(Committer, "_ask", ask):
        yield


MUTANTS = [(before_the_commit_of_a_service, a_resumed_run), (before_the_commit_of_a_worker, runs_of_two_queues)]


@pytest.mark.parametrize(("mutant", "scene"), MUTANTS)
def test_a_wake_up_before_the_commit_is_lost(
    house: House, mutant: Callable[[], AbstractContextManager[object]], scene: Callable[[House], None]
) -> None:
    with mutant(), pytest.raises(Breached, match="I6"):
        scene(house)
