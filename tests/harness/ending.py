"""After the blows: everything is put right and worked off, then each run is compared with the simple reading."""

from orchestrator.models import Run, StepLog
from orchestrator.queries.fsck import breaches
from tests.engine import test_random_nested as nested
from tests.engine.test_random_graphs import happened
from tests.graphs import Expected
from tests.harness.faults import Blow, Breached
from tests.harness.stepped import SLOTS
from tests.harness.told import all_ended
from tests.harness.world import Started, World

MOST_TURNS = 400
HOUR = 3_600.0
#: Failures that the simple reading does not know: too many deaths or time-outs spent what the step may try.
SPENT = {"worker_lost", "flaky", "timeout"}


def drain(world: World) -> None:
    """With one healthy worker and one keeper every run ends (I4)."""
    for process in world.processes:
        if not process.dead:
            world.kill(process, noticed=False)
    for run in world.runs.values():
        world.control(run, "resume")
    worker = world.boot()
    for _ in range(MOST_TURNS):
        if not world.memory.open_runs():
            break
        world.pass_time(HOUR)
        world.sweep()
        world.claim(worker, SLOTS, "heard")
        while worker.in_hand:
            held = worker.in_hand[0]
            worker.perform(held)
            world.finish(worker, [held], Blow.NONE, None)
        world.check()
    else:
        raise Breached("I4 every run ends", f"open after {MOST_TURNS} sweeps: {world.memory.open_runs()}")


def compare(world: World) -> None:
    """Nothing lost, nothing doubled: what ran and how it ended is what the drawing says (I2)."""
    all_ended(world.database)
    for run in world.runs.values():
        row = Run.objects.get(pk=run.run_id)
        if run.closing:
            if row.state != run.closing:
                raise Breached(
                    "I10 a cancelled run is cancelled", f"{run.run_id} was to end {run.closing}, is {row.state}"
                )
            continue
        if _spent(run):
            continue
        flat = isinstance(run.wanted, Expected)
        found = happened(row, run.version) if flat else nested.happened(row)
        if not (run.wanted.allows(found) if flat else run.wanted == found):  # type: ignore[union-attr, arg-type]
            raise Breached("I2 what runs is what is drawn", f"{run.run_id}: {found}, not {run.wanted}")
    if found_by_fsck := list(breaches()):
        raise Breached(found_by_fsck[0].invariant.name, str(found_by_fsck))


def _spent(run: Started) -> bool:
    family = nested.family([run.run_id])
    errors = StepLog.objects.filter(run__in=family, final=True).exclude(error=None).values_list("error", flat=True)
    return any(error["code"] in SPENT for error in errors if error is not None)
