"""Two drivers of one corpus: a worker in this process, and real worker nodes."""

import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from uuid import UUID

import httpx

from orchestrator.core.json_types import Json
from orchestrator.engine.sandbox import Sandbox
from orchestrator.models import HumanTask, User, WorkerSession
from orchestrator.models.ballot import digest_of
from orchestrator.models.task import WAITING_TASK
from orchestrator.project.embedded.child import ChildOptions, start_child, stop_child
from orchestrator.queries.actors import actor_in
from orchestrator.services.tasks import decide_task
from tests.engine.house import House, keeper_at_work, make_tools, worker_at_work
from tests.waiting import wait_until

DRIVERS = ("inline", "workers")


@contextmanager
def inline(house: House, sandbox: Sandbox) -> Iterator[None]:
    """Slots, keeper and sandbox in this process."""
    with worker_at_work(make_tools(sandbox)) as house.worker, keeper_at_work(house.worker.poke):
        yield


@contextmanager
def workers(environment: dict[str, str], *, processes: int = 2) -> Iterator[subprocess.Popen[bytes]]:
    """One real worker node, up when the block begins."""
    arguments = [sys.executable, "manage.py", "work", "--processes", str(processes)]
    node = start_child(arguments, ChildOptions(environment=environment))
    try:
        wait_until(lambda: WorkerSession.objects.count() >= processes, 30, "the worker node to start")
        yield node
    finally:
        node.terminate()
        node.wait(timeout=30)


@contextmanager
def web(environment: dict[str, str]) -> Iterator[str]:
    """The real web process on a free port; its address."""
    listener = socket.create_server(("127.0.0.1", 0))
    address = f"http://127.0.0.1:{listener.getsockname()[1]}"
    arguments = [sys.executable, "-m", "orchestrator.project.running.web", str(listener.fileno())]
    child = start_child(arguments, ChildOptions(environment=environment, keep_open=(listener.fileno(),)))
    try:
        wait_until(lambda: _answers(address), 30, "the web process to answer")
        yield address
    finally:
        stop_child(child, [(signal.SIGTERM, 10.0)])
        listener.close()


def _answers(address: str) -> bool:
    try:
        return httpx.get(f"{address}/healthz", timeout=2, trust_env=False).is_success
    except httpx.HTTPError:
        return False


def decide(run_id: UUID, user: User, outcome: str, values: dict[str, Json] | None = None, comment: str = "") -> None:
    """Wait for the run's human task and answer it as `user`."""
    waiting = HumanTask.objects.filter(run_id=run_id, state__in=WAITING_TASK)
    wait_until(waiting.exists, 30, "a human task to open")
    task = waiting.get()
    actor = actor_in(task.workspace.slug, user)
    assert actor is not None
    decide_task(
        task_id=task.pk, actor=actor, outcome=outcome, values=values or {}, comment=comment, digest=digest_of(task)
    )


Driver = Callable[[], object]
