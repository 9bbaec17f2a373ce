"""Runs over many items: short lists, `progress`, and items by pages."""

from datetime import UTC, datetime
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from orchestrator.models import Run, Scope, StepLog
from orchestrator.queries.live import read_changes
from tests.api.run_cast import RunCast
from tests.run_factories import (
    drawn,
    make_items,
    make_log,
    make_outputs,
    make_run,
    make_token,
    make_version,
    make_workflow,
    node_of,
)

pytestmark = pytest.mark.django_db

FAILED = frozenset({3, 500, 999})


@pytest.fixture
def cast(valkey: str) -> RunCast:
    return RunCast()


def list_run(cast: RunCast, total: int) -> tuple[Run, Scope]:
    """A for-each at work: all but the last five items have ended, some of them badly."""
    document = drawn("before -> each", "call", steps={"each": {"kind": "for_each"}, "call": {"parent": "each"}})
    run = make_run(make_version(make_workflow(cast.workspace), document))
    make_log(run, "before")
    make_token(run, "each", state="W", phase=1, waiting={"kind": "items", "text": f"Working through {total} items"})
    ended = range(total - 5)
    failed = FAILED.intersection(ended)
    block = make_items(run, "each", total=total, ok=len(ended) - len(failed), fail=len(failed))
    now, node = datetime.now(UTC), node_of(run, "call")
    StepLog.objects.bulk_create(
        StepLog(
            run=run, node=node, scope_id=block.pk + 1 + index, attempt=1, entry=10**9 + index, started_at=now,
            finished_at=now, xid=1,
            **({"outcome": "F", "error": {"code": "busy", "message": f"Item {index}."}} if index in failed
               else {"outcome": "S", "ports": ["out"]}),
        )
        for index in ended
    )  # fmt: skip
    return run, block


def changes(run: Run, after: int | None = None) -> list[Any]:
    return list(read_changes(run, after).changes)


def test_a_thousand_items_leave_the_list_short_in_as_many_statements_as_ten(cast: RunCast) -> None:
    few, _ = list_run(cast, 10)
    many, _ = list_run(cast, 1_000)
    counts = []
    for run in (few, many, few, many):
        with CaptureQueriesContext(connection) as captured:
            steps = cast.get(f"runs/{run.pk}/steps/")["steps"]
        counts.append(len(captured))
        assert [(step["key"], step["scope"]) for step in steps] == [("before", None), ("each", None)]
    assert counts[2] == counts[3]
    assert steps[0]["progress"] is None
    assert steps[1]["progress"] == {"total": 1_000, "ok": 993, "failed": 2}


def test_a_closed_run_says_nothing_false_of_the_steps_inside(cast: RunCast) -> None:
    run, _ = list_run(cast, 10)
    Run.objects.filter(pk=run.pk).update(state="cancelled", finished_at=datetime.now(UTC))
    assert "call" not in {step["key"] for step in cast.get(f"runs/{run.pk}/steps/")["steps"]}
    unbegun = make_run(run.version, state="cancelled")
    states = {step["key"]: step["state"] for step in cast.get(f"runs/{unbegun.pk}/steps/")["steps"]}
    assert states == {"before": "skipped", "each": "skipped", "call": "skipped"}


def test_the_live_frame_of_such_a_run_stays_small(cast: RunCast) -> None:
    run, _ = list_run(cast, 1_000)
    assert [change["key"] for change in changes(run)] == ["before", "each"]


@pytest.mark.django_db(transaction=True)
def test_progress_alone_is_a_change(cast: RunCast) -> None:
    run, block = list_run(cast, 10)
    seen = read_changes(run, None).seq
    assert read_changes(run, seen).changes == ()
    Scope.objects.filter(pk=block.pk).update(ok=6)
    (change,) = changes(run, seen)
    assert (change["key"], change["progress"]) == ("each", {"total": 10, "ok": 6, "failed": 1})


def test_one_scope_is_listed_when_asked_for(cast: RunCast) -> None:
    run, block = list_run(cast, 10)
    scope = str(block.pk + 4)
    (step,) = cast.get(f"runs/{run.pk}/steps/", scope=scope)["steps"]
    assert (step["key"], step["scope"], step["state"]) == ("call", scope, "failed")
    assert cast.get(f"runs/{run.pk}/steps/", scope=str(block.pk + 10))["steps"] == []


def pages(cast: RunCast, run: Run, **asked: Any) -> list[list[dict[str, Any]]]:
    found = []
    cursor: dict[str, Any] = {}
    while True:
        body = cast.get(f"runs/{run.pk}/steps/each/items/", limit=200, **asked, **cursor)
        found.append(body["items"])
        if body["next"] is None:
            return found
        cursor = {"cursor": body["next"]}


def test_items_come_failed_first_without_a_gap(cast: RunCast) -> None:
    run, block = list_run(cast, 1_000)
    make_token(run, "call", state="L", scope_id=block.pk + 996)
    make_token(run, "each", state="L", scope_id=block.pk, phase=2, signal={"lo": 996, "hi": 998})
    make_token(run, "call", state="W", scope_id=block.pk + 998)
    read = pages(cast, run)
    assert [len(page) for page in read] == [200] * 5
    items = [item for page in read for item in page]
    assert [item["index"] for item in items[:2]] == [3, 500]
    assert items[0]["error"] == {"code": "busy", "message": "Item 3."}
    assert [item["index"] for item in items[2:]] == [index for index in range(1_000) if index not in {3, 500}]
    assert [item["state"] for item in items[-5:]] == ["running", "running", "waiting", "not_begun", "not_begun"]
    assert {item["state"] for item in items[2:-5]} == {"succeeded"}
    assert [item["index"] for page in pages(cast, run, state="failed") for item in page] == [3, 500]
    assert [item["index"] for page in pages(cast, run, state="not_begun") for item in page] == [998, 999]


def test_items_take_one_statement_more_than_finding_the_run(cast: RunCast) -> None:
    run, _ = list_run(cast, 10)
    pages(cast, run)
    with CaptureQueriesContext(connection) as captured:
        pages(cast, run)
    assert len([query for query in captured if "orchestrator_steplog" in query["sql"]]) == 1


def test_a_for_each_not_begun_has_no_items_yet(cast: RunCast) -> None:
    run, _ = list_run(cast, 10)
    body = cast.get(f"runs/{make_run(run.version).pk}/steps/each/items/")
    assert body == {"progress": None, "items": [], "next": None}


@pytest.mark.parametrize(("asked", "code"), [({"cursor": "x"}, 400), ({"state": "odd"}, 400), ({"scope": "x"}, 400)])
def test_it_refuses_what_it_does_not_know(cast: RunCast, asked: dict[str, str], code: int) -> None:
    run, _ = list_run(cast, 10)
    assert cast.client.get(cast.url(f"runs/{run.pk}/steps/each/items/"), asked).status_code == code


def test_nobody_else_sees_items(cast: RunCast) -> None:
    run, _ = list_run(cast, 10)
    other = RunCast("elsewhere")
    for path in (f"runs/{run.pk}/steps/each/items/", f"runs/{run.pk}/steps/?scope=1"):
        assert other.client.get(other.url(path)).status_code == 404
        assert other.client.get(cast.url(path)).status_code == 404
    for key in ("before", "nowhere"):
        assert cast.client.get(cast.url(f"runs/{run.pk}/steps/{key}/items/")).status_code == 404


def test_a_step_inside_names_the_first_scopes_only(cast: RunCast) -> None:
    run, block = list_run(cast, 1_000)
    body = cast.get(f"runs/{run.pk}/steps/call/")
    assert body["scopes"] == [str(block.pk + 1 + index) for index in range(50)]
    assert body["step"]["scope"] == str(block.pk + 1)
    assert cast.get(f"runs/{run.pk}/steps/call/", scope=str(block.pk + 4))["step"]["state"] == "failed"


def test_the_panel_lists_items_and_each_opens_its_step_runs(cast: RunCast) -> None:
    run, block = list_run(cast, 1_000)
    address = f"/w/acme/runs/{run.pk}/"
    first = cast.client.get(f"{address}steps/each/?tab=steps").content.decode()
    assert "995 of 1,000 done, 2 failed" in first
    assert first.index(">Item 4<") < first.index(">Item 501<") < first.index(">Item 1<")
    assert f"?tab=steps&amp;item={block.pk + 4}" in first
    assert "items=1.48" in first
    second = cast.client.get(f"{address}steps/each/?tab=steps&items=1.48").content.decode()
    assert ">Item 50<" in second
    assert ">Item 4<" not in second
    inside = cast.client.get(f"{address}?tab=steps&item={block.pk + 4}").content.decode()
    assert "<strong>Item 4</strong> of 1000 of" in inside
    assert f"?tab=steps&amp;item={block.pk + 3}" in inside
    assert f"?tab=steps&amp;item={block.pk + 5}" in inside
    assert f"steps/call/?tab=steps&amp;scope={block.pk + 4}&amp;item={block.pk + 4}" in inside
    assert "Not reached" not in cast.client.get(f"{address}?tab=steps").content.decode()


@pytest.mark.parametrize("tab", ["timeline", "history"])
def test_an_item_is_opened_in_the_tab_that_is_shown(cast: RunCast, tab: str) -> None:
    run, block = list_run(cast, 1_000)
    address = f"/w/acme/runs/{run.pk}/"
    whole = cast.client.get(f"{address}?tab={tab}").content.decode()
    assert "steps/call/" not in whole
    assert f"?tab={tab}&amp;item={block.pk + 4}" in cast.client.get(f"{address}steps/each/?tab={tab}").content.decode()
    inside = cast.client.get(f"{address}?tab={tab}&item={block.pk + 4}").content.decode()
    assert "<strong>Item 4</strong> of 1000 of" in inside
    assert f"steps/call/?tab={tab}&amp;scope={block.pk + 4}" in inside
    assert "steps/before/" not in inside


@pytest.mark.parametrize("item", ["x", "-1", "7", "9" * 40])
def test_a_page_of_no_item_says_so(cast: RunCast, item: str) -> None:
    run, _ = list_run(cast, 10)
    assert cast.client.get(f"/w/acme/runs/{run.pk}/", {"tab": "steps", "item": item}).status_code == 404


def test_the_history_leaves_items_out_unless_asked_for_one(cast: RunCast) -> None:
    run, block = list_run(cast, 10)
    assert {item["step"] for item in cast.get(f"runs/{run.pk}/history/")["items"]} == {None, "before"}
    (own,) = cast.get(f"runs/{run.pk}/history/", scope=str(block.pk + 4))["items"]
    assert (own["step"], own["what"], own["error"]["code"]) == ("call", "failed", "busy")
    assert cast.client.get(cast.url(f"runs/{run.pk}/history/"), {"scope": "x"}).status_code == 400


def test_a_long_timeline_comes_by_pages(cast: RunCast) -> None:
    document = drawn(*(f"s{number} -> join" for number in range(250)), steps={"join": {"kind": "merge"}})
    run = make_run(make_version(make_workflow(cast.workspace), document), state="succeeded")
    now = datetime.now(UTC)
    StepLog.objects.bulk_create(
        StepLog(
            run=run, node=node, scope_id=0, attempt=1, entry=10**9 + node, outcome="S", ports=["out"], started_at=now,
            finished_at=now, xid=1,
        )
        for node in range(251)
    )  # fmt: skip
    address = f"/w/acme/runs/{run.pk}/?tab=timeline"
    pages = [cast.client.get(f"{address}{cursor}").content.decode() for cursor in ("", "&cursor=100", "&cursor=200")]
    assert [page.count("timeline-lane") for page in pages] == [100, 100, 51]
    assert "?tab=timeline&amp;cursor=100" in pages[0]
    assert "251 in all" in pages[0]
    assert cast.client.get(f"{address}&cursor=x").status_code == 400


def test_outputs_too_large_to_be_one_value_are_named_and_read_item_by_item(cast: RunCast) -> None:
    document = drawn("each", "call", steps={"each": {"kind": "for_each"}, "call": {"parent": "each"}})
    run = make_run(make_version(make_workflow(cast.workspace), document), state="succeeded")
    kept = make_outputs(run, "each", "call", ["first", "second", "third"])
    make_log(run, "each", output_ref=kept.pk)
    Run.objects.filter(pk=run.pk).update(output_ref=kept.pk)
    where = {"step": "each", "run": str(run.pk), "total": 3, "bytes": 9_000_000}
    for address in (f"runs/{run.pk}/", f"runs/{run.pk}/steps/each/"):
        answer = cast.get(address)
        assert (answer["output"], answer["outputs_of"]) == (None, where)
    items = cast.get(f"runs/{run.pk}/steps/each/items/")["items"]
    inside = [cast.get(f"runs/{run.pk}/steps/call/?scope={item['scope']}") for item in items]
    assert [(one["output"], one["outputs_of"]) for one in inside] == [(v, None) for v in ("first", "second", "third")]
