"""Under a limit whose newer runs replace older ones: what has been replaced stays as it ended."""

from typing import Any
from uuid import UUID

import pytest

from orchestrator.engine.sandbox import Sandbox
from orchestrator.models import Run, RunRecord
from orchestrator.services.bulk import change_runs
from orchestrator.services.control import cancel_run
from orchestrator.services.reopen import retry_run
from orchestrator.services.repeat_preview import preview_rerun, preview_retry
from orchestrator.services.rerun import rerun_step
from orchestrator.services.run_limit import NewerRunOpen
from orchestrator.services.skip import skip_step
from tests.engine.drawings import step
from tests.engine.house import House
from tests.engine.limited import limited, queued, state
from tests.engine.test_queued_runs import FAILS, failed_beside_one_at_work

REPEATED: dict[str, Any] = {
    "retry": lambda run, actor: retry_run(run, actor),
    "skip": lambda run, actor: skip_step(run, "a", actor, output=1),
    "rerun": lambda run, actor: rerun_step(run, "a", actor),
    "preview of a retry": lambda run, actor: preview_retry(run, actor),
    "preview of a rerun": lambda run, actor: preview_rerun(run, "a", actor),
}


@pytest.fixture
def replaced(house: House, sandbox: Sandbox) -> tuple[UUID, UUID]:
    """A failed run, and a newer one that is open."""
    return failed_beside_one_at_work(house, sandbox, limited(1, "replace", FAILS, step("b")))


@pytest.mark.parametrize("how", REPEATED)
def test_a_failed_run_is_not_repeated_beside_the_newer_one(house: House, replaced: tuple[UUID, UUID], how: str) -> None:
    first, second = replaced
    before = Run.objects.filter(pk=first).values().get(), RunRecord.objects.filter(run_id=first).count()
    with pytest.raises(NewerRunOpen, match=f"run {second}") as refused:
        REPEATED[how](first, house.actor)
    assert (refused.value.error_code, refused.value.status) == ("newer_run_open", 409)
    assert refused.value.details == {"run": str(second)}
    assert before == (Run.objects.filter(pk=first).values().get(), RunRecord.objects.filter(run_id=first).count())
    assert state(second) == "running"


def test_many_retried_at_once_are_told_so(house: House, replaced: tuple[UUID, UUID]) -> None:
    for dry_run in (True, False):
        (result,) = change_runs("retry", [replaced[0]], house.actor, dry_run=dry_run)
        assert (result.ok, result.state, result.code) == (False, "failed", "newer_run_open")


def test_it_is_retried_when_the_newer_one_has_ended(house: House, replaced: tuple[UUID, UUID]) -> None:
    first, second = replaced
    cancel_run(second, house.actor)
    retry_run(first, house.actor)
    assert (state(first), queued(first)) == ("running", [False])


def test_a_newer_run_that_is_retried_replaces_the_older_one(house: House) -> None:
    version = house.publish(limited(1, "replace"))
    older, newer = house.start(version), house.start(version)
    cancel_run(newer, house.actor)
    rerun_step(older, "a", house.actor)
    rerun_step(newer, "a", house.actor)
    assert (state(older), state(newer)) == ("cancelled", "running")


def test_two_of_two_newer_ones_leave_no_room_but_one_does(house: House) -> None:
    version = house.publish(limited(2, "replace"))
    first, second, third = (house.start(version) for _ in range(3))
    assert state(first) == "cancelled"
    with pytest.raises(NewerRunOpen):
        rerun_step(first, "a", house.actor)
    cancel_run(second, house.actor)
    rerun_step(first, "a", house.actor)
    assert (state(first), state(third), queued(first)) == ("running", "running", [False])
