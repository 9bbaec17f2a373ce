"""What a wait costs that looks back: in a sub-workflow it looks at the runs of its own call only."""

import json
from typing import Any

import pytest
from django.db import connection

from orchestrator.models import Event, Run, Scope, Token, Workspace
from orchestrator.models.scope import BLOCK
from tests.factories import make_workspace
from tests.run_factories import (
    drawn,
    make_delivery,
    make_event,
    make_event_wait,
    make_log,
    make_run,
    make_version,
    make_workflow,
)

pytestmark = pytest.mark.django_db
ITEMS = 60


def kept(workspace: Workspace, token: Token) -> tuple[int | None, int]:
    """The event that it finds, and how often scopes were looked up for that."""
    await_ = json.dumps({"workspace": workspace.pk, "type": "order.paid", "key": "k"})
    scans = "SELECT idx_scan FROM pg_stat_xact_user_tables WHERE relname = 'orchestrator_scope'"
    with connection.cursor() as cursor:
        cursor.execute(scans)
        ((before,),) = cursor.fetchall()
        cursor.execute(
            "SELECT (branchline_kept_event(k, %s, '')).id FROM orchestrator_token k WHERE k.id = %s", [await_, token.pk]
        )
        ((found,),) = cursor.fetchall()
        cursor.execute(scans)
        ((after,),) = cursor.fetchall()
    return found, after - before


def test_items_that_call_do_not_look_at_each_other() -> None:
    workspace = make_workspace()
    version = make_version(make_workflow(workspace), drawn("a -> b"))
    root = make_run(version)
    block = Scope.objects.create(id=BLOCK * 5_000, run=root, parent=0, node=1, token_id=1, total=ITEMS + 1)
    event = make_event(workspace, key="k")
    for index in range(ITEMS):
        had(event, child(root, block, index, state="succeeded"))
    one = child(root, block, ITEMS)
    token = make_event_wait(one, "a", "order.paid", "k")
    found, looked = kept(workspace, token)
    assert found == event.pk
    assert looked < ITEMS
    had(event, child(root, block, ITEMS, state="succeeded"))
    assert kept(workspace, token)[0] is None, "another run of its own call has had it"


def child(root: Run, block: Scope, index: int, *, state: str = "running") -> Run:
    place: dict[str, Any] = {"parent_node": 1, "parent_generation": 0, "parent_scope": block.pk + 1 + index}
    run = make_run(root.version, state=state, parent_run=root, root_run=root, depth=1, **place)
    asked = json.dumps({**place, "parent_run": str(root.pk), "version": root.version_id})
    with connection.cursor() as cursor:
        cursor.execute("UPDATE orchestrator_run SET call = branchline_call(%s) WHERE id = %s", [asked, run.pk])
    return run


def had(event: Event, run: Run) -> None:
    make_delivery(event, run, "a")
    make_log(run, "a")
