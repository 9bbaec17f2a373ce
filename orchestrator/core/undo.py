"""Undo: which ended steps are to be undone, and in which order."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from itertools import chain
from types import MappingProxyType
from typing import Literal

from orchestrator.core.undo_order import Order


class UndoState(StrEnum):
    """Where one item of the undo ledger stands."""

    WAITING = "waiting"  #: later steps are undone first
    RUNNING = "running"  #: its undo step has a token
    UNDONE = "undone"
    STUCK = "stuck"  #: an operator: retry, skip with a reason, done by hand
    SKIPPED = "skipped"
    BY_HAND = "by_hand"
    NOT_NEEDED = "not_needed"  #: nothing happened, or nothing that has effects
    IRREVERSIBLE = "irreversible"  #: it happened, or may have, has effects, and no undo is drawn
    UNKNOWN = "unknown"  #: nobody knows whether it happened; an operator decides as for STUCK


FINAL_UNDO = frozenset(
    {UndoState.UNDONE, UndoState.SKIPPED, UndoState.BY_HAND, UndoState.NOT_NEEDED, UndoState.IRREVERSIBLE}
)

#: What a person must settle.
NEEDS_PERSON = frozenset({UndoState.STUCK, UndoState.UNKNOWN})


@dataclass(frozen=True, slots=True, kw_only=True)
class Happened:
    """The last row that the step log holds of one step run. `cause` names the entries of the rows before it.

    `acted` is True (it succeeded), False (it did nothing) or None (nobody knows: its worker died, or it was cut off).
    """

    entry: int
    node: int
    scope_id: int
    generation: int
    cause: tuple[int, ...]
    acted: bool | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Entered:
    """One entered container: its block of scopes, and where its own step stands."""

    block: int
    node: int
    parent: int
    generation: int


@dataclass(frozen=True, slots=True, kw_only=True)
class UndoEntry:
    """One line of the ledger. It may begin when `awaits` later ones are settled; then it `releases` earlier ones.

    `listed`: it stands in the ledger of a scope already; `awaits` and `releases` are what this ledger adds to it.
    """

    entry: int
    node: int
    scope_id: int
    generation: int
    state: UndoState
    position: int
    awaits: int = 0
    releases: tuple[int, ...] = ()
    listed: bool = False


#: How a line stands that another ledger of the run holds already: settled, waiting for a person, or open.
Listed = Literal["settled", "stuck", "open"]
#: Is there an undo for this node; has it effects; may its undo run although nobody knows whether it acted?
Handling = Callable[[int], "Handler"]


@dataclass(frozen=True, slots=True)
class Handler:
    """What a plan says of undoing one step. `in_turns`: a container that does one of its scopes after another."""

    has_undo: bool
    has_effects: bool
    tolerant: bool = False
    in_turns: bool = False


def undo_ledger(
    rows: Iterable[Happened],
    entered: Iterable[Entered],
    handling: Handling,
    block_size: int,
    listed: Mapping[int, Listed] = MappingProxyType({}),
) -> list[UndoEntry]:
    """What is to be undone of what happened, in reverse causal order; parallel branches stay parallel.

    Every handler waits for the handlers of all steps that came after its own: `cause` backwards; what happened in a
    container came before the container's end, each turn of a repeat after the one before, and each time that a step was
    done after the time before and all that had followed then. Steps without a handler are passed through. Linear in the
    rows where containers hold many: sets of predecessors are shared, not copied. Source: Garcia-Molina and Salem, Sagas
    (1987), on a partial order instead of a line. `listed`: entries that the ledger of a scope holds; what is open of
    them is waited for, and waits, like everything else.
    """
    ordered = sorted(rows, key=lambda row: row.entry)
    states = {row.entry: _state(row, handling, listed.get(row.entry)) for row in ordered}
    carried = {entry for entry, state in states.items() if state in _CARRIED}
    before = Order(carried, lambda node: handling(node).in_turns, block_size).read(ordered, entered)
    releases = {row.entry: _released(row.entry, before, listed) for row in ordered if row.entry in carried}
    awaits = Counter(chain.from_iterable(releases.values()))
    kept = [row for row in reversed(ordered) if states[row.entry] is not None]
    return [
        UndoEntry(
            entry=row.entry,
            node=row.node,
            scope_id=row.scope_id,
            generation=row.generation,
            state=_begun(states[row.entry], awaits[row.entry]),
            position=position,
            awaits=awaits[row.entry],
            releases=tuple(sorted(releases.get(row.entry, ()))),
            listed=row.entry in listed,
        )
        for position, row in enumerate(kept)
    ]


def _state(row: Happened, handling: Handling, listed: Listed | None) -> UndoState | None:
    if listed is None:
        return _state_of(row, handling(row.node))
    return None if listed == "settled" else UndoState.WAITING


def _released(entry: int, before: Mapping[int, frozenset[int]], listed: Mapping[int, Listed]) -> frozenset[int]:
    """The earlier ones that wait for this one. Among listed ones their ledger says so; a person waits for nobody."""
    if not listed:
        return before[entry]
    kept = {"open"} if entry not in listed else set()
    return frozenset(one for one in before[entry] if one not in listed or listed[one] in kept)


#: Others wait for these; the remaining ones are only told.
_CARRIED = frozenset({UndoState.WAITING, UndoState.UNKNOWN})


def _state_of(row: Happened, handler: Handler) -> UndoState | None:
    if row.acted is False:
        return UndoState.NOT_NEEDED if handler.has_undo else None
    if not handler.has_undo:
        return UndoState.IRREVERSIBLE if handler.has_effects else None
    return UndoState.WAITING if row.acted or handler.tolerant else UndoState.UNKNOWN


def _begun(state: UndoState | None, awaits: int) -> UndoState:
    assert state is not None
    return UndoState.RUNNING if state is UndoState.WAITING and not awaits else state
