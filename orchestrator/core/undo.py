"""Undo: which ended steps are to be undone, and in which order."""

from enum import StrEnum


class UndoState(StrEnum):
    """Where one item of the undo ledger stands."""

    WAITING = "waiting"  #: later steps are undone first
    RUNNING = "running"  #: its undo step has a token
    UNDONE = "undone"
    STUCK = "stuck"  #: an operator: retry, skip with a reason, done by hand
    SKIPPED = "skipped"
    BY_HAND = "by_hand"
    NOT_NEEDED = "not_needed"  #: nothing happened, or nothing that has effects
    IRREVERSIBLE = "irreversible"  #: it happened, has effects, and no undo is drawn
    UNKNOWN = "unknown"  #: nobody knows whether it happened; an operator decides as for STUCK


FINAL_UNDO = frozenset(
    {UndoState.UNDONE, UndoState.SKIPPED, UndoState.BY_HAND, UndoState.NOT_NEEDED, UndoState.IRREVERSIBLE}
)
