"""A workspace with one published workflow, and a worker in this process."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

from django.db import connection

from orchestrator.core.actor import Actor
from orchestrator.core.kinds import Kinds
from orchestrator.core.parse import parse_document
from orchestrator.core.states import FINAL_RUN
from orchestrator.engine.keeper import Keeper
from orchestrator.engine.perform import Tools
from orchestrator.engine.sandbox import Sandbox
from orchestrator.engine.worker import Worker
from orchestrator.models import Payload, Run, Version, Workflow, Workspace
from orchestrator.services.control import fail_overdue_run
from orchestrator.services.runs import start_run
from orchestrator.services.versions import publish_version
from orchestrator.steps import KINDS
from tests.waiting import wait_until


class NoMail:
    """Keeps what would be sent."""

    def __init__(self) -> None:
        self.sent: list[dict[str, Any]] = []

    def send(self, **message: Any) -> str:
        self.sent.append(message)
        return f"<{len(self.sent)}@test>"


@dataclass
class House:
    """Where engine tests live."""

    workspace: Workspace
    actor: Actor
    worker: Worker | None = None

    def publish(self, raw: dict[str, Any], slug: str = "", kinds: Kinds = KINDS) -> Version:
        """Publish a document as a workflow of its own."""
        workflow = Workflow.objects.create(
            workspace=self.workspace, slug=slug or f"w{uuid4().hex[:12]}", name=raw["name"]
        )
        document = parse_document(raw)
        return publish_version(workflow=workflow, document=document, raw=raw, note="", actor=self.actor, kinds=kinds)

    def start(self, version: Version, value: Any = None, **more: Any) -> UUID:
        """Start a run."""
        value = {} if value is None else value
        run_id = start_run(workflow=version.workflow, input=value, actor=self.actor, version=version, **more).run_id
        if self.worker is not None:
            self.worker.poke()  # what the wake-up does to a worker process
        return run_id

    def end_of(self, run_id: UUID, seconds: float = 20) -> Run:
        """The run once it has ended."""
        wait_until(lambda: Run.objects.get(pk=run_id).state in FINAL_RUN, seconds, f"run {run_id} to end")
        return Run.objects.get(pk=run_id)


def make_house() -> House:
    """A fresh workspace and its system actor."""
    workspace = Workspace.objects.create(slug=f"ws-{uuid4().hex[:8]}", name="Test")
    actor = Actor(
        user_id=None,
        username="tester",
        label="Tester",
        workspace_id=workspace.pk,
        workspace_slug=workspace.slug,
        roles=frozenset({"admin", "editor", "operator"}),
        via="system",
    )
    return House(workspace, actor)


def make_tools(sandbox: Sandbox, kinds: Kinds = KINDS) -> Tools:
    """Tools without the network."""
    return Tools(kinds=kinds, sandbox=sandbox, mail=NoMail(), http_for=lambda workspace_id: NoHttp())


class NoHttp:
    """For drawings that make no requests."""

    async def request(self, method: str, url: str, **more: Any) -> Any:
        raise AssertionError(f"{method} {url}: this test uses no HTTP")


@contextmanager
def worker_at_work(tools: Tools, *, slots: int = 6, queues: tuple[str, ...] = ("default",)) -> Iterator[Worker]:
    """A worker whose threads run in this process."""
    worker = Worker(uuid4(), queues, tools, slots=slots)
    worker.start()
    try:
        yield worker
    finally:
        worker.stop(grace=5)


@contextmanager
def keeper_at_work(poke: Callable[[], None], *, ttl: float = 15.0, grace: float = 10.0) -> Iterator[Keeper]:
    """A keeper whose wake-ups poke the worker in this process."""
    keeper = Keeper(fail_overdue_run, wake=lambda queue, count: poke(), ttl=ttl, grace=grace)
    keeper.start()
    try:
        yield keeper
    finally:
        keeper.stop()


def leftovers(run_id: UUID) -> dict[str, int]:
    """What must not remain of a closed run (I17)."""
    tables = {"orchestrator_token": "true", "orchestrator_human_task": "state IN ('open', 'claimed')"}
    found = {}
    with connection.cursor() as cursor:
        for table, condition in tables.items():
            cursor.execute(f"SELECT count(*) FROM {table} WHERE run_id = %s AND {condition}", [run_id])
            found[table] = cursor.fetchone()[0]
    return {table: count for table, count in found.items() if count}


def output(run: Run) -> Any:
    """The run's output, which must be there."""
    if run.output_ref is not None:
        return Payload.objects.get(pk=run.output_ref).body
    assert run.output is not None, f"{run.state}: {run.error}"
    return run.output


def error(run: Run) -> Any:
    """The run's failure, which must be there."""
    assert run.error is not None
    return run.error
