"""`manage.py run`: start a run from the terminal, and watch it to its end."""

import json
from argparse import ArgumentParser
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError
from rich.console import Console

from designer.services.publishing import publish
from designer.services.transfer import import_document
from orchestrator.core.actor import Actor
from orchestrator.core.csv_rows import csv_input
from orchestrator.core.errors import BranchlineError
from orchestrator.core.json_text import parse_json
from orchestrator.core.json_types import Json
from orchestrator.core.states import RunState
from orchestrator.models import Run, Workflow
from orchestrator.project import samples
from orchestrator.project.people import member_with, workspace_named
from orchestrator.project.running.local_worker import local_worker, unserved
from orchestrator.project.running.served import ServedCommand
from orchestrator.project.running.watching import harmless, watch
from orchestrator.services.members import machine_actor
from orchestrator.services.runs import start_run

MOST_INPUT = 8_200_000  # bytes
EXIT_CODES = {
    RunState.SUCCEEDED: 0,
    RunState.FAILED: 1,
    RunState.UNDONE: 1,
    RunState.UNDO_STUCK: 1,
    RunState.CANCELLED: 2,
}


class Command(ServedCommand):
    """Start a run of a workflow, or of a document in a file. With --watch: its exit code is the run's."""

    help = (
        "Start a run of a workflow (its slug) or of a document (a file). "
        "Exit code 0 succeeded, 1 failed (undone or not), 2 cancelled."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("what", metavar="FILE|SLUG", help="a document to import and publish, or a workflow's slug")
        parser.add_argument(
            "--input", type=Path, help='JSON, or CSV, which becomes {"rows": [...]}; - is standard input'
        )
        parser.add_argument("--workspace", default=samples.WORKSPACE)
        parser.add_argument("--user", help="start it as this member; without: as the machine")
        parser.add_argument("--watch", action="store_true", help="show every step until the run has ended")

    def handle(self, *args: Any, **options: Any) -> None:
        samples.load_when_wanted()
        try:
            ended = self.started(**options)
        except BranchlineError as error:
            details = [f"  {problem['message']}" for problem in error.details.get("problems", [])]  # type: ignore[union-attr, index, call-overload]
            raise CommandError("\n".join([error.message, *details[:20]])) from error
        if ended is not None:
            raise SystemExit(EXIT_CODES[RunState(ended.state)])

    def started(
        self,
        *,
        what: str,
        input: Path | None,
        workspace: str,
        user: str | None,
        watch: bool,
        **_rest: Any,
    ) -> Run | None:
        place = workspace_named(workspace)
        actor = member_with(place, user, ["operator"]) if user else machine_actor(place)
        workflow = self.workflow(what, actor)
        value = read_input(input)
        with ExitStack() as stack:
            missing = unserved(queues_of(workflow)) if watch else []
            poke = stack.enter_context(local_worker(missing)) if missing else do_nothing
            run = start_run(workflow=workflow, input=value, actor=actor, trigger="command")
            if not watch:
                self.stdout.write(str(run.run_id))
                return None
            return self.watched(run.run_id, poke)

    def workflow(self, what: str, actor: Actor) -> Workflow:
        file = Path(what)
        if file.suffix == ".json" or file.is_file():
            found = import_document(document=read_json(file), actor=actor, slug=file.stem).workflow
            publish(workflow=found, note=f"Imported from {file.name}.", actor=actor)
            return found
        workflow = Workflow.objects.filter(workspace_id=actor.workspace_id, slug=what, archived_at=None)
        chosen = workflow.select_related("live_version").first()
        if chosen is None:
            raise CommandError(f'There is no workflow "{what}" in "{actor.workspace_slug}", and no file of that name.')
        return chosen

    def watched(self, run_id: Any, poke: Any) -> Run:
        console = Console()
        run = watch(run_id, console, poke)
        if run.error:
            code, message = (harmless(str(run.error.get(name))) for name in ("code", "message"))
            console.print(f"[red]{code}[/]: {message}", highlight=False, soft_wrap=True)
        output = run.output if run.output_ref is None else "(large: see the run page)"
        console.print_json(json.dumps({"run": str(run.pk), "state": run.state, "output": output}))
        return run


def read_input(path: Path | None) -> Json:
    """The run's input. Raises BranchlineError or CommandError."""
    if path is None:
        return {}
    if path.suffix.lower() == ".csv":
        return csv_input(read(path))
    return read_json(path)


def read_json(path: Path) -> Json:
    return parse_json(read(path), max_bytes=MOST_INPUT)


def read(path: Path) -> bytes:
    try:
        return Path("/dev/stdin").read_bytes() if str(path) == "-" else path.read_bytes()
    except OSError as error:
        raise CommandError(f"{path} cannot be read: {error.strerror}.") from error


def queues_of(workflow: Workflow) -> set[str]:
    plan = workflow.live_version.plan if workflow.live_version else {"steps": []}
    return {step["queue"] for step in plan["steps"]} or {"default"}


def do_nothing() -> None:
    """Somebody else's workers are woken by message."""
