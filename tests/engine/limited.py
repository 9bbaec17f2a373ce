"""Drawings with a limit of open runs, and the states of their runs."""

from typing import Any
from uuid import UUID

from orchestrator.models import Run, Token
from tests.engine.drawings import document, step

FOREVER = step("a", "delay", config={"for": "PT10M"})


def limited(limit: int, on_limit: str = "queue", *steps: dict[str, Any], key: Any = None) -> dict[str, Any]:
    concurrency = {"limit": limit, "on_limit": on_limit, **({} if key is None else {"key": key})}
    return document(list(steps) or [FOREVER], settings={"concurrency": concurrency})


def queued(*runs: UUID) -> list[bool]:
    rows = dict(Run.objects.filter(pk__in=runs).values_list("pk", "queued"))
    return [rows[run] for run in runs]


def states(run_id: UUID) -> list[str]:
    return list(Token.objects.filter(run_id=run_id).values_list("state", flat=True))


def state(run_id: UUID) -> str:
    return Run.objects.values_list("state", flat=True).get(pk=run_id)
