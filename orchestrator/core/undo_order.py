"""Undo: what happened before what, as far as a ledger needs it."""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Protocol

FEW = 64  # earlier ones that each of those that came later may wait for by itself


class Row(Protocol):
    """One row of what happened; see `undo.Happened`."""

    @property
    def entry(self) -> int: ...
    @property
    def node(self) -> int: ...
    @property
    def scope_id(self) -> int: ...
    @property
    def generation(self) -> int: ...
    @property
    def cause(self) -> tuple[int, ...]: ...


class Block(Protocol):
    """One entered container; see `undo.Entered`."""

    @property
    def block(self) -> int: ...
    @property
    def node(self) -> int: ...
    @property
    def parent(self) -> int: ...
    @property
    def generation(self) -> int: ...


@dataclass(slots=True, eq=False)
class _Phase:
    """What began when all of `before` had ended: a turn, or a container that was entered anew.

    Where they are many, `first` alone waits for them, and the others for it: arrows from each to each were too many.
    """

    before: frozenset[int]
    first: int | None = None

    @property
    def is_small(self) -> bool:
        return len(self.before) <= FEW

    def nearest(self) -> frozenset[int]:
        return self.before if self.first is None else frozenset({self.first})


@dataclass(slots=True)
class Order:
    """Reads rows in the order of their entries. `carried` are the entries that others wait for.

    `in_turns`: whether this container does one of its scopes after another.
    """

    carried: Collection[int]
    in_turns: Callable[[int], bool]
    block_size: int
    before: dict[int, frozenset[int]] = field(default_factory=dict)
    _scope: dict[int, int] = field(default_factory=dict)
    _tips: dict[int, dict[int, None]] = field(default_factory=lambda: defaultdict(dict))
    _behind: dict[int, list[int]] = field(default_factory=lambda: defaultdict(list))
    _last: dict[tuple[int, int], int] = field(default_factory=dict)
    _earlier: dict[int, int] = field(default_factory=dict)
    _blocks: dict[int, Block] = field(default_factory=dict)
    #: Of containers that have not ended since, by generation: of the row inside, and of the block.
    _inside: dict[tuple[int, int], dict[tuple[int, int], list[int]]] = field(default_factory=lambda: defaultdict(dict))
    _phases: dict[int, _Phase | None] = field(default_factory=dict)
    _pending: dict[int, tuple[_Phase, ...]] = field(default_factory=dict)

    def read(self, ordered: Iterable[Row], entered: Iterable[Block]) -> dict[int, frozenset[int]]:
        """Entry -> the nearest carried entries before it.

        By its causes; by what happened in it, where it is a container; by the time before that it was done, and all
        that had followed then; by the turn before its own.
        """
        self._blocks = {one.block: one for one in entered}
        for row in ordered:
            self._take(row)
        return self.before

    def _take(self, row: Row) -> None:
        causes = [cause for cause in row.cause if cause in self._scope]
        sources = causes + self._held(row)
        sources += self._time_before(row, causes)
        phases = [phase for one in sources for phase in self._pending.get(one, ())]
        phases += self._entering(row, causes)
        sets = [self._nearest(one) for one in dict.fromkeys(sources)]
        sets += self._begin(row.entry, list(dict.fromkeys(phases)))
        distinct = [found for found in sets if found]
        empty: frozenset[int] = frozenset()
        self.before[row.entry] = distinct[0] if len(distinct) == 1 else empty.union(*distinct)
        self._note(row, causes)

    def _nearest(self, entry: int) -> frozenset[int]:
        return frozenset({entry}) if entry in self.carried else self.before[entry]

    def _begin(self, entry: int, phases: list[_Phase]) -> Iterator[frozenset[int]]:
        waits = [phase for phase in phases if phase.first is None and not phase.is_small]
        yield from (phase.nearest() for phase in phases if phase not in waits)
        if entry not in self.carried:
            if waits:
                self._pending[entry] = tuple(waits)
            return
        for phase in waits:
            yield phase.before
            phase.first = entry

    def _note(self, row: Row, causes: list[int]) -> None:
        tips = self._tips[row.scope_id]
        for cause in causes:
            if self._scope[cause] == row.scope_id:
                tips.pop(cause, None)
                self._behind[cause].append(row.entry)
        tips[row.entry] = None
        self._scope[row.entry] = row.scope_id
        self._last[row.node, row.scope_id] = row.entry
        holder = self._blocks.get(row.scope_id & -self.block_size) if row.scope_id else None
        if holder is not None:
            held = self._inside[holder.node, holder.parent]
            held.setdefault((row.generation, holder.generation), []).append(row.entry)

    def _held(self, row: Row) -> list[int]:
        """What happened in a container since it ended the last time. One that was opened again has several ends."""
        inside = self._inside.get((row.node, row.scope_id), {})
        # A retry, or a skip, lets new steps in it belong to a newer generation than its own.
        ended = [key for key in inside if min(key) <= row.generation <= key[1]]
        return [entry for key in ended for entry in inside.pop(key)]

    def _time_before(self, row: Row, causes: list[int]) -> list[int]:
        earlier = self._last.get((row.node, row.scope_id))
        if earlier is None:
            return []
        self._earlier[row.entry] = earlier
        # What it follows was done again itself, and came after all of that.
        if any(earlier in self._followed(self._earlier[one]) for one in causes if one in self._earlier):
            return [earlier]
        return [earlier, *self._ends(earlier), *self._ended_around(earlier, row.scope_id)]

    def _ended_around(self, entry: int, scope_id: int) -> Iterator[int]:
        """Its containers that ended then, and what followed upon that: they were opened again."""
        while holder := self._blocks.get(scope_id & -self.block_size) if scope_id else None:
            end = self._last.get((holder.node, holder.parent))
            if end is None or end < entry:
                return
            yield from (end, *self._ends(end))
            entry, scope_id = end, holder.parent

    def _followed(self, entry: int) -> dict[int, None]:
        """What has followed upon it in its scope until now, with itself."""
        found, work = {entry: None}, [entry]
        while work:
            new = [one for one in self._behind.get(work.pop(), ()) if one not in found]
            found.update(dict.fromkeys(new))
            work += new
        return found

    def _ends(self, entry: int) -> list[int]:
        return [one for one in self._followed(entry) if one not in self._behind]

    def _entering(self, row: Row, causes: list[int]) -> Iterator[_Phase]:
        """Of the scopes in which this is the first: what was over when they began."""
        scopes, at = {self._scope[cause] for cause in causes}, row.scope_id
        while at and at not in scopes:
            phase = self._phase(at)
            if phase is not None:
                yield phase
            holder = self._blocks.get(at & -self.block_size)
            at = holder.parent if holder is not None else 0

    def _phase(self, scope_id: int) -> _Phase | None:
        if scope_id not in self._phases:
            self._phases[scope_id] = self._found_phase(scope_id)
        return self._phases[scope_id]

    def _found_phase(self, scope_id: int) -> _Phase | None:
        block = scope_id & -self.block_size
        holder = self._blocks.get(block)
        if holder is None:
            return None
        if self.in_turns(holder.node) and scope_id - block > 1:
            over = list(self._tips[scope_id - 1])
            return self._after(over) or self._phase(scope_id - 1)
        if scope_id - block > 1:
            return self._phase(block + 1)  # items of a for-each begin side by side
        earlier = self._last.get((holder.node, holder.parent))
        return None if earlier is None else self._after([earlier, *self._ends(earlier)])

    def _after(self, over: list[int]) -> _Phase | None:
        found: frozenset[int] = frozenset().union(*(self._nearest(one) for one in over))
        found = found.union(*(phase.nearest() for one in over for phase in self._pending.get(one, ())))
        return _Phase(found) if found else None
