"""A worker inside this process, for commands that start work on a machine where no worker node serves the queue."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from uuid import uuid4

from django.db.models.functions import Now

from orchestrator.engine.keeper import TTL, Keeper
from orchestrator.engine.worker import Worker
from orchestrator.models import WorkerSession
from orchestrator.project import telemetry
from orchestrator.project.tools import make_tools
from orchestrator.services.control import fail_overdue_run
from orchestrator.services.notices import send_task_notices


def unserved(queues: Iterable[str]) -> list[str]:
    """Those of the queues that no living worker serves."""
    living = WorkerSession.objects.filter(beat_at__gt=Now() - timedelta(seconds=TTL)).values_list("queues", flat=True)
    served = {queue for names in living for queue in names}
    return sorted(set(queues) - served)


@contextmanager
def local_worker(queues: Iterable[str]) -> Iterator[Callable[[], None]]:
    """Inside the block this process performs steps of these queues. Yields the poke."""
    worker = Worker(uuid4(), queues, make_tools())
    keeper = Keeper(
        fail_overdue_run, wake=lambda queue, count: worker.poke(), notify=send_task_notices, beat=worker.beat
    )
    telemetry.start()
    worker.start()
    keeper.start()
    try:
        yield worker.poke
    finally:
        keeper.stop()
        worker.stop(grace=10)
        telemetry.stop()
