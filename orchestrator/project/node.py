"""What a Celery worker node does for the engine: the parent beats and keeps, each pool process works."""

import gc
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar
from uuid import UUID, uuid4

import billiard.pool
import structlog
from celery import bootsteps, shared_task
from celery.signals import worker_process_init, worker_process_shutdown
from django.conf import settings
from django.db import connections

from orchestrator.engine import statements
from orchestrator.engine.database import Connection, connect
from orchestrator.engine.keeper import Keeper
from orchestrator.engine.pokes import Listener
from orchestrator.engine.worker import Worker
from orchestrator.project import telemetry
from orchestrator.project.celery import app
from orchestrator.project.inspector import Inspector
from orchestrator.project.metrics_server import MetricsServer
from orchestrator.project.tools import make_tools
from orchestrator.services.control import fail_overdue_run

log = structlog.get_logger(__name__)
BEAT = min(3.0, settings.BRANCHLINE_LEASE_TTL / 5)  # seconds between beats
LOOK = 0.2  # seconds between looks for pool processes that died
#: Objects made, and younger collections, between two collections: attempts leave no cycles, but keep many objects.
RARELY = (10_000, 20, 20)
#: Seconds that a thread computes while others wait: who commits must not wait for the whole of a light step's chain.
TURN = 0.0005
GRACE = 8.0  # seconds that steps may take to end when the node stops

#: Made in the parent, inherited by every pool process of this node.
NODE_ID: UUID = uuid4()
#: Set by `manage.py work` before the pool starts.
QUEUES: list[str] = ["default"]
#: Opened by `manage.py work` where an address is set.
METRICS: list[MetricsServer] = []
#: Looks of 0.1 s that an ending pool process waits for the parent to read its last answers. The parent reads none once
#: it stops, and wake-ups have no answer worth reading: billiard's own 300 looks held a stop up for half a minute.
billiard.pool.GUARANTEE_MESSAGE_CONSUMPTION_RETRY_LIMIT = 3
_worker: Worker | None = None
_listener: Listener | None = None


def without_pools(databases: Mapping[str, dict[str, Any]]) -> None:
    """Let each thread of a worker node open its own Django connections.

    Celery closes Django's pools around every task, also under threads that take a connection at that moment: their
    step would fail with "the pool is closed". The hot path has pools of its own.
    """
    for database in databases.values():
        database.get("OPTIONS", {}).pop("pool", None)


@shared_task(name="orchestrator.wake", ignore_result=True)
def wake(queue: str) -> None:
    """There may be work in `queue`: look."""
    if _worker is not None:
        _worker.poke()


@worker_process_init.connect
def begin(**_: Any) -> None:
    """A pool process starts: open a session and look for work."""
    global _worker, _listener
    connections.close_all()  # inherited from the parent: its sockets, not ours
    telemetry.start()
    sys.setswitchinterval(TURN)
    _worker = Worker(NODE_ID, QUEUES, make_tools(), slots=settings.BRANCHLINE_SLOTS)
    _worker.start()
    _listener = Listener(QUEUES, _worker.look)
    _listener.start()
    # What is loaded by now lives as long as the process. Collecting it anew takes a quarter of a second, in which no
    # step begins or ends.
    gc.freeze()
    gc.set_threshold(*RARELY)


@worker_process_shutdown.connect
def end(**_: Any) -> None:
    """A pool process ends: hand its chains back."""
    if _listener is not None:
        _listener.stop()
    if _worker is not None:
        _worker.stop(GRACE)
    telemetry.stop()


class Beat(bootsteps.StartStopStep):
    """Beats for the pool processes of this node, tells the dead from the busy, and runs the keeper."""

    requires: ClassVar = {"celery.worker.components:Pool"}

    def __init__(self, parent: Any, **options: Any) -> None:
        super().__init__(parent, **options)
        self._stopping = threading.Event()
        self._keeper = Keeper(fail_overdue_run, ttl=settings.BRANCHLINE_LEASE_TTL)
        self._inspector = Inspector()

    def start(self, parent: Any) -> None:
        """Called by Celery when the pool is up."""
        threading.Thread(target=self._run, args=(parent,), name="beat", daemon=True).start()
        telemetry.start()
        self._keeper.start()
        self._inspector.start()
        for server in METRICS:
            server.start()

    def stop(self, parent: Any) -> None:
        """Called by Celery before the pool goes down: beating goes on until its processes have ended."""
        self._keeper.stop()
        self._inspector.stop()
        telemetry.stop()

    def terminate(self, parent: Any) -> None:
        """Called by Celery on a cold stop."""
        self._stopping.set()

    def _run(self, parent: Any) -> None:
        connection: Connection | None = None
        beat_in = 0.0
        known: list[int] = []
        while not self._stopping.wait(LOOK):
            beat_in -= LOOK
            living = [pid for pid in pool_pids(parent) if _is_alive(pid)]
            if living == known and beat_in > 0:
                continue
            try:
                if connection is None or connection.closed:
                    connection = connect("beat")
                connection.execute(statements.BEAT, (NODE_ID, living))
                if connection.execute(statements.END_DEAD, (NODE_ID, pool_pids(parent))).rowcount:
                    self._keeper.nudge()
                known, beat_in = living, BEAT
            except Exception as error:  # without beats every lease of this node is lost
                log.warning("cannot beat, trying again", error=str(error).strip()[:200])
                if connection is not None:
                    connection.close()
                connection = None


def pool_pids(parent: Any) -> list[int]:
    """The pool processes that exist."""
    processes = getattr(getattr(parent.pool, "_pool", None), "_pool", None) or []
    return [process.pid for process in processes if process.pid is not None and process.exitcode is None]


def _is_alive(pid: int) -> bool:
    """False for a process that is stopped or gone: its steps go to somebody else when the lease runs out."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state not in {"T", "t", "Z", "X"}


app.steps["worker"].add(Beat)
