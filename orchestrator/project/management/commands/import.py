"""`manage.py import FILE`: a document becomes the draft of a new workflow."""

import sys
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError, CommandParser

from designer.services.transfer import MOST_BYTES, import_document
from orchestrator.api import BranchlineError, machine_actor, parse_json
from orchestrator.project import samples
from orchestrator.project.people import workspace_named
from orchestrator.project.running.served import ServedCommand


class Command(ServedCommand):
    """Prints the slug of the new workflow and nothing else on standard output."""

    help = "Import a workflow document as a draft. Nothing is run or published."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", help="a JSON file, or - for standard input")
        parser.add_argument("--workspace", default=samples.WORKSPACE, help="its slug (default: demo)")
        parser.add_argument("--slug", default="", help="wished address; made of the name unless given")

    def handle(self, *args: Any, **options: Any) -> None:
        samples.load_when_wanted()
        try:
            actor = machine_actor(workspace_named(options["workspace"]))
            document = parse_json(read(options["file"]), max_bytes=MOST_BYTES)
            imported = import_document(document=document, actor=actor, slug=options["slug"])
        except BranchlineError as error:
            raise CommandError(error.message) from error
        for change in imported.changes:
            self.stderr.write(f"{change['step'] or 'output'}: {change['field']}: {change['message']}")
        self.stdout.write(imported.workflow.slug)


def read(name: str) -> bytes:
    """The bytes of a file, or of standard input for "-"; one more than accepted at most."""
    if name == "-":
        return sys.stdin.buffer.read(MOST_BYTES + 1)
    try:
        with Path(name).open("rb") as file:
            return file.read(MOST_BYTES + 1)
    except OSError as error:
        raise CommandError(f'"{name}" cannot be read: {error.strerror}.') from error
