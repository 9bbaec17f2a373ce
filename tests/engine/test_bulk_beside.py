"""A dry run of many runs says what they do to each other under a limit of open runs, and that comes true."""

from collections.abc import Sequence
from uuid import UUID

import pytest

from orchestrator.engine.sandbox import Sandbox
from orchestrator.models import Run, RunRecord
from orchestrator.services.bulk import BulkResult, change_runs
from orchestrator.services.control import cancel_run, pause_run
from tests.engine.drawings import document
from tests.engine.house import House, keeper_at_work, make_tools, worker_at_work
from tests.engine.limited import limited, queued, state
from tests.engine.test_queued_runs import FAILS
from tests.waiting import wait_until


def failed_runs(house: House, sandbox: Sandbox, raw: dict[str, object], count: int) -> list[UUID]:
    """So many failed runs, one after the other; nobody works when they are retried."""
    version = house.publish(raw)
    found = []
    with worker_at_work(make_tools(sandbox)) as house.worker:
        for _ in range(count):
            found.append(house.start(version))
            assert house.end_of(found[-1]).state == "failed"
    house.worker = None
    return found


def told(results: Sequence[BulkResult]) -> list[tuple[bool, str, bool]]:
    return [(result.ok, result.code, result.queued) for result in results]


@pytest.mark.parametrize("newest_first", [False, True])
@pytest.mark.parametrize("others", [0, 1])
def test_runs_that_share_a_limit_wait_in_line(house: House, sandbox: Sandbox, newest_first: bool, others: int) -> None:
    runs = failed_runs(house, sandbox, limited(2, "queue", FAILS), 5)
    version = Run.objects.get(pk=runs[0]).version
    for _ in range(others):
        house.start(version)
    asked = runs[::-1] if newest_first else runs
    at_once = 2 - others
    foreseen = change_runs("retry", asked, house.actor, dry_run=True)
    assert [result.queued for result in foreseen] == [False] * at_once + [True] * (5 - at_once)
    assert {result.message for result in foreseen if result.queued} == {
        "It then waits in line: 2 runs of its workflow may be open at once."
    }
    assert not RunRecord.objects.filter(kind="retried").exists()
    done = change_runs("retry", asked, house.actor)
    assert told(done) == told(foreseen)
    assert [result.queued for result in done] == queued(*asked)


def test_runs_under_other_keys_do_not_count(house: House, sandbox: Sandbox) -> None:
    raw = limited(1, "queue", FAILS, key={"$": "input.customer"})
    version = house.publish(raw)
    runs = []
    with worker_at_work(make_tools(sandbox)) as house.worker:
        for customer in ("ada", "bob", "ada"):
            runs.append(house.start(version, {"customer": customer}))
            assert house.end_of(runs[-1]).state == "failed"
    house.worker = None
    foreseen = change_runs("retry", runs, house.actor, dry_run=True)
    assert [result.queued for result in foreseen] == [False, False, True]
    assert told(change_runs("retry", runs, house.actor)) == told(foreseen)


def test_paused_runs_of_a_line_wait_in_it_again(house: House) -> None:
    version = house.publish(limited(1))
    first, second, third = (house.start(version) for _ in range(3))
    for run in (second, third):
        pause_run(run, house.actor)
    cancel_run(first, house.actor)
    foreseen = change_runs("resume", [second, third], house.actor, dry_run=True)
    assert told(foreseen) == [(True, "", False), (True, "", True)]
    assert all(result.ok for result in change_runs("resume", [second, third], house.actor))
    with keeper_at_work(lambda: None):  # lets go who is resumed while there is a slot
        wait_until(lambda: queued(second) == [False], 10, "the first of them to go on")
    assert queued(third) == [True]


def test_newer_runs_take_the_places_of_older_ones(house: House, sandbox: Sandbox) -> None:
    runs = failed_runs(house, sandbox, limited(2, "replace", FAILS), 4)
    foreseen = change_runs("retry", runs, house.actor, dry_run=True)
    assert told(foreseen) == [(True, "", False)] * 4
    assert ["takes its place" in result.message for result in foreseen] == [True, True, False, False]
    change_runs("retry", runs, house.actor)
    assert [state(run) for run in runs] == ["cancelled", "cancelled", "running", "running"]


def test_older_runs_are_refused_once_newer_ones_are_open(house: House, sandbox: Sandbox) -> None:
    runs = failed_runs(house, sandbox, limited(2, "replace", FAILS), 4)[::-1]
    foreseen = change_runs("retry", runs, house.actor, dry_run=True)
    assert told(foreseen) == [(True, "", False)] * 2 + [(False, "newer_run_open", False)] * 2
    assert told(change_runs("retry", runs, house.actor)) == told(foreseen)


def test_of_runs_with_one_business_key_one_is_retried(house: House, sandbox: Sandbox) -> None:
    runs = failed_runs(house, sandbox, document([FAILS]), 3)
    Run.objects.filter(pk__in=runs[:2]).update(business_key="order-7")
    foreseen = change_runs("retry", runs, house.actor, dry_run=True)
    assert told(foreseen) == [(True, "", False), (False, "business_key_open", False), (True, "", False)]
    assert told(change_runs("retry", runs, house.actor)) == told(foreseen)


def test_pausing_and_cancelling_need_no_slot(house: House) -> None:
    version = house.publish(limited(1))
    runs = [house.start(version) for _ in range(2)]
    for action in ("pause", "cancel"):
        foreseen = change_runs(action, runs, house.actor, dry_run=True)
        assert [(result.ok, result.message) for result in foreseen] == [(True, "")] * 2
