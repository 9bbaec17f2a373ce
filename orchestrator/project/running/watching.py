"""A run in the terminal: one line a step, moving as its rows do. In a pipe or a file: one line for each change."""

import asyncio
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from urllib.parse import urlsplit
from uuid import UUID

from asgiref.sync import sync_to_async
from django.conf import settings
from rich.console import Console
from rich.live import Live
from rich.markup import escape
from rich.table import Table

from orchestrator.core.states import FINAL_RUN
from orchestrator.engine.announcements import ALIVE, DEAF, hearing
from orchestrator.models import Run
from orchestrator.project.logs import escaped
from orchestrator.queries.step_run import StepRun
from orchestrator.queries.step_runs import step_runs

LOOK_AGAIN = 1.0  # seconds: the longest that a lost message delays the picture
TRY_AGAIN = 1.0  # seconds until Valkey is asked again
NO_NEWS = (
    "Valkey does not answer at {}. The run goes on, and is shown up to a second late. For news at once start Valkey, "
    "or all of Branchline with `manage.py up`."
)
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
    "undoing": "[magenta]↶[/] undoing",
    "undone": "[magenta]↶[/] undone",
    "undo_failed": "[red]↶[/] could not be undone",
}
LONGEST_REMARK = 100  # characters

Show = Callable[[Run, str, Iterable[StepRun]], None]


def watch(run_id: UUID, console: Console, poke: Callable[[], None]) -> Run:
    """Show the run until it has ended, and return it."""
    return asyncio.run(_watch(run_id, console, poke))


async def _watch(run_id: UUID, console: Console, poke: Callable[[], None]) -> Run:
    run = await sync_to_async(Run.objects.get)(pk=run_id)
    steps: dict[tuple[str, str | None], StepRun] = {}
    after: int | None = None
    moved = asyncio.Event()
    listening = asyncio.create_task(_listen(run.workspace_id, moved))
    try:
        with picture(console) as show:
            while True:
                moved.clear()
                poke()
                found = await sync_to_async(step_runs)(run, after=after, shown=True)
                after = found.seq
                steps |= {(step.key, step.scope): step for step in found.items}
                show(run, found.run_state, steps.values())
                if found.run_state in FINAL_RUN:
                    break
                with suppress(TimeoutError):
                    await asyncio.wait_for(moved.wait(), LOOK_AGAIN)
    finally:
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)
    return await sync_to_async(Run.objects.get)(pk=run_id)


async def _listen(workspace_id: int, moved: asyncio.Event) -> None:
    """Set the event at all news of the workspace. Without Valkey say so once, and try again until it is back."""
    told = False
    while True:
        try:
            async with hearing(workspace_id) as ear:
                moved.set()  # what was told meanwhile is lost
                while True:
                    if await ear.next(ALIVE) is not None:
                        moved.set()
        except DEAF:
            if not told:
                Console(stderr=True).print(NO_NEWS.format(_valkey()), markup=False, highlight=False, soft_wrap=True)
            told = True
        await asyncio.sleep(TRY_AGAIN)


def _valkey() -> str:
    """Its address, without what is secret in it."""
    parts = urlsplit(settings.REDIS_URL)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


@contextmanager
def picture(console: Console) -> Iterator[Show]:
    """Inside the block every call of what it yields shows a moment of the run."""
    if not console.is_terminal:
        yield lines(console)
        return
    with Live(console=console, refresh_per_second=10) as live:
        yield lambda run, state, steps: live.update(table(run, state, steps))


def lines(console: Console) -> Show:
    """For a pipe or a file, which keep what they are told: nothing is told twice."""
    told: dict[tuple[str, str | None], tuple[object, ...]] = {}

    def show(_run: Run, _state: str, steps: Iterable[StepRun]) -> None:
        for step in steps:
            now = (step.state, step.attempt, remark(step))
            if told.get((step.key, step.scope)) != now:
                told[step.key, step.scope] = now
                console.print(f"{step.key:<24} {mark(step)}  {now[2]}".rstrip(), highlight=False, soft_wrap=True)

    return show


def table(run: Run, state: str, steps: Iterable[StepRun]) -> Table:
    """The picture of one moment."""
    seconds = ((run.finished_at or datetime.now(UTC)) - run.started_at).total_seconds()
    grid = Table(title=f"Run {run.pk}: {state}", caption=f"{seconds:.1f} s", title_justify="left", box=None)
    for name in ("Step", "State", "Attempt", "Seconds", "Remark"):
        grid.add_column(name, justify="right" if name in ("Attempt", "Seconds") else "left")
    for step in steps:
        grid.add_row(step.key, mark(step), str(step.attempt or ""), _seconds(step), remark(step))
    return grid


def mark(step: StepRun) -> str:
    return MARKS[step.state]


def remark(step: StepRun) -> str:
    """Why it waits or what went wrong: text from outside, neither markup nor orders to the terminal."""
    return harmless((step.waiting.text if step.waiting else step.error_message)[:LONGEST_REMARK])


def harmless(text: str) -> str:
    return escape(escaped(text))


def _seconds(step: StepRun) -> str:
    if step.started_at is None or step.finished_at is None:
        return ""
    return f"{(step.finished_at - step.started_at).total_seconds():.3f}"
