"""`manage.py bench`: the speed rows beside their floors, on servers and data of their own."""

import os
import shutil
import subprocess
import sys
import tempfile
from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from rich.console import Console
from rich.table import Table

from orchestrator.project.bench.place import place
from orchestrator.project.bench.row import Row
from orchestrator.project.bench.rows import MEASUREMENTS, rows_of
from orchestrator.project.running.served import served

INSIDE = "BRANCHLINE_BENCH_INSIDE"


class Command(BaseCommand):
    """Measure. Everything runs on this machine in a data folder that is removed afterwards."""

    help = "Measure the speed rows beside their floors: medians, spread shown."
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--only", default="", help=f"a,b,c of {', '.join(MEASUREMENTS)}; else all")

    def handle(self, *args: Any, **options: Any) -> None:
        names = chosen(options["only"])
        if INSIDE not in os.environ:
            self.in_folder_of_its_own()
            return
        # `DISCARD ALL`, connection pools and caches are as in production; durability too: fsync stays on.
        with served(), place() as found:
            rows = []
            for row in rows_of(found, names):
                self.stderr.write(f"{row.name}: {written(row, row.median)}")
                rows.append(row)
            show(rows)

    def in_folder_of_its_own(self) -> None:
        folder = tempfile.mkdtemp(prefix="branchline-bench-")
        environment = {
            **os.environ,
            INSIDE: "1",
            "DATA": folder,
            "BRANCHLINE_DATA": folder,
            "BRANCHLINE_LOG_LEVEL": "ERROR",
        }
        if settings.EMBEDDED_POSTGRES:
            environment.pop("DATABASE_URL", None)
        try:
            raise SystemExit(subprocess.run([sys.executable, *sys.argv], env=environment, check=False).returncode)
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def chosen(text: str) -> list[str]:
    """The measurements that `--only` names, in its order; all without it. Raises CommandError."""
    names = [name.strip() for name in text.split(",") if name.strip()]
    if unknown := [name for name in names if name not in MEASUREMENTS]:
        raise CommandError(f'There is no measurement "{unknown[0]}". There are: {", ".join(MEASUREMENTS)}.')
    return names or list(MEASUREMENTS)


def show(rows: list[Row]) -> None:
    """The table for the terminal and for docs/performance.md."""
    table = Table(title="Medians, whole product, live view on, fsync on")
    for name in ("Work", "Median", "Spread", "Floor", "Factor", "Target", "Met"):
        table.add_column(name, justify="left" if name in ("Work", "Target") else "right")
    for row in rows:
        floor = row.floor_median
        spread = f"{written(row, min(row.measured))} - {written(row, max(row.measured))}"
        factor = "" if row.factor is None else f"{row.factor:.3f}" if row.ratios else f"{row.factor:.2f}"
        shown = "" if floor is None else written(row, floor)
        table.add_row(row.name, written(row, row.median), spread, shown, factor, row.target, "yes" if row.met else "no")
    Console(width=130).print(table)


def written(row: Row, value: float) -> str:
    """A value in the row's unit."""
    return f"{value * 1000:,.1f} ms" if row.unit == "ms" else f"{value:,.0f} {row.unit}"
