"""Where it is measured: the real servers, one worker node, the web process with a watching socket."""

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import httpx
from django.conf import settings

from orchestrator.core.actor import Actor
from orchestrator.core.json_types import Json
from orchestrator.core.parse import parse_document
from orchestrator.core.states import FINAL_RUN
from orchestrator.models import Run, Version, WorkerSession, Workflow
from orchestrator.project.bench import functions
from orchestrator.project.people import account, member_with
from orchestrator.project.running.service import Service
from orchestrator.services.members import create_workspace
from orchestrator.services.runs import start_run
from orchestrator.services.tokens import create_token
from orchestrator.services.versions import publish_version

if TYPE_CHECKING:
    from datetime import datetime

WORKSPACE = "bench"
ROLES = ["editor", "operator", "approver"]
PATIENCE = 120.0  # seconds


@dataclass(kw_only=True)
class Place:
    """A workspace with a live product around it."""

    actor: Actor
    address: str
    token: str

    def publish(self, raw: dict[str, Any]) -> Version:
        """Publish a document as a workflow of its own."""
        workflow = Workflow.objects.create(
            workspace_id=self.actor.workspace_id, slug=f"b{uuid4().hex[:10]}", name=raw["name"]
        )
        document = parse_document(raw)
        return publish_version(workflow=workflow, document=document, raw=raw, note="bench", actor=self.actor)

    def run(self, version: Version, value: Json = None, *, expected: float = 0.0) -> float:
        """Seconds from asking for the start to the commit of the end, by the database's clock.

        `expected`: about how many that will be; nobody looks for the end before.
        """
        return self.span(self.ended([self.start(version, value)], 0.9 * expected))

    def answer(self, version: Version) -> float:
        """What a run of this version says: a number."""
        (run,) = self.ended([self.start(version)])
        assert isinstance(run.output, float)
        return run.output

    def run_many(self, version: Version, count: int) -> float:
        """The same for `count` runs started as fast as they are accepted."""
        return self.span(self.ended([self.start(version) for _ in range(count)]))

    def span(self, runs: list[Run]) -> float:
        last: datetime = max(run.finished_at for run in runs if run.finished_at is not None)
        return (last - min(run.started_at for run in runs)).total_seconds()

    def start(self, version: Version, value: Json = None) -> UUID:
        """Start one run of this version."""
        return start_run(workflow=version.workflow, input=value or {}, actor=self.actor, version=version).run_id

    def ended(self, ids: list[UUID], rest: float = 0.0) -> list[Run]:
        """Wait until all of them have succeeded, and do not look for so many seconds."""
        began = time.monotonic()
        time.sleep(rest)
        while Run.objects.filter(pk__in=ids).exclude(state__in=FINAL_RUN).exists():
            waited = time.monotonic() - began
            if waited > PATIENCE:
                raise TimeoutError("the measured runs do not end")
            # Looking must not disturb what is measured; their own clock is what counts.
            time.sleep(max(0.05, waited / 5))
        runs = list(Run.objects.filter(pk__in=ids))
        assert {run.state for run in runs} == {"succeeded"}, "a measured run failed"
        return runs


@contextmanager
def place() -> Iterator[Place]:
    """Servers must be up. Starts web and one worker node of two processes, and stops them at the end."""
    listener = socket.create_server(("127.0.0.1", 0))
    address = f"http://127.0.0.1:{listener.getsockname()[1]}"
    descriptor = listener.fileno()
    listener.set_inheritable(True)
    settings.SITE_URL = address
    web = Service(
        name="web",
        arguments=["-m", "orchestrator.project.running.web", str(descriptor)],
        keep_open=(descriptor,),
        environment=_environment(address),
    )
    try:
        web.start()
        with worker_node(address, queue="default", processes=2):
            actor, token = _people()
            _wait_for_web(address)
            yield Place(actor=actor, address=address, token=token)
    finally:
        web.stop()
        listener.close()


@contextmanager
def worker_node(address: str, *, queue: str, processes: int) -> Iterator[None]:
    """A worker node that serves this queue; inside the block its processes live."""
    options = ["--processes", str(processes), "--queues", queue, "--name", f"bench-{queue}@%h"]
    node = Service(name=queue, arguments=["manage.py", "work", *options], environment=_environment(address))
    node.start()
    try:
        deadline = time.monotonic() + PATIENCE
        while WorkerSession.objects.filter(queues=[queue]).count() < processes:
            if time.monotonic() > deadline:
                raise TimeoutError(f'the worker node of the queue "{queue}" does not start')
            time.sleep(0.05)  # another process starts: there is nothing to wait on but its rows
        yield
    finally:
        node.stop()


def _environment(address: str) -> dict[str, str]:
    modules = ",".join([*settings.BRANCHLINE_STEP_MODULES, functions.MODULE])
    return {"BRANCHLINE_URL": address, "BRANCHLINE_STEP_MODULES": modules}


def _people() -> tuple[Actor, str]:
    workspace = create_workspace(slug=WORKSPACE, name="Bench", admin=account("bench"))
    actor = member_with(workspace, "bench", ROLES)
    _row, plain = create_token(actor=actor, name="bench", roles=ROLES)
    return actor, plain


def _wait_for_web(address: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            if httpx.get(f"{address}/healthz", trust_env=False).is_success:
                return
        except httpx.HTTPError:
            pass
        if time.monotonic() > deadline:
            raise TimeoutError("the web process does not answer")
        time.sleep(0.05)  # another process starts: there is nothing to wait on but its answer
