"""What the letters of tokens, log rows and the undo ledger mean as states of a step run."""

from orchestrator.core.states import AttemptOutcome, StepRunState, TokenState
from orchestrator.core.undo import UndoState

# Letters and states are looked up by the text itself: making enum members of 10,000 of them takes 15 ms.
TOKEN_STATES: dict[str, StepRunState] = {
    TokenState.READY: StepRunState.READY,
    TokenState.LEASED: StepRunState.RUNNING,
    TokenState.WAITING: StepRunState.WAITING,
    TokenState.HELD: StepRunState.HELD,
    TokenState.FAILED: StepRunState.FAILED,
}
ENDS: dict[str, StepRunState] = {
    AttemptOutcome.SUCCESS: StepRunState.SUCCEEDED,
    AttemptOutcome.FAILURE: StepRunState.FAILED,
    AttemptOutcome.UNKNOWN: StepRunState.FAILED,
    AttemptOutcome.TIMEOUT: StepRunState.TIMED_OUT,
    AttemptOutcome.CANCELLED: StepRunState.CANCELLED,
    AttemptOutcome.REPEATED: StepRunState.WAITING,
}
#: What the ledger says of a step whose undo has begun; in every other state the step stands as it ended.
UNDOS: dict[str, StepRunState] = {
    UndoState.RUNNING: StepRunState.UNDOING,
    UndoState.UNDONE: StepRunState.UNDONE,
    UndoState.BY_HAND: StepRunState.UNDONE,
    UndoState.STUCK: StepRunState.UNDO_FAILED,
    UndoState.UNKNOWN: StepRunState.UNDO_FAILED,
}
#: Which of several states of one step asks for attention first.
ATTENTION = (
    StepRunState.UNDO_FAILED,
    StepRunState.FAILED,
    StepRunState.TIMED_OUT,
    StepRunState.UNDOING,
    StepRunState.RETRYING,
    StepRunState.HELD,
    StepRunState.RUNNING,
    StepRunState.WAITING,
    StepRunState.READY,
    StepRunState.CANCELLED,
    StepRunState.SUCCEEDED,
    StepRunState.UNDONE,
    StepRunState.SKIPPED,
)
