"""A wait for an event, drawn by hand and watched until the event comes."""

from typing import TYPE_CHECKING
from uuid import uuid4

import pytest
from playwright.sync_api import expect

from designer.queries.drafts import load_draft
from designer.services.workflows import create_workflow
from orchestrator.models.workspace import Role
from orchestrator.services.events import publish_event
from orchestrator.services.members import machine_actor
from tests.browser.axe import violations
from tests.browser.canvas import Canvas
from tests.browser.runs import started
from tests.browser.site import Site
from tests.core.drawings import raw_document, step

if TYPE_CHECKING:
    from orchestrator.core.json_types import Json

DRAWN = raw_document([step("order", at=[0, 0], config={"value": 17})], name="Orders")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_is_drawn_with_its_condition_and_its_deadline(site: Site, scheme: str) -> None:
    ada = site.member("ada", Role.EDITOR)
    workflow = create_workflow(name="Orders", actor=site.actor(ada), document=DRAWN)
    page = site.page_of(ada, scheme=scheme)
    page.goto(site.url(f"workflows/{workflow.slug}/"))
    canvas = Canvas(page)
    canvas.pull_into_space("order", "out", (180, 0), "Wait for event")
    wait = canvas.step("wait_for_event")
    expect(canvas.problems).to_contain_text("type")
    canvas.open("wait_for_event")
    expect(canvas.port("wait_for_event", "timeout")).to_have_count(0)
    canvas.field("config.type").get_by_role("textbox").fill("order.paid")
    canvas.write_expression("config.key", "steps.order")
    where = canvas.field("config.where")
    # A condition is an expression without asking for one.
    expect(where.get_by_role("button", name="Use an expression")).to_have_count(0)
    where.get_by_role("textbox").fill("event.data.amount > 100")
    expect(where.locator(".preview")).to_contain_text('Shown once a run has been through step "wait_for_event"')
    canvas.field("config.deadline").get_by_role("textbox").fill("2 d")
    expect(canvas.port("wait_for_event", "timeout")).to_be_visible()
    expect(wait).to_contain_text("order.paid for steps.order")
    expect(canvas.problems).to_contain_text("No problems")
    canvas.saved()
    config = load_draft(workflow).document["steps"][1]["config"]
    assert config == {
        "type": "order.paid",
        "key": {"$": "steps.order"},
        "where": {"$": "event.data.amount > 100"},
        "deadline": "P2D",
    }
    assert violations(page) == []
    where.get_by_role("textbox").fill("")
    canvas.saved()
    expect(where.locator(".preview")).to_have_count(0)
    assert "where" not in load_draft(workflow).document["steps"][1]["config"]


PAID = {"type": "order.paid", "key": {"$": "steps.order"}, "deadline": "P2D"}
WAITING = raw_document(
    [
        step("order", at=[0, 0], config={"value": 17}),
        step("paid", "wait_event", at=[288, 0], config=PAID),
        step("ship", at=[576, 0], config={"value": {"$": "steps.paid.data.amount"}}),
    ],
    "order -> paid, paid -> ship",
    name="Paid orders",
)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_run_page_says_which_event_and_moves_on_with_it(site: Site, scheme: str) -> None:
    ada = site.member("ada", Role.OPERATOR)
    run = started(site.workspace, WAITING)
    page = site.page_of(ada, scheme=scheme)
    page.goto(site.url(f"runs/{run.pk}/"))
    state = page.locator('.react-flow__node[data-id="paid"]')
    expect(state).to_contain_text("Waiting for the event order.paid with key 17")
    expect(page.locator("#run-header")).to_contain_text("Running")
    assert violations(page) == []
    expect(page.get_by_text("Live", exact=True)).to_be_visible()
    event: dict[str, Json] = {"source": "/shop", "type": "order.paid", "key": "17", "data": {"amount": 120}}
    publish_event(actor=machine_actor(site.workspace), event={"id": str(uuid4()), **event})
    # Nothing reloads this page: the socket tells it.
    expect(page.locator('.react-flow__node[data-id="ship"]')).to_contain_text("Succeeded")
    expect(page.locator("#run-header")).to_contain_text("Succeeded")
