"""The order of undo where steps were done more than once: in turns of a repeat, or again at somebody's wish."""

from collections.abc import Sequence

import pytest

from orchestrator.core.undo import Entered, Handler, Happened, UndoEntry, UndoState, undo_ledger

BLOCK = 1_024
UNDO = Handler(has_undo=True, has_effects=True)
NONE = Handler(has_undo=False, has_effects=False)
TURNS = Handler(has_undo=False, has_effects=False, in_turns=True)


def row(entry: int, node: int, *cause: int, scope: int = 0, generation: int = 0) -> Happened:
    return Happened(entry=entry, node=node, scope_id=scope, generation=generation, cause=cause, acted=True)


def after(rows: Sequence[Happened], *entered: Entered, **handlers: Handler) -> dict[int, set[int]]:
    """Entry -> all that are undone before it is."""
    named = {int(name[1:]): handler for name, handler in handlers.items()}
    found = {one.entry: one for one in undo_ledger(rows, entered, lambda node: named.get(node, UNDO), BLOCK)}
    return {entry: _later(entry, found) for entry in found}


def _later(entry: int, found: dict[int, UndoEntry]) -> set[int]:
    direct = {one.entry for one in found.values() if entry in one.releases}
    return direct.union(*(_later(one, found) for one in direct))


def test_turns_are_undone_one_after_the_other() -> None:
    """first 1 > repeat 9 of a, b side by side > last."""
    turns = [row(n * 2 + side, 2 + side, 1, scope=BLOCK + n) for n in (1, 2, 3) for side in (0, 1)]
    rows = [row(1, 1), *turns, row(9, 9, 1), row(10, 10, 9)]
    found = after(rows, Entered(block=BLOCK, node=9, parent=0, generation=0), n9=TURNS)
    assert found == {10: set(), 6: {10}, 7: {10}, 4: {6, 7, 10}, 5: {6, 7, 10}} | {
        entry: set(range(4, 11)) - {8, 9} for entry in (2, 3)
    } | {1: {2, 3, 4, 5, 6, 7, 10}}


def test_items_are_undone_side_by_side() -> None:
    rows = [row(1, 2, scope=BLOCK + 1), row(2, 2, scope=BLOCK + 2), row(3, 9)]
    assert after(rows, Entered(block=BLOCK, node=9, parent=0, generation=0), n9=NONE) == {2: set(), 1: set()}


def test_a_turn_without_an_undo_is_passed_through() -> None:
    rows = [row(n, 2 + (n == 2), scope=BLOCK + n) for n in (1, 2, 3)]
    found = after([*rows, row(4, 9)], Entered(block=BLOCK, node=9, parent=0, generation=0), n9=TURNS, n3=NONE)
    assert found == {3: set(), 1: {3}}


def test_turns_of_items_are_undone_one_after_the_other() -> None:
    """A for-each as the only step of a repeat."""
    inner = {1: 2 * BLOCK, 2: 3 * BLOCK}
    rows = []
    for turn, entry in ((1, 1), (2, 4)):
        rows += [row(entry + item, 2, scope=inner[turn] + 1 + item) for item in (0, 1)]
        rows.append(row(entry + 2, 8, scope=BLOCK + turn))
    entered = [Entered(block=block, node=8, parent=BLOCK + turn, generation=0) for turn, block in inner.items()]
    found = after([*rows, row(7, 9)], Entered(block=BLOCK, node=9, parent=0, generation=0), *entered, n9=TURNS, n8=NONE)
    assert found == {5: set(), 4: set(), 2: {4, 5}, 1: {4, 5}}


def again(*later: int) -> list[Happened]:
    """a > b > c, and then those of them anew."""
    first = [row(1, 1), row(2, 2, 1), row(3, 3, 2)]
    second = {1: row(4, 1, generation=1), 2: row(5, 2, 4, generation=1), 3: row(6, 3, 5, generation=1)}
    return first + [second[node] for node in later]


def test_what_lay_behind_the_time_before_is_undone_after_what_was_done_again() -> None:
    assert after(again(1, 2, 3)) == {6: set(), 5: {6}, 4: {5, 6}, 3: {4, 5, 6}, 2: {3, 4, 5, 6}, 1: {2, 3, 4, 5, 6}}


def test_also_where_that_was_not_reached_again() -> None:
    assert after(again(1)) == {4: set(), 3: {4}, 2: {3, 4}, 1: {2, 3, 4}}


def test_a_branch_that_was_kept_is_undone_beside_it() -> None:
    """a > b and a > c; b is done again while c goes on."""
    rows = [row(1, 1), row(2, 2, 1), row(3, 3, 1), row(4, 2, 1, generation=1)]
    assert after(rows) == {4: set(), 3: set(), 2: {4}, 1: {2, 3, 4}}


def test_what_is_in_a_container_that_was_entered_anew_is_undone_first() -> None:
    """box 9 with a step 2 > after 3; the box is done again, and 3 was not."""
    entered = [Entered(block=n * BLOCK, node=9, parent=0, generation=n - 1) for n in (1, 2)]
    rows = [row(1, 2, scope=BLOCK + 1), row(2, 9), row(3, 3, 2)]
    rows += [row(4, 2, scope=2 * BLOCK + 1, generation=1), row(5, 9, generation=1)]
    assert after(rows, *entered, n9=NONE) == {4: set(), 3: {4}, 1: {3, 4}}


def test_what_was_done_again_inside_is_undone_before_what_had_followed_upon_the_container() -> None:
    """box 9 with a 2 > b 3, then 4; a is done again in the same scope, and all behind it."""
    entered = Entered(block=BLOCK, node=9, parent=0, generation=1)
    rows, inside = [], BLOCK + 1
    for generation, entry in ((0, 1), (1, 5)):
        rows += [row(entry, 2, scope=inside, generation=generation)]
        rows += [row(entry + 1, 3, entry, scope=inside, generation=generation)]
        rows += [row(entry + 2, 9, generation=generation), row(entry + 3, 4, entry + 2, generation=generation)]
    found = after(rows, entered, n9=NONE)
    assert found == {8: set(), 6: {8}, 5: {6, 8}, 4: {5, 6, 8}, 2: {4, 5, 6, 8}, 1: {2, 4, 5, 6, 8}}


@pytest.mark.parametrize("is_first", [True, False])
def test_many_in_many_turns_take_few_arrows(is_first: bool) -> None:
    """3 turns of 1,000 items, with an undo at their first step or not: an arrow from each to each would be too much."""
    rows: list[Happened] = []
    entered, items = [Entered(block=BLOCK, node=9, parent=0, generation=0)], 1_000
    for turn in (1, 2, 3):
        block = BLOCK * (turn + 1)
        entered.append(Entered(block=block, node=8, parent=BLOCK + turn, generation=0))
        for item in range(1, items + 1):
            if not is_first:
                rows.append(row(len(rows) + 1, 3, scope=block + item))
            rows.append(row(len(rows) + 1, 2, *([] if is_first else [len(rows)]), scope=block + item))
        rows.append(row(len(rows) + 1, 8, scope=BLOCK + turn))
    rows.append(row(len(rows) + 1, 9))
    handlers = {2: UNDO, 9: TURNS}
    found = undo_ledger(rows, entered, lambda node: handlers.get(node, NONE), BLOCK)
    assert sum(len(one.releases) for one in found) < 4 * 3 * items
    _assert_turns_in_order(found, {one.entry: one.scope_id // BLOCK for one in rows})


def _assert_turns_in_order(found: Sequence[UndoEntry], turn: dict[int, int]) -> None:
    left = {one.entry: one.awaits for one in found}
    by_entry = {one.entry: one for one in found}
    ready = [one.entry for one in found if one.state is UndoState.RUNNING]
    done: list[int] = []
    while ready:
        entry = ready.pop()
        done.append(turn[entry])
        for earlier in by_entry[entry].releases:
            left[earlier] -= 1
            ready += [earlier] if left[earlier] == 0 else []
    assert done == sorted(done, reverse=True)
    assert len(done) == len(found)


def test_what_a_retry_began_inside_belongs_to_the_container_all_the_same() -> None:
    """Box 9 keeps its generation when it goes on; a new step in it has the run's."""
    rows = [row(1, 2, scope=BLOCK + 1), row(2, 3, 1, scope=BLOCK + 1, generation=1), row(3, 9), row(4, 4, 3)]
    found = after(rows, Entered(block=BLOCK, node=9, parent=0, generation=0), n9=NONE)
    assert found == {4: set(), 2: {4}, 1: {2, 4}}
