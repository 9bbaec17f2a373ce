"""The states of runs, step runs and tokens, and every move between them that is allowed."""

from enum import StrEnum


class RunState(StrEnum):
    """Where a run stands. Under each: who takes it out of that state."""

    RUNNING = "running"  #: `advance` closes it; `set_control` pauses or cancels it
    PAUSED = "paused"  #: an operator's resume or cancel
    CANCELLING = "cancelling"  #: the last leased token to hear of it, else the keeper
    UNDOING = "undoing"  #: the undo run's end
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    UNDONE = "undone"
    UNDO_STUCK = "undo_stuck"  #: an operator


class StepRunState(StrEnum):
    """Where one step's life inside a run stands."""

    READY = "ready"  #: its inputs arrived; a worker claims it
    RUNNING = "running"  #: its worker advances it; the keeper takes it over from a dead one
    WAITING = "waiting"  #: a person, an event, a child run or a clock wakes it
    RETRYING = "retrying"  #: the keeper, when the back-off has passed
    HELD = "held"  #: an operator's resume
    UNDOING = "undoing"  #: its undo step's end
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    TIMED_OUT = "timed_out"
    SKIPPED = "skipped"
    CANCELLED = "cancelled"
    UNDONE = "undone"
    UNDO_FAILED = "undo_failed"


FINAL_RUN = frozenset({RunState.SUCCEEDED, RunState.FAILED, RunState.CANCELLED, RunState.UNDONE, RunState.UNDO_STUCK})
OPEN_RUN = frozenset(RunState) - FINAL_RUN
FINAL_STEP_RUN = frozenset(
    {
        StepRunState.SUCCEEDED,
        StepRunState.FAILED,
        StepRunState.TIMED_OUT,
        StepRunState.SKIPPED,
        StepRunState.CANCELLED,
        StepRunState.UNDONE,
        StepRunState.UNDO_FAILED,
    }
)


class TokenState(StrEnum):
    """Where control stands at one place of a run (one letter: it is written on every move)."""

    READY = "R"  #: `claim` leases it
    LEASED = "L"  #: its owner's `advance`; takeover when the owner is dead
    WAITING = "W"  #: `wake` (a decision, an event) or the keeper when `wake_at` has passed
    HELD = "H"  #: resume
    FAILED = "F"  #: kept until the run is closed or retried


class AttemptOutcome(StrEnum):
    """How one attempt ended, as the step log writes it."""

    SUCCESS = "S"
    FAILURE = "F"
    TIMEOUT = "T"
    UNKNOWN = "U"  #: its worker died; the step may have acted
    CANCELLED = "K"
    REPEATED = "R"  #: no attempt: what stands before it counts no more, for an operator has the step run again


#: Every legal move of a run; the docs draw this table and a test compares the SQL with it.
RUN_MOVES: dict[RunState, frozenset[RunState]] = {
    RunState.RUNNING: frozenset(
        {
            RunState.PAUSED,
            RunState.CANCELLING,
            RunState.UNDOING,
            RunState.SUCCEEDED,
            RunState.FAILED,
            RunState.CANCELLED,
        }
    ),
    RunState.PAUSED: frozenset({RunState.RUNNING, RunState.CANCELLING, RunState.UNDOING, RunState.CANCELLED}),
    RunState.CANCELLING: frozenset({RunState.CANCELLED, RunState.FAILED, RunState.UNDOING}),
    RunState.UNDOING: frozenset({RunState.UNDONE, RunState.UNDO_STUCK}),
    RunState.FAILED: frozenset({RunState.RUNNING, RunState.UNDOING}),
    RunState.UNDO_STUCK: frozenset({RunState.UNDOING}),
    RunState.SUCCEEDED: frozenset({RunState.RUNNING, RunState.UNDOING}),
    RunState.CANCELLED: frozenset({RunState.RUNNING, RunState.UNDOING}),
    RunState.UNDONE: frozenset(),
}
