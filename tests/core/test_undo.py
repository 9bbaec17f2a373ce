"""The order of undo: a ledger from what happened, a preview from the drawing."""

from random import Random
from typing import Any

import pytest

from orchestrator.core.compile import compile_plan
from orchestrator.core.parse import parse_document
from orchestrator.core.plan import Plan
from orchestrator.core.undo import Entered, Handler, Happened, Listed, UndoEntry, UndoState, undo_ledger
from orchestrator.core.undo_preview import undo_preview
from orchestrator.steps import KINDS

BLOCK = 1_024
UNDO = Handler(has_undo=True, has_effects=True)
NONE = Handler(has_undo=False, has_effects=False)


def row(entry: int, *cause: int, scope: int = 0, acted: bool | None = True) -> Happened:
    """A row whose node is its entry."""
    return Happened(entry=entry, node=entry, scope_id=scope, generation=0, cause=cause, acted=acted)


def ledger(rows: list[Happened], *entered: Entered, **handlers: Handler) -> dict[int, UndoEntry]:
    named = {int(name[1:]): handler for name, handler in handlers.items()}
    entries = undo_ledger(rows, entered, lambda node: named.get(node, UNDO), BLOCK)
    return {entry.entry: entry for entry in entries}


def test_a_line_is_undone_backwards() -> None:
    found = ledger([row(1), row(2, 1), row(3, 2)])
    assert [(e.entry, e.state, e.awaits, e.releases) for e in found.values()] == [
        (3, UndoState.RUNNING, 0, (2,)),
        (2, UndoState.WAITING, 1, (1,)),
        (1, UndoState.WAITING, 1, ()),
    ]


def test_branches_are_undone_side_by_side() -> None:
    found = ledger([row(1), row(2, 1), row(3, 1), row(4, 2, 3)])
    assert (found[4].releases, found[2].releases, found[3].releases, found[1].awaits) == ((2, 3), (1,), (1,), 2)


def test_a_step_that_was_done_again_is_undone_for_each_time_the_latest_first() -> None:
    again = Happened(entry=2, node=1, scope_id=0, generation=1, cause=(), acted=False)  # it was to be, and was not
    latest = Happened(entry=3, node=1, scope_id=0, generation=2, cause=(), acted=True)
    found = ledger([row(1), again, latest])
    assert [(entry.entry, entry.state, entry.releases) for entry in found.values()] == [
        (3, UndoState.RUNNING, (1,)),
        (2, UndoState.NOT_NEEDED, ()),
        (1, UndoState.WAITING, ()),
    ]


def test_steps_without_an_undo_are_passed_through() -> None:
    found = ledger([row(1), row(2, 1), row(3, 2)], n2=NONE)
    assert (list(found), found[3].releases) == ([3, 1], (1,))


@pytest.mark.parametrize(
    ("acted", "handler", "state"),
    [
        (True, UNDO, UndoState.RUNNING),
        (True, Handler(has_undo=False, has_effects=True), UndoState.IRREVERSIBLE),
        (False, UNDO, UndoState.NOT_NEEDED),
        (None, UNDO, UndoState.UNKNOWN),  # an operator decides
        (None, Handler(has_undo=True, has_effects=True, tolerant=True), UndoState.RUNNING),
    ],
)
def test_what_happened_decides(acted: bool | None, handler: Handler, state: UndoState) -> None:
    assert ledger([row(1, acted=acted)], n1=handler)[1].state is state


def test_what_nobody_knows_holds_up_what_came_before() -> None:
    found = ledger([row(1), row(2, 1, acted=None)])
    assert (found[2].state, found[1].state, found[1].awaits) == (UndoState.UNKNOWN, UndoState.WAITING, 1)


def test_what_is_irreversible_holds_up_nobody() -> None:
    found = ledger([row(1), row(2, 1), row(3, 2)], n2=Handler(has_undo=False, has_effects=True))
    assert (found[1].awaits, found[3].releases) == (1, (1,))


def test_what_is_in_a_container_comes_before_what_follows_it() -> None:
    """1 -> container 5 (items 2 and 3, 3 -> 4 inside) -> 6."""
    inside = [row(2, 1, scope=BLOCK + 1), row(3, 1, scope=BLOCK + 2), row(4, 3, scope=BLOCK + 2)]
    rows = [row(1), *inside, row(5, 1), row(6, 5)]
    found = ledger(rows, Entered(block=BLOCK, node=5, parent=0, generation=0), n5=NONE)
    assert found[6].releases == (1, 2, 3, 4)
    assert (found[1].awaits, found[4].awaits, found[3].awaits) == (2 + 1, 1, 2)


@pytest.mark.parametrize(
    ("listed", "awaits", "releases"),
    [
        ({2: "settled"}, [1, None, 0], [(), None, (1,)]),  # passed through
        ({2: "stuck"}, [1, 0, 0], [(), (1,), ()]),  # a person settles it whenever they like, and what came before waits
        ({2: "open"}, [1, 1, 0], [(), (1,), (2,)]),
        ({2: "stuck", 1: "open"}, [0, 0, 0], [(), (), ()]),  # among themselves their own ledger says who waits
    ],
)
def test_lines_of_a_scopes_ledger_keep_their_place(
    listed: dict[int, Listed], awaits: list[int | None], releases: list[tuple[int, ...] | None]
) -> None:
    rows = [row(1), row(2, 1), row(3, 2)]
    found = {entry.entry: entry for entry in undo_ledger(rows, (), lambda _: UNDO, BLOCK, listed)}
    assert [found[n].awaits if n in found else None for n in (1, 2, 3)] == awaits
    assert [found[n].releases if n in found else None for n in (1, 2, 3)] == releases
    assert {n for n, entry in found.items() if entry.listed} == set(found) & set(listed)


def test_every_undo_waits_for_all_that_came_after_it() -> None:
    """Random partial orders: released one by one, nothing starts before its causal successors are done (I16)."""
    random = Random(7)
    for _ in range(300):
        count = random.randint(1, 12)
        rows = [row(n, *random.sample(range(1, n), random.randint(0, min(3, n - 1)))) for n in range(1, count + 1)]
        handlers = {f"n{n}": random.choice([UNDO, UNDO, NONE]) for n in range(1, count + 1)}
        found = ledger(rows, **handlers)
        after = _successors(rows)
        left = {entry: one.awaits for entry, one in found.items()}
        ready = [entry for entry, one in found.items() if one.state is UndoState.RUNNING]
        done: list[int] = []
        while ready:
            entry = ready.pop(random.randrange(len(ready)))
            assert after[entry] & set(found) <= set(done)
            done.append(entry)
            for earlier in found[entry].releases:
                left[earlier] -= 1
                ready += [earlier] if left[earlier] == 0 else []
        assert set(done) == set(found)


def _successors(rows: list[Happened]) -> dict[int, set[int]]:
    after: dict[int, set[int]] = {one.entry: set() for one in rows}
    for one in reversed(rows):
        for cause in one.cause:
            after[cause] |= {one.entry} | after[one.entry]
    return after


def plan_of(steps: list[dict[str, Any]], *edges: tuple[str, str]) -> Plan:
    raw: dict[str, Any] = {"format": "branchline/1", "name": "Test", "edges": [{"from": a, "to": b} for a, b in edges]}
    raw["steps"] = [{"name": one["key"], "at": [0, 0], **one} for one in steps]
    return compile_plan(parse_document(raw), KINDS)


def act(key: str, **more: Any) -> dict[str, Any]:
    return {"key": key, "kind": "transform", "config": {"value": 1}, "undo": {"kind": "transform"}, **more}


def shown(plan: Plan, key: str) -> list[tuple[str, int, str]]:
    return [(step.key, step.stage, step.certainty) for step in undo_preview(plan, plan.node_of[key]).steps]


def test_the_preview_names_stages() -> None:
    plan = plan_of([act(key) for key in "abcdx"], ("a", "b"), ("a", "c"), ("b", "d"), ("c", "d"), ("d", "x"))
    assert shown(plan, "x") == [("d", 1, "certain"), ("b", 2, "certain"), ("c", 2, "certain"), ("a", 3, "certain")]
    assert shown(plan, "b") == [("c", 1, "possible"), ("a", 2, "certain")]


def test_the_preview_sees_into_containers_and_names_what_cannot_be_undone() -> None:
    mail = {"key": "mail", "kind": "email", "config": {"to": ["a@example.test"], "subject": "x", "text": "y"}}
    steps = [act("a"), {"key": "each", "kind": "for_each", "config": {"items": [1]}}]
    steps += [act("b", parent="each"), {**mail, "parent": "each"}, act("x")]
    plan = plan_of(steps, ("a", "each"), ("b", "mail"), ("each", "x"))
    preview = undo_preview(plan, plan.node_of["x"])
    assert preview.irreversible == ("mail",)
    assert [(step.key, step.stage, step.inside) for step in preview.steps if step.has_undo] == [
        ("b", 1, "each"),
        ("a", 2, None),
    ]
