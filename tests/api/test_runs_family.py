"""The run that started a run, and the run that a step started: a way up and a way down."""

from typing import Any

import pytest

from orchestrator.models import Run
from tests.api.run_cast import RunCast
from tests.run_factories import drawn, make_log, make_run, make_task, make_version, make_workflow, node_of

pytestmark = pytest.mark.django_db


CALLING = drawn("a -> b", "b -> c", steps={"b": {"kind": "sub_workflow", "config": {"workflow": "other"}}})


@pytest.fixture
def cast(valkey: str) -> RunCast:
    cast = RunCast()
    cast.version = make_version(cast.version.workflow, CALLING)
    return cast


def child_of(run: Run, key: str, scope: int = 0, generation: int = 0) -> Run:
    """A run that this step started, of another workflow."""
    version = make_version(make_workflow(run.workspace))
    place: dict[str, Any] = {"parent_node": node_of(run, key), "parent_scope": scope, "parent_generation": generation}
    return make_run(version, parent_run=run, root_run=run, depth=1, trigger="sub_workflow", **place)


def test_a_run_names_the_step_that_started_it(cast: RunCast) -> None:
    top = cast.run()
    below = child_of(top, "b")
    assert cast.get(f"runs/{below.pk}/")["parent"] == {"run": str(top.pk), "step": "b", "scope": None}
    assert cast.get(f"runs/{top.pk}/")["parent"] is None


def test_a_step_names_the_run_that_it_started_last(cast: RunCast) -> None:
    top = cast.run()
    make_log(top, "b")
    make_log(top, "b", scope_id=7)
    make_log(top, "c")
    child_of(top, "b")
    newest, elsewhere = child_of(top, "b", generation=1), child_of(top, "b", scope=7)
    assert cast.get(f"runs/{top.pk}/steps/b/")["child"] == str(newest.pk)
    assert cast.get(f"runs/{top.pk}/steps/b/", scope="7")["child"] == str(elsewhere.pk)
    assert cast.get(f"runs/{top.pk}/steps/c/")["child"] is None


def test_nobody_is_led_to_a_run_they_may_not_read(cast: RunCast) -> None:
    ann = cast.member("approver", username="ann")
    top = cast.run()
    below = child_of(top, "b")
    make_task(below, "a", users=["ann"])
    assert cast.get(f"runs/{below.pk}/", ann)["parent"] is None
    hers = cast.run()
    make_log(hers, "b")
    make_task(hers, "a", users=["ann"])
    child_of(hers, "b")
    assert cast.get(f"runs/{hers.pk}/steps/b/", ann)["child"] is None
