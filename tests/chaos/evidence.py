"""What is kept of a round that went wrong: all that rows, witnesses and nemesis know of the runs in question."""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from uuid import UUID

from orchestrator.models import Run, RunRecord, Scope, StepLog, Token
from tests.chaos.journal import FILES

RUN = re.compile(r"[0-9a-f]{8}-[0-9a-f-]{27}")
MOST_RUNS = 20
FIELDS = ("entry", "node", "scope_id", "generation", "attempt", "outcome", "final", "started_at", "finished_at")


def keep(place: Path, wrong: list[str], journal: Path, history: list[tuple[int, str]]) -> Path:
    """Write one file and return its path. `history` is what was struck when, by the clock of the journal."""
    place.parent.mkdir(parents=True, exist_ok=True)
    mentioned = dict.fromkeys(run for text in wrong for run in RUN.findall(text))
    named = {UUID(run) for run in list(mentioned)[:MOST_RUNS]}
    runs = named | set(Run.objects.filter(root_run__in=named).values_list("pk", flat=True))
    rows = StepLog.objects.filter(run__in=runs).order_by("entry").values("run", "session_id", "error", *FIELDS)
    sections = {
        "Wrong": wrong,
        "Runs": _lines(Run.objects.filter(pk__in=runs).values()),
        "Records": _lines(RunRecord.objects.filter(run__in=runs).order_by("pk").values()),
        "Log": _lines(rows),
        "Tokens": _lines(Token.objects.filter(run__in=runs).values()),
        "Scopes": _lines(Scope.objects.filter(run__in=runs).values()),
        "Journal": sorted(_told(journal, runs), key=lambda line: line.split()[2]),
        "Blows": (f"{at} {what}" for at, what in history),
        "Nodes": (path.read_text(errors="replace") for path in journal.glob("*.log")),
    }
    place.write_text("\n".join(f"# {name}\n" + "\n".join(lines) for name, lines in sections.items()))
    return place


def _lines(rows: Iterable[object]) -> Iterator[str]:
    return (str(row) for row in rows)


def _told(journal: Path, runs: set[UUID]) -> Iterator[str]:
    names = [str(run) for run in runs]
    for path in journal.glob(FILES):
        for line in path.read_text().splitlines():
            if any(name in line for name in names):
                yield f"{path.stem} {line}"
