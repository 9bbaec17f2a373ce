"""What is wrong with a drawing names its steps as people see them; `step` says the key to machines."""

from typing import Any

import pytest

from orchestrator.core.parse import parse_document
from orchestrator.core.problem import Problem
from orchestrator.core.problems import find_problems
from orchestrator.core.problems_workflows import KnownWorkflow, KnownWorkflows
from orchestrator.steps import KINDS
from tests.engine.drawings import document, step

Drawing = dict[str, Any]
WORKFLOWS = KnownWorkflows(
    named={
        "old": KnownWorkflow(newest=1, is_live=True, is_archived=True),
        "new": KnownWorkflow(newest=1, is_live=True),
        "raw": KnownWorkflow(newest=0, is_live=False),
    }
)
FORK = ("a > b > d", "a > c > d")


def titled(raw: Drawing) -> Drawing:
    """The same with a title for each step that its key does not tell."""
    return {**raw, "steps": [{**one, "name": f"Do {one['key']} now"} for one in raw["steps"]]}


def found(raw: Drawing) -> list[Problem]:
    return find_problems(parse_document(titled(raw)), KINDS, WORKFLOWS)


def drawn(*steps: Drawing, lines: tuple[str, ...] = (), **more: Any) -> Drawing:
    return document(list(steps), *lines, **more)


def joined(*lines: str, first: Drawing | None = None, **join: Any) -> Drawing:
    return drawn(first or step("a"), step("b"), step("c"), step("d", join=join), step("e"), lines=lines or FORK)


def choice(key: str = "a") -> Drawing:
    return step(key, "choose", config={"cases": [{"port": "u", "when": {"$": "input"}}]})


def reads(key: str, source: str, **more: Any) -> Drawing:
    return step(key, config={"value": {"$": source}}, **more)


def each(key: str = "box", **more: Any) -> Drawing:
    return step(key, "for_each", config={"items": [1]}, **more)


def cut(**config: Any) -> Drawing:
    return step("cut", "cancel", config=config)


def scope(key: str, lock: str, **more: Any) -> Drawing:
    return step(key, "scope", config={"lock": lock}, **more)


def sub(slug: str, **config: Any) -> Drawing:
    return drawn(step("a", "sub_workflow", config={"workflow": slug, **config}))


def region(pattern: str, *steps: str) -> Drawing:
    return {"key": "r", "pattern": pattern, "steps": list(steps)}


def nested(depth: int) -> Drawing:
    boxes = [each(f"box{at}", **({"parent": f"box{at - 1}"} if at else {})) for at in range(depth)]
    return drawn(*boxes, step("a", parent=f"box{depth - 1}"))


U, OTHER = "a.u", "a.otherwise"
#: The code, a drawing that has this problem, and the keys of the steps that its message names.
NAMED: list[tuple[str, Drawing, str]] = [
    ("timeout_invalid", drawn(step("a", timeout="PT0S")), "a"),
    ("unknown_kind", drawn(step("a", "teleport")), "a"),
    ("unknown_kind", drawn(step("a", undo={"kind": "teleport"})), "a"),
    ("undo_of_container", drawn(each(undo={"kind": "transform", "config": {"value": 1}}), step("a", parent="box")),
     "box"),
    ("undo_kind_invalid", drawn(step("a", undo={"kind": "delay", "config": {"for": "PT1S"}})), "a"),
    ("disabled_blocks", drawn(step("a", disabled=True), step("b"), lines=("a.error > b",)), "a"),
    ("container_empty", drawn(each()), "box"),
    ("unknown_parent", drawn(step("a", parent="nowhere")), "a"),
    ("parent_not_container", drawn(step("a", parent="b"), step("b")), "a b"),
    ("parent_cycle", drawn(each(parent="bag"), each("bag", parent="box"), step("a", parent="box")), "box"),
    ("nesting_too_deep", nested(9), "a"),
    ("join_without_branches", drawn(step("a", join={"mode": "any"})), "a"),
    ("quorum_not_used", joined(mode="any", quorum=1), "d"),
    ("quorum_missing", joined(mode="quorum"), "d"),
    ("quorum_too_small", joined(mode="quorum", quorum=0), "d"),
    ("quorum_too_large", joined(mode="quorum", quorum=3), "d"),
    ("join_never_fires", joined(f"{U} > b > d", f"{OTHER} > c > d", first=choice(), mode="quorum", quorum=2), "d"),
    ("join_never_fires", drawn(
        choice(), step("b"), step("c", join={"mode": "quorum", "quorum": 2}), step("d"), step("e"),
        lines=(f"{U} > b > c", f"{OTHER} > c", "c > e", "d > e"),
    ), "e c"),
    ("quorum_out_of_reach", joined(f"{U} > b > d", f"{OTHER} > c > d", first=choice(), mode="quorum", quorum=2,
     on_branch_failure="continue"), "d"),
    ("deadline_invalid", joined(deadline="PT0S"), "d"),
    ("on_deadline_not_used", joined(on_deadline="proceed"), "d"),
    ("tolerate_not_used", joined(mode="any", tolerate={"count": 1}), "d"),
    ("tolerate_unclear", joined(tolerate={}), "d"),
    ("tolerate_out_of_range", joined(tolerate={"count": 2}), "d"),
    ("tolerate_without_effect", joined(tolerate={"percent": 1}), "d"),
    ("late_not_used", joined(late="cancel"), "d"),
    ("late_cancels_nothing", joined(*FORK, "b > e", "c > e", mode="any", late="cancel"), "d"),
    ("join_not_readable", drawn(reads("a", "join.arrived")), "a"),
    ("unknown_branch", drawn(step("b"), step("c"), reads("d", "join.branches.x"), lines=("b > d", "c > d")), "d"),
    ("unknown_step", drawn(step("a"), cut(steps=["nobody"])), "cut"),
    ("cancel_itself", drawn(step("a"), cut(steps=["cut"])), "cut"),
    ("cancel_other_level", drawn(each(), step("a", parent="box"), cut(steps=["a"])), "cut a"),
    ("cannot_complete", drawn(step("a"), cut(**{"steps": ["a"], "as": "complete"})), "cut a"),
    ("unknown_region", drawn(step("a"), cut(region="rr")), "cut"),
    ("cancel_other_level", drawn(each(), step("a", parent="box"), cut(region="r"), regions=[region("sequence", "a")]),
     "cut"),
    ("end_inside", drawn(each(), step("a", "end", config={"whole": True}, parent="box")), "a box"),
    ("lock_within_itself", drawn(scope("box", "l"), scope("bag", "l", parent="box"), step("a", parent="bag")), "bag"),
    ("locks_cross", drawn(
        scope("box", "l"), scope("bag", "m", parent="box"), step("a", parent="bag"),
        scope("tin", "m"), scope("can", "l", parent="tin"), step("b", parent="can"),
    ), "bag"),
    ("reference_not_upstream", drawn(reads("a", "steps.a")), "a"),
    ("reference_not_upstream", drawn(each(), reads("a", "steps.box", parent="box")), "a box"),
    ("reference_not_upstream", drawn(step("a"), reads("b", "steps.a")), "b a"),
    ("reference_not_upstream", drawn(each(), step("a", parent="box"), reads("b", "steps.a"), lines=("box > b",)),
     "a box"),
    ("may_be_skipped", drawn(choice(), step("b"), step("c"), reads("d", "steps.b.id"),
     lines=(f"{U} > b > d", f"{OTHER} > c > d")), "b a"),
    ("workflow_archived", sub("old"), "a"),
    ("unknown_workflow", sub("none"), "a"),
    ("unknown_version", sub("new", version=2), "a"),
    ("not_published", sub("raw"), "a"),
    ("duplicate_edge", drawn(step("a"), step("b"), lines=("a > b", "a > b")), "a b"),
    ("unknown_step", drawn(step("a"), lines=("a.error > nowhere",)), "a"),
    ("self_edge", drawn(step("a"), step("b"), lines=("b > a > a",)), "a"),
    ("edge_crosses_border", drawn(each(), step("a", parent="box"), step("b"), lines=("a > b",)), "a b box"),
    ("unknown_port", drawn(step("a", "end"), step("b"), lines=("a > b",)), "a"),
    ("unknown_port", drawn(step("a"), step("b"), lines=("a.sideways > b",)), "a"),
    ("unknown_port", drawn(step("a", "delay", config={"for": "PT1S"}), step("b"), lines=("a.timeout > b",)), "a"),
    ("cycle", drawn(step("a"), step("b"), step("c"), lines=("a > b > c", "c > b")), "b c"),
    ("unreachable_step", drawn(step("a"), step("b"), step("c"), step("d"), lines=("b > c > b", "c > d")), "d"),
    ("region_levels", drawn(each(), step("a", parent="box"), step("b"), regions=[region("sequence", "a", "b")]),
     "box b"),
    ("region_overlap", drawn(step("a"), regions=[region("sequence", "a", "a")]), "a"),
    ("region_second_entry", drawn(step("a"), step("b"), regions=[region("sequence", "a", "b")]), "a b"),
    ("region_forks", drawn(step("a"), step("b"), step("c"), lines=("a > b", "a > c"),
     regions=[region("sequence", "a", "b", "c")]), "a b c"),
    ("region_branch_escapes", drawn(step("a"), step("b"), step("c"), lines=("a > b", "a > c"),
     regions=[region("parallel", "a", "b")]), "a c"),
    ("region_entry_does_not_wait", drawn(
        step("a"), step("b"), step("c", "delay", config={"for": "PT1S"}), lines=("a > b > c",),
        regions=[region("event", "b", "c")],
    ), "b"),
]  # fmt: skip


@pytest.mark.parametrize(("code", "raw", "keys"), NAMED, ids=[f"{at}_{code}" for at, (code, *_) in enumerate(NAMED)])
def test_it_names_steps_by_their_titles(code: str, raw: Drawing, keys: str) -> None:
    problems = [one for one in found(raw) if one.code == code]
    titles = [f'"Do {key} now" ({key})' for key in keys.split()]
    assert any(all(title in one.message for title in titles) for one in problems)
    for one in problems:
        assert not [known["key"] for known in raw["steps"] if f'"{known["key"]}"' in one.message]
        assert one.step in {None, *(known["key"] for known in raw["steps"])}


def test_a_step_without_a_title_of_its_own_is_named_by_its_key() -> None:
    (problem,) = find_problems(parse_document(drawn(step("a", timeout="PT0S"))), KINDS)
    assert problem.message.startswith('Step "a" has a time-out')


def test_a_region_is_named_by_its_title() -> None:
    regions = [{**region("sequence", "a", "nobody"), "name": "Payment"}, {**region("sequence", "a"), "key": "s"}]
    messages = [problem.message for problem in found(drawn(step("a"), regions=regions))]
    assert messages == [
        'The region "Payment" names the step "nobody", which does not exist. Remove it.',
        'The region "s" has the step "Do a now" (a), but shares it with the region "Payment". '
        "Take it out: a step belongs to one region.",
    ]
