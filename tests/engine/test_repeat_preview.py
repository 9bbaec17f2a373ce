"""What a retry or a rerun says beforehand about containers, and about steps that would run a second time."""

from typing import Any

import pytest

from orchestrator.engine.sandbox import Sandbox
from orchestrator.models import AuditEntry, Run, RunRecord, StepLog, Token
from orchestrator.services.control import cancel_run
from orchestrator.services.reopen import retry_run
from orchestrator.services.repeat_preview import RepeatPreview, preview_rerun, preview_retry
from orchestrator.services.undo import cancel_with_undo
from tests.engine.drawings import document, step
from tests.engine.house import House
from tests.engine.kinds import Told, kinds
from tests.engine.switched import ONCE, Switch, again, at_work, ended, fails, told
from tests.waiting import wait_until

MAIL = {"to": ["a@example.org"], "subject": "Hello", "text": "Hello"}


def lines(preview: RepeatPreview) -> list[tuple[Any, ...]]:
    """(key, in which container, effects, had, new key)"""
    return [(one.key, one.inside, one.effects, one.had, one.new_key) for one in (*preview.first, *preview.behind)]


def test_a_rerun_names_what_acts_inside_a_for_each(house: House, sandbox: Sandbox) -> None:
    steps = [
        step("each", "for_each", config={"items": [1, 2]}),
        step("pick", parent="each"),
        step("box", "scope", parent="each"),
        step("mail", "email", parent="box", config=MAIL),
        step("after", "scope"),
        step("later", "http", parent="after", config={"method": "GET", "url": "https://example.org"}, retry=ONCE),
    ]
    version = house.publish(document(steps, "pick > box", "each > after"))
    with at_work(house, sandbox, kinds()):
        run_id = house.start(version)
        ended(house, run_id, "failed")  # no request leaves this house
    preview = preview_rerun(run_id, "each", house.actor)
    assert lines(preview) == [
        ("each", None, "none", "succeeded", True),
        ("pick", "each", "none", "succeeded", True),
        ("box", "each", "none", "succeeded", True),
        ("mail", "box", "external", "succeeded", True),
        ("after", None, "none", "failed", True),
        ("later", "after", "external", "failed", True),
    ]
    assert [one.key for one in preview.external] == ["mail", "later"]
    assert [one.key for one in preview.first] == ["each", "pick", "box", "mail"]


def test_a_rerun_says_that_a_sub_workflow_may_act(house: House, sandbox: Sandbox) -> None:
    house.publish(document([step("a")]), slug="child")
    version = house.publish(document([step("sub", "sub_workflow", config={"workflow": "child"})]))
    with at_work(house, sandbox, kinds()):
        run_id = house.start(version)
        ended(house, run_id, "succeeded")
    assert lines(preview_rerun(run_id, "sub", house.actor)) == [("sub", None, "external", "succeeded", True)]


def test_a_retry_names_what_goes_on_inside_and_not_what_succeeded(house: House, sandbox: Sandbox) -> None:
    switch = Switch(b=fails)
    known = kinds(told=Told(switch))
    steps = [step("box", "scope"), told("a", parent="box"), told("b", parent="box"), told("c", parent="box")]
    version = house.publish(document(steps, "a > b > c"), kinds=known)
    with at_work(house, sandbox, known):
        run_id = house.start(version)
        ended(house, run_id, "failed")
    preview = preview_retry(run_id, house.actor)
    assert [(one.key, one.had, one.new_key) for one in preview.first] == [
        ("box", "failed", False),
        ("b", "failed", False),
        ("c", None, False),
    ]
    assert not preview.new_keys


def test_a_retry_changes_nothing_while_it_is_told(house: House, sandbox: Sandbox) -> None:
    switch = Switch(b=fails)
    known = kinds(told=Told(switch))
    version = house.publish(document([told("a"), told("b")], "a > b"), kinds=known)
    with at_work(house, sandbox, known):
        run_id = house.start(version)
        ended(house, run_id, "failed")
        rows = [list(model.objects.order_by("pk").values()) for model in (Run, RunRecord, AuditEntry, Token)]
        log = list(StepLog.objects.order_by("entry").values())
        assert not preview_retry(run_id, house.actor).new_keys
        assert [list(model.objects.order_by("pk").values()) for model in (Run, RunRecord, AuditEntry, Token)] == rows
        assert list(StepLog.objects.order_by("entry").values()) == log


def test_a_retry_says_which_steps_may_run_again_under_new_keys(house: House, sandbox: Sandbox) -> None:
    """The error path ran only because of the failure."""
    switch = Switch(b=fails)
    known = kinds(told=Told(switch))
    steps = [told("a"), told("b"), told("meet"), told("tidy"), told("other")]
    version = house.publish(document(steps, "a > meet", "b > meet", "b > other", "meet.error > tidy"), kinds=known)
    with at_work(house, sandbox, known):
        run_id = house.start(version)
        ended(house, run_id, "failed")
        preview = preview_retry(run_id, house.actor)
        assert preview.new_keys
        assert [one.key for one in (*preview.first, *preview.behind) if one.new_key] == ["tidy"]
        again(house, lambda: retry_run(run_id, house.actor))
        ended(house, run_id, "failed")
    assert len(switch.keys("tidy")) == 2


@pytest.mark.parametrize("kind", ["repeat", "child"])
def test_a_retry_says_what_begins_anew(house: House, sandbox: Sandbox, kind: str) -> None:
    """A repeat that reached its limit of turns, and a sub-workflow that was undone by hand, begin anew."""
    switch = Switch()
    known = kinds(told=Told(switch))
    wait = step("w", "delay", config={"for": "PT1H"})
    house.publish(document([told("a"), wait], "a > w"), slug="child", kinds=known)
    config = {"turns": 2, "until": {"$": "False"}}
    steps: dict[str, list[Any]] = {
        "repeat": [step("again", "repeat", config=config), told("a", parent="again")],
        "child": [step("again", "sub_workflow", config={"workflow": "child"})],
    }
    version = house.publish(document(steps[kind]), kinds=known)
    with at_work(house, sandbox, known):
        run_id = house.start(version)
        if kind == "child":
            wait_until(Token.objects.filter(run__parent_run=run_id, state="W").exists, 10, "the delay in the child")
            cancel_with_undo(Run.objects.get(parent_run=run_id).pk, house.actor)
        ended(house, run_id, "failed")
        preview = preview_retry(run_id, house.actor)
        expected = {"repeat": ["a"], "child": ["again"]}[kind]
        assert [one.key for one in preview.first if one.new_key] == expected
        again(house, lambda: retry_run(run_id, house.actor))
        count = {"repeat": 4, "child": 2}[kind]
        wait_until(lambda: len(switch.keys("a")) == count, 10, "what had succeeded to run again")
        if kind == "child":
            cancel_run(run_id, house.actor)
        house.end_of(run_id)
