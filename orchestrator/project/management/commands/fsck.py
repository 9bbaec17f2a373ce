"""`manage.py fsck`: check the engine's invariants on the live database."""

from argparse import ArgumentParser
from typing import Any

from rich.console import Console
from rich.table import Table

from orchestrator.project.running.served import ServedCommand
from orchestrator.queries.fsck import INVARIANTS, breaches


class Command(ServedCommand):
    """Exit code 0 when every invariant holds, 1 with a table of what breaks one."""

    help = "Check the engine's invariants on the live database. Only reads."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--all", action="store_true", help="all runs, not only open ones and those of the last hour"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        found = list(breaches(everything=options["all"]))
        if not found:
            self.stdout.write(f"All {len(INVARIANTS)} invariants hold.")
            return
        table = Table("Invariant", "Run", "Where", "What must hold", title=f"{len(found)} breaches")
        for breach in found:
            table.add_row(breach.invariant.name, breach.run, breach.what, breach.invariant.sentence)
        Console(width=160).print(table)
        raise SystemExit(1)
