"""Looking for runs by a key reads an index, however many runs there are."""

import json
from typing import Any

import pytest
from django.db import connection

from orchestrator.models import Workspace
from orchestrator.queries.runs import RunFilter, list_runs, runs_for
from tests.factories import actor_of, make_member, make_workspace
from tests.queries.plans import analyze
from tests.run_factories import make_log, make_run, make_undo_item, make_version, make_workflow

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("new_files")]
MANY = """
INSERT INTO orchestrator_run (id, workspace_id, workflow_id, version_id, state, control, finished_at, correlation_id,
    business_key, idempotency_digest, trigger, depth, priority, generation, xid)
SELECT gen_random_uuid(), %s, %s, %s, 'succeeded', '-', now(), 'c-' || n, 'order-' || n, '', 'api', 0, 100, 0, 0
FROM generate_series(1, 20000) n
"""


@pytest.fixture
def crowded() -> Workspace:
    """A workspace of twenty thousand runs, whose statistics are known."""
    workspace = make_workspace()
    version = make_version(make_workflow(workspace))
    with connection.cursor() as cursor:
        cursor.execute(MANY, [workspace.pk, version.workflow_id, version.pk])
    analyze()
    return workspace


def indexes(plan: dict[str, Any]) -> set[str]:
    """Every index that the plan reads."""
    below = (indexes(part) for part in plan.get("Plans", ()))
    return {plan["Index Name"]} if "Index Name" in plan else set().union(*below)


@pytest.mark.parametrize(
    ("wanted", "used"),
    [
        (RunFilter(business_key="order-77"), {"run_by_business_key"}),
        (RunFilter(correlation_id="c-77"), {"run_by_correlation"}),
        (RunFilter(any_key="order-77"), {"run_by_business_key", "run_by_correlation"}),
    ],
)
def test_a_key_is_found_by_its_index(crowded: Workspace, wanted: RunFilter, used: set[str]) -> None:
    actor = actor_of(crowded, make_member(crowded, "operator"))
    found = runs_for(actor).filter(wanted.condition()).order_by("-id")[:50]
    (plan,) = json.loads(found.explain(format="json"))
    assert used <= indexes(plan["Plan"]), plan
    assert [run.business_key for run in list_runs(actor, wanted, {}).items] == ["order-77"]


def test_a_key_of_another_workspace_is_not_found(crowded: Workspace) -> None:
    other = make_workspace()
    make_run(make_version(make_workflow(other)), business_key="order-1")
    actor = actor_of(other, make_member(other, "operator"))
    assert len(list_runs(actor, RunFilter(any_key="order-1"), {}).items) == 1
    assert list_runs(actor, RunFilter(any_key="order-2"), {}).items == []


def test_a_stuck_undo_is_found_by_its_index_whatever_its_run_does(crowded: Workspace) -> None:
    actor = actor_of(crowded, make_member(crowded, "operator"))
    run = make_run(make_version(make_workflow(crowded)), state="running")
    make_log(run, "a")
    make_undo_item(run, "a", "stuck")
    analyze()
    wanted = RunFilter(states=("undo_stuck", "failed"))
    found = runs_for(actor).filter(wanted.condition()).order_by("-id")[:50]
    (plan,) = json.loads(found.explain(format="json"))
    assert {"run_by_state", "orchestrator_run_pkey"} <= indexes(plan["Plan"]), plan
    assert [one.pk for one in list_runs(actor, wanted, {}).items] == [run.pk]
