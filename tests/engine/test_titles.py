"""Refusals and failures name a step as people know it: by its name, with its key where that says something else."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest

from orchestrator.core.errors import BranchlineError
from orchestrator.services.rerun import rerun_step
from orchestrator.services.retry_step import retry_step
from orchestrator.services.skip import skip_step
from tests.engine.drawings import document, step
from tests.engine.house import House, error, output
from tests.engine.rows import beat, claim

HOUR = {"config": {"for": "PT1H"}}
CHARGE = '"Charge the card" (charge)'
BOX = '"All orders" (box)'


def named(key: str, name: str, kind: str = "transform", **more: Any) -> dict[str, Any]:
    return {**step(key, kind, **more), "name": name}


ASK = named("ask", "Ask them", "human_task", config={"title": "Well?", "outcomes": [{"key": "yes", "label": "Yes"}]})
DRAWN = [
    named("charge", "Charge the card"),
    named("box", "All orders", "scope"),
    named("in", "Pack it", parent="box"),
    ASK,
]

REFUSED: dict[str, tuple[Callable[[UUID, Any], object], str]] = {
    "skip of one at work": (lambda run, actor: skip_step(run, "charge", actor), CHARGE),
    "skip of an approval": (lambda run, actor: skip_step(run, "ask", actor), '"Ask them" (ask)'),
    "skip of one that is nowhere": (lambda run, actor: skip_step(run, "in", actor), '"Pack it" (in)'),
    "skip by no port of it": (lambda run, actor: skip_step(run, "charge", actor, port="no"), CHARGE),
    "skip of one in a scope where none is": (lambda run, actor: skip_step(run, "charge", actor, scope=7), CHARGE),
    "re-run of one that never ran": (lambda run, actor: rerun_step(run, "ask", actor), '"Ask them" (ask)'),
    "re-run of one that never ran there": (lambda run, actor: rerun_step(run, "in", actor, scope=7), '"Pack it" (in)'),
    "retry of one that has not failed": (lambda run, actor: retry_step(run, "charge", actor), CHARGE),
}


@pytest.mark.parametrize("what", REFUSED)
def test_a_refusal_names_the_step(house: House, what: str) -> None:
    run_id = house.start(house.publish(document(DRAWN, "charge > box > ask")))
    beat(11)
    assert len(claim(11)) == 1
    act, title = REFUSED[what]
    with pytest.raises(BranchlineError) as refused:
        act(run_id, house.actor)
    assert title in refused.value.message


def test_the_key_alone_where_the_name_says_no_more(house: House) -> None:
    run_id = house.start(house.publish(document([step("pay_out")])))
    beat(11)
    claim(11)
    with pytest.raises(BranchlineError, match='Step "pay_out" is being worked on'):
        skip_step(run_id, "pay_out", house.actor)


@pytest.mark.usefixtures("at_work")
def test_a_container_that_took_too_long_says_which(house: House) -> None:
    box = named("box", "All orders", "scope", timeout="PT0.2S")
    run = house.end_of(house.start(house.publish(document([box, step("wait", "delay", parent="box", **HOUR)]))))
    assert BOX in error(run)["message"]


@pytest.mark.usefixtures("at_work")
def test_a_sub_workflow_that_took_too_long_says_which(house: House) -> None:
    house.publish(document([step("wait", "delay", **HOUR)]), slug="child")
    sub = named("charge", "Charge the card", "sub_workflow", config={"workflow": "child"}, timeout="PT0.2S")
    run = house.end_of(house.start(house.publish(document([sub]))))
    assert CHARGE in error(run)["message"]


#: What a join of three branches waits for, who fails or is late, and what the failure says of them.
JOINS: list[tuple[dict[str, Any], tuple[str, ...], str, str]] = [
    ({}, ("charge",), "failed", f"1 of 3 branches failed before this step ({CHARGE}), so it could not start."),
    (
        {"tolerate": {"count": 1}},
        ("charge", "pack"),
        "failed",
        f'2 of 3 branches failed before this step ({CHARGE}, "pack"), so it',
    ),
    (
        {"mode": "quorum", "quorum": 2},
        ("charge", "pack"),
        "failed",
        f'This step needs 2 branches, but at most 1 of 3 can arrive: 2 failed ({CHARGE}, "pack"), 0 skipped.',
    ),
    (
        {"mode": "any"},
        ("charge", "pack", "tell"),
        "failed",
        "This step needs one branch, but at most 0 of 3 can arrive: 3 failed (",
    ),
    ({"deadline": "PT0.1S", "late": "cancel"}, ("charge",), "missing", f"branches had arrived; missing: {CHARGE}."),
]


@pytest.mark.usefixtures("at_work")
@pytest.mark.parametrize(("join", "others", "which", "says"), JOINS)
def test_a_join_that_cannot_start_says_for_which_branches(
    house: House, join: dict[str, Any], others: tuple[str, ...], which: str, says: str
) -> None:
    """Its details name them by key, for machines."""
    names = {"charge": "Charge the card", "pack": "Pack", "tell": "Tell them"}
    ends: dict[str, Any] = {"config": {"value": {"$": "1 / 0"}}} if which == "failed" else {"kind": "delay", **HOUR}
    branches = [named(key, name, **(ends if key in others else {})) for key, name in names.items()]
    meets = named("meet", "Meet", "merge", join=join)
    told = step("told", config={"value": {"$": "errors.meet"}})
    lines = [*(f"{key} > meet" for key in names), "meet.error > told"]
    run = house.end_of(house.start(house.publish(document([*branches, meets, told], *lines))))
    failure = output(run)["told"]
    assert says in failure["message"]
    assert failure["details"][which] == list(others)
