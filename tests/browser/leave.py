"""Runs of the sample "leave request", which wait for an approver."""

from typing import TYPE_CHECKING
from uuid import UUID

from designer.samples.load import load
from orchestrator.models import HumanTask, User, Workflow
from orchestrator.models.task import WAITING_TASK
from orchestrator.services.members import machine_actor
from orchestrator.services.runs import start_run
from tests.browser.site import Site
from tests.waiting import wait_until

if TYPE_CHECKING:
    from orchestrator.core.json_types import Json


def ask_for_leave(site: Site, asks: User, employee: str = "Ann Lee") -> UUID:
    """Load the samples when they are missing and start one; returns the run once its form is open."""
    load(site.workspace, machine_actor(site.workspace))
    workflow = Workflow.objects.select_related("live_version").get(workspace=site.workspace, slug="leave-request")
    wish: Json = {
        "employee": employee,
        "email": "a@example.org",
        "first_day": "2026-07-01",
        "days": 4,
        "kind": "holiday",
    }
    run_id = start_run(workflow=workflow, input=wish, actor=site.actor(asks)).run_id
    wait_until(HumanTask.objects.filter(run_id=run_id, state__in=WAITING_TASK).exists, 30, "the form to open")
    return run_id
