"""The order of undo: a ledger from what happened, a preview from the drawing."""

from collections import Counter
from random import Random
from typing import Any

import pytest

from orchestrator.core.compile import compile_plan
from orchestrator.core.parse import parse_document
from orchestrator.core.plan import Plan
from orchestrator.core.undo import Entered, Handler, Happened, Listed, UndoEntry, UndoState, undo_ledger
from orchestrator.core.undo_preview import undo_preview
from orchestrator.steps import KINDS
from tests.nested_graphs import NESTED, Style, as_drawn, nested_expected, random_nested, undone_expected
from tests.nested_graphs import Happened as Nested

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


def _edge(source: str, target: str) -> dict[str, str]:
    key, _, port = source.partition(".")
    return {"from": key, "to": target, **({"port": port} if port else {})}


def plan_of(steps: list[dict[str, Any]], *edges: tuple[str, str]) -> Plan:
    raw: dict[str, Any] = {"format": "branchline/1", "name": "Test", "edges": [_edge(a, b) for a, b in edges]}
    raw["steps"] = [{"name": one["key"], "at": [0, 0], **one} for one in steps]
    return compile_plan(parse_document(raw), KINDS)


def scope(key: str, policy: str = "undo", **more: Any) -> dict[str, Any]:
    return {"key": key, "kind": "scope", "config": {"on_failure": policy}, **more}


def act(key: str, **more: Any) -> dict[str, Any]:
    return {"key": key, "kind": "transform", "config": {"value": 1}, "undo": {"kind": "transform"}, **more}


def plain(key: str, **more: Any) -> dict[str, Any]:
    """A step that has no undo and no effects."""
    return {"key": key, "kind": "transform", "config": {"value": 1}, **more}


def shown(plan: Plan, key: str) -> list[tuple[str, int, str]]:
    return [(step.key, step.stage, step.certainty) for step in undo_preview(plan, plan.node_of[key]).steps]


def test_the_preview_names_stages() -> None:
    edges = ("a", "b"), ("a", "c"), ("b", "d"), ("c", "d"), ("d", "x")
    plan = plan_of([*(act(key) for key in "abcd"), plain("x")], *edges)
    assert shown(plan, "x") == [("d", 1, "certain"), ("b", 2, "certain"), ("c", 2, "certain"), ("a", 3, "certain")]
    assert shown(plan, "b") == [("b", 1, "possible"), ("c", 1, "possible"), ("a", 2, "certain")]


def test_the_preview_tells_that_the_step_itself_may_have_acted() -> None:
    """It ran out of its time, or its worker died: the ledger has a line for it that others wait for."""
    mail = {"key": "mail", "kind": "email", "config": {"to": ["a@example.test"], "subject": "x", "text": "y"}}
    plan = plan_of([act("a"), act("pay"), mail], ("a", "pay"), ("pay", "mail"))
    assert shown(plan, "pay") == [("pay", 1, "possible"), ("a", 2, "certain")]
    preview = undo_preview(plan, plan.node_of["mail"])
    assert [(one.key, one.certainty) for one in preview.steps if one.key == "mail"] == [("mail", "possible")]
    assert preview.irreversible == ("mail",)


def test_the_preview_sees_into_containers_and_names_what_cannot_be_undone() -> None:
    mail = {"key": "mail", "kind": "email", "config": {"to": ["a@example.test"], "subject": "x", "text": "y"}}
    steps = [act("a"), {"key": "each", "kind": "for_each", "config": {"items": [1]}}]
    steps += [act("b", parent="each"), {**mail, "parent": "each"}, plain("x")]
    plan = plan_of(steps, ("a", "each"), ("b", "mail"), ("each", "x"))
    preview = undo_preview(plan, plan.node_of["x"])
    assert preview.irreversible == ("mail",)
    assert [(step.key, step.stage, step.inside) for step in preview.steps if step.has_undo] == [
        ("b", 1, "each"),
        ("a", 2, None),
    ]


def course(plan: Plan, key: str) -> tuple[list[tuple[str, str | None, str]], str]:
    """Where the run goes on, and whether it fails."""
    told = undo_preview(plan, plan.node_of[key])
    return [(plan.steps[one.node].key, one.port, one.certainty) for one in told.goes_on], told.run_fails


def by_whom(plan: Plan, key: str) -> list[tuple[str, str | None, str]]:
    return [(step.key, step.by, step.certainty) for step in undo_preview(plan, plan.node_of[key]).steps]


def test_the_preview_knows_that_a_scope_is_undone_alone() -> None:
    """The drawing of `test_a_scope_is_undone_alone`, where it is run."""
    steps = [act("before"), scope("box"), act("a", parent="box"), act("bad", parent="box"), act("rescue")]
    edges = [("before", "box"), ("a", "bad"), ("box.error", "rescue")]
    plan = plan_of(steps, *edges)
    inside = [("bad", "box", "possible"), ("a", "box", "certain")]
    assert by_whom(plan, "bad") == inside
    assert course(plan, "bad") == ([("box", "error", "certain")], "never")
    # "a" has been undone by then.
    assert by_whom(plan, "rescue") == [("rescue", None, "possible"), ("before", None, "certain")]
    plan = plan_of(steps, *edges[:2])
    assert by_whom(plan, "bad") == [*inside, ("before", None, "certain"), ("rescue", None, "possible")]
    assert course(plan, "bad") == ([], "certain")
    assert by_whom(plan, "box") == [
        ("bad", "box", "possible"),
        ("a", "box", "possible"),
        ("before", None, "certain"),
        ("rescue", None, "possible"),
    ]


@pytest.mark.parametrize(
    ("policy", "goes_on", "fails", "undone"),
    [
        ("fail", [], "certain", ["a", "before"]),
        ("continue", [("box", None, "certain")], "never", []),
        ("undo", [], "certain", ["a", "before"]),
    ],
)
def test_the_preview_follows_a_failure_out_of_a_scope(
    policy: str, goes_on: list[Any], fails: str, undone: list[str]
) -> None:
    plan = plan_of(
        [act("before"), scope("box", policy), act("a", parent="box"), plain("x", parent="box"), act("after")],
        *(("before", "box"), ("a", "x"), ("box", "after")),
    )
    assert course(plan, "x") == (goes_on, fails)
    assert [key for key, _stage, _certainty in shown(plan, "x")] == undone


@pytest.mark.parametrize(
    ("edges", "goes_on", "fails"),
    [
        ([("a", "x"), ("x.error", "b")], [("x", "error", "certain")], "never"),
        ([("a", "x"), ("x.timeout", "b")], [("x", "timeout", "possible")], "possible"),
        ([("a", "x"), ("x", "any"), ("a", "any"), ("any", "b")], [("any", None, "possible")], "possible"),
        ([("a", "x"), ("x", "all"), ("a", "all"), ("all.error", "b")], [("all", "error", "certain")], "never"),
        ([("a", "x"), ("x", "all"), ("a", "all"), ("all", "b")], [], "certain"),
        ([("a", "x"), ("x.error", "b"), ("x", "two"), ("a", "two")], [("x", "error", "certain")], "possible"),
    ],
)
def test_the_preview_tells_where_the_run_goes_on(edges: list[tuple[str, str]], goes_on: list[Any], fails: str) -> None:
    steps = [act("a"), act("b"), act("all"), act("any", join={"mode": "any"})]
    steps.append(act("two", join={"mode": "quorum", "quorum": 2}))
    steps.append({"key": "x", "kind": "http", "config": {"url": "https://a.test"}, "undo": {"kind": "transform"}})
    named = {name.partition(".")[0] for edge in edges for name in edge}
    plan = plan_of([step for step in steps if step["key"] in named], *edges)
    assert course(plan, "x") == (goes_on, fails)
    assert bool(undo_preview(plan, plan.node_of["x"]).steps) == (fails != "never")


def test_the_preview_tells_what_is_certain_behind_a_choice() -> None:
    cases = {"cases": [{"port": "left", "when": {"$": "True"}}]}
    steps = [act("first"), {"key": "c", "kind": "choose", "config": cases}, *(act(key) for key in "lrm"), plain("x")]
    edges = [("first", "c"), ("c.left", "l"), ("c.otherwise", "r"), ("l", "m"), ("r", "m"), ("m", "x"), ("first", "x")]
    plan = plan_of(steps, *edges)
    assert {key: certainty for key, _stage, certainty in shown(plan, "x")} == {
        "first": "certain", "l": "possible", "r": "possible", "m": "certain"
    }  # fmt: skip
    # Where "l" runs, "r" does not.
    assert {key: certainty for key, _stage, certainty in shown(plan, "l")} == {"l": "possible", "first": "certain"}


@pytest.mark.parametrize("seed", range(30))
def test_the_preview_holds_of_whatever_happens(seed: int) -> None:
    """Random drawings where one step fails: what is undone is told, and what is told as certain is undone."""
    random = Random(seed)
    tried = Counter[str]()
    for _ in range(60):
        raw, failing = _one_fails(random)
        found = nested_expected(raw)
        if not found.failed[failing] or not _is_sound(raw):
            continue
        plan = compile_plan(parse_document(as_drawn(raw)), NESTED)
        told = undo_preview(plan, plan.node_of[failing])
        if told.run_fails == "never" and _lacks_branches(raw, found):
            continue
        certain = {step.key for step in told.steps if step.certainty == "certain"}
        undone = _undone(raw, found)
        assert undone <= {step.key for step in told.steps}, (raw, failing)
        assert certain <= undone, (raw, failing)
        assert told.run_fails in (("certain", "possible") if found.state == "failed" else ("never", "possible"))
        tried[told.run_fails] += 1
        tried["sure"] += bool(certain)
    assert min(tried[name] for name in ("certain", "never", "sure")) > 0, tried


def _one_fails(random: Random) -> tuple[dict[str, Any], str]:
    raw = random_nested(random, depth=random.choice((0, 1, 2)), style=Style(undo=True))
    plain = [step for step in raw["steps"] if step["kind"] == "acted"]
    failing = random.choice(plain)["key"]
    for step in plain:
        step["config"] |= {"fails": step["key"] == failing, "mode": "inclusive"}  # it takes several ports at once
    for step in raw["steps"]:
        if step["kind"] == "scope":
            step["config"] = {"on_failure": random.choice(("fail", "undo", "continue"))}
    return raw, failing


def _is_sound(raw: dict[str, Any]) -> bool:
    """Whether nothing fails but that one step and what follows from it."""
    sound = [{**step, "config": {**step["config"], "fails": False}} for step in raw["steps"]]
    found = nested_expected({**raw, "steps": sound})
    return found.state == "succeeded" and not found.blocked


def _lacks_branches(raw: dict[str, Any], found: Nested) -> bool:
    """Whether a quorum on the way where the run goes on is not reached: that is a failure of its own."""
    return any(step.get("join", {}).get("mode") == "quorum" for step in raw["steps"] if found.blocked[step["key"]])


def _undone(raw: dict[str, Any], found: Nested) -> set[str]:
    """What a failed run undoes, or the scopes that fail and undo what is in them."""
    steps = {step["key"]: step for step in raw["steps"]}
    alone = {key for key, step in steps.items() if step["config"].get("on_failure") == "undo" and found.failed[key]}

    def around(key: str) -> set[str]:
        parent = steps[key].get("parent")
        return set() if parent is None else {parent} | around(parent)

    return {key for key in undone_expected(raw, found) if found.state == "failed" or around(key) & alone}


def test_the_preview_tells_of_other_items() -> None:
    each = {"key": "each", "kind": "for_each", "config": {"items": [1, 2], "tolerate": {"count": 1}}}
    plan = plan_of([each, *(act(key, parent="each") for key in ("a", "x", "b"))], ("a", "x"), ("x", "b"))
    assert shown(plan, "x") == [("b", 1, "possible"), ("x", 2, "possible"), ("a", 3, "possible")]
    assert course(plan, "x") == ([("each", None, "possible")], "possible")


@pytest.mark.parametrize(
    ("config", "certainty"),
    [
        ({"kind": "for_each", "config": {"items": [1]}}, "certain"),
        ({"kind": "for_each", "config": {"items": []}}, "possible"),
        ({"kind": "for_each", "config": {"items": {"$": "input.orders"}}}, "possible"),
        ({"kind": "for_each", "config": {"items": [1], "tolerate": {"percent": 50}}}, "possible"),
        ({"kind": "repeat", "config": {"turns": 2, "until": {"$": "True"}}}, "certain"),
        ({"kind": "repeat", "config": {"turns": 2, "while": {"$": "True"}}}, "possible"),
        ({"kind": "scope", "config": {"on_failure": "undo"}}, "certain"),
        ({"kind": "scope", "config": {"on_failure": "continue"}}, "possible"),
    ],
)
def test_the_preview_tells_whether_what_is_inside_is_certain(config: dict[str, Any], certainty: str) -> None:
    plan = plan_of([{"key": "box", **config}, act("a", parent="box"), plain("x")], ("box", "x"))
    assert shown(plan, "x") == [("a", 1, certainty)]
