"""What `run --watch` shows, in a terminal and in a pipe."""

import io
from datetime import UTC, datetime

import pytest
from rich.console import Console

from orchestrator.core.states import StepRunState
from orchestrator.models import Run
from orchestrator.project.running.watching import MARKS, picture
from orchestrator.queries.step_run import StepRun

RUN = Run(started_at=datetime(2026, 1, 1, tzinfo=UTC), finished_at=datetime(2026, 1, 1, tzinfo=UTC))


def shown(*moments: list[StepRun], terminal: bool) -> str:
    output = io.StringIO()
    console = Console(file=output, force_terminal=terminal, color_system=None, width=160)
    with picture(console) as show:
        for steps in moments:
            show(RUN, "running", steps)
    return output.getvalue()


def step(key: str, state: StepRunState, message: str = "", attempt: int = 1) -> StepRun:
    return StepRun(key=key, state=state, attempt=attempt, error_message=message)


@pytest.mark.parametrize("terminal", [True, False])
def test_an_error_is_text_and_nothing_else(terminal: bool) -> None:
    hostile = "no key [/x] in [red]row[/red] \x1b[2J"
    output = shown([step("a", StepRunState.FAILED, hostile)], terminal=terminal)
    assert r"no key [/x] in [red]row[/red] \x1b[2J" in output


def test_a_pipe_is_told_each_change_once() -> None:
    ready, running = step("a", StepRunState.READY, attempt=0), step("a", StepRunState.RUNNING)
    again = step("a", StepRunState.RUNNING, attempt=2)
    other = step("b", StepRunState.SUCCEEDED)
    output = shown([ready], [running, other], [running, other], [again, other], terminal=False)
    assert [line.split() for line in output.splitlines()] == [
        ["a", "…", "ready"],
        ["a", "●", "running"],
        ["b", "✓", "succeeded"],
        ["a", "●", "running"],
    ]


def test_every_state_has_its_mark() -> None:
    assert set(MARKS) == set(StepRunState)
