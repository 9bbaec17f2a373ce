"""`manage.py export SLUG`: the draft or a version of a workflow as a document."""

from pathlib import Path
from typing import Any

from django.core.management.base import CommandError, CommandParser

from designer.queries.drafts import as_text, load_draft
from designer.queries.workflows import find_version, find_workflow
from orchestrator.api import Actor, BranchlineError, Json, machine_actor
from orchestrator.project import samples
from orchestrator.project.people import workspace_named
from orchestrator.project.running.served import ServedCommand


class Command(ServedCommand):
    """Prints the document, or writes it to a file."""

    help = "Export a workflow's draft, or a version, as a JSON document."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("slug", help="slug of the workflow")
        parser.add_argument("--workspace", default=samples.WORKSPACE, help="its slug (default: demo)")
        # Not "--version": Django's own option prints the version of Django.
        parser.add_argument("--number", type=int, help="number of a published version; the draft unless given")
        parser.add_argument("--output", help="file to write; standard output unless given")

    def handle(self, *args: Any, **options: Any) -> None:
        samples.load_when_wanted()
        try:
            actor = machine_actor(workspace_named(options["workspace"]))
            text = as_text(document(actor, options["slug"], options["number"]))
        except BranchlineError as error:
            raise CommandError(error.message) from error
        if not options["output"]:
            self.stdout.write(text, ending="")
            return
        try:
            Path(options["output"]).write_text(text, encoding="utf-8")
        except OSError as error:
            raise CommandError(f'"{options["output"]}" cannot be written: {error.strerror}.') from error


def document(actor: Actor, slug: str, number: int | None) -> Json:
    """The draft, or the version with this number. Raises NotFound."""
    workflow = find_workflow(actor, slug)
    return load_draft(workflow).document if number is None else find_version(workflow, number).document
