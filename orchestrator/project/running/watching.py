"""A run in the terminal: one line a step, moving as its rows do."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from uuid import UUID

from asgiref.sync import sync_to_async
from channels.layers import get_channel_layer
from rich.console import Console
from rich.live import Live
from rich.table import Table

from orchestrator.core.states import FINAL_RUN
from orchestrator.models import Run
from orchestrator.queries.step_run import StepRun
from orchestrator.queries.step_runs import step_runs

LOOK_AGAIN = 1.0  # seconds: the longest that a lost message delays the picture
MARKS = {
    "ready": "[dim]…[/] ready",
    "running": "[blue]●[/] running",
    "waiting": "[magenta]◔[/] waiting",
    "retrying": "[yellow]↻[/] retrying",
    "held": "[dim]‖[/] held",
    "succeeded": "[green]✓[/] succeeded",
    "failed": "[red]✗[/] failed",
    "timed_out": "[dark_orange]✗[/] timed out",
    "skipped": "[dim]╱ skipped[/]",
    "cancelled": "[yellow]■[/] cancelled",
}


def watch(run_id: UUID, console: Console, poke: Callable[[], None]) -> Run:
    """Show the run until it has ended, and return it."""
    return asyncio.run(_watch(run_id, console, poke))


async def _watch(run_id: UUID, console: Console, poke: Callable[[], None]) -> Run:
    run = await sync_to_async(Run.objects.get)(pk=run_id)
    layer = get_channel_layer()
    channel = await layer.new_channel()
    await layer.group_add(f"workspace.{run.workspace_id}", channel)
    steps: dict[tuple[str, str | None], StepRun] = {}
    after: int | None = None
    with Live(console=console, refresh_per_second=10, transient=not console.is_terminal) as live:
        while True:
            poke()
            found = await sync_to_async(step_runs)(run, after=after)
            after = found.seq
            steps |= {(step.key, step.scope): step for step in found.items}
            live.update(table(run, found.run_state, list(steps.values())))
            if found.run_state in FINAL_RUN:
                break
            try:
                await asyncio.wait_for(layer.receive(channel), LOOK_AGAIN)
            except TimeoutError:
                continue
    await layer.group_discard(f"workspace.{run.workspace_id}", channel)
    return await sync_to_async(Run.objects.get)(pk=run_id)


def table(run: Run, state: str, steps: list[StepRun]) -> Table:
    """The picture of one moment."""
    seconds = ((run.finished_at or datetime.now(UTC)) - run.started_at).total_seconds()
    grid = Table(title=f"Run {run.pk}: {state}", caption=f"{seconds:.1f} s", title_justify="left", box=None)
    for name in ("Step", "State", "Attempt", "Seconds", "Remark"):
        grid.add_column(name, justify="right" if name in ("Attempt", "Seconds") else "left")
    for step in steps:
        remark = step.waiting.text if step.waiting else step.error_message
        grid.add_row(step.key, MARKS.get(step.state, step.state), str(step.attempt or ""), _seconds(step), remark[:100])
    return grid


def _seconds(step: StepRun) -> str:
    if step.started_at is None or step.finished_at is None:
        return ""
    return f"{(step.finished_at - step.started_at).total_seconds():.3f}"
