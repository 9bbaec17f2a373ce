"""A join's result in the inspector: offered while somebody types, tried on what is known, refused elsewhere."""

import re

import pytest
from playwright.sync_api import Route, expect

from designer.services.workflows import create_workflow
from orchestrator.models.workspace import Role
from tests.browser.axe import violations
from tests.browser.canvas import Canvas
from tests.browser.site import Site
from tests.core.drawings import raw_document, step

READS = re.compile(r"/draft/preview/\?")
PLAIN = {"value": 1}
DRAWN = raw_document(
    [
        step("pay", at=[0, 0], config=PLAIN),
        step("reserve", at=[0, 200], config=PLAIN),
        step("ship", at=[320, 100], config=PLAIN),
    ],
    "pay -> ship",
    name="Orders",
)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_an_expression_where_branches_meet_reads_what_became_of_them(site: Site, scheme: str) -> None:
    ada = site.member("ada", Role.EDITOR)
    workflow = create_workflow(name="Orders", actor=site.actor(ada), document=DRAWN)
    page = site.page_of(ada, scheme=scheme)
    page.goto(site.url(f"workflows/{workflow.slug}/"))
    canvas = Canvas(page)
    canvas.open("ship")
    canvas.field("config.value").get_by_role("button", name="Use an expression").click()
    text, offered = canvas.field("config.value").get_by_role("textbox"), page.get_by_label("Completions")
    text.fill("join.arrived")
    expect(canvas.problems).to_contain_text("but 1 edge leads to it")
    canvas.connect("reserve", "out", "ship")
    expect(canvas.problems).to_contain_text("No problems")
    canvas.saved()
    held: list[Route] = []
    page.route(READS, lambda route: held.append(route))
    with page.expect_request(READS):
        text.fill("")
    text.press_sequentially("join.branches.")
    expect(offered).to_have_count(0)
    for route in held:
        route.continue_()
    page.unroute(READS)
    # What can be read came after the last letter.
    expect(offered.get_by_role("option")).to_contain_text(["pay", "reserve"])
    text.fill("join.arrived")
    expect(canvas.field("config.value").locator(".preview")).to_have_text('= ["pay","reserve"]')
    text.fill("[join, join]")
    expect(canvas.field("config.value").locator(".preview")).to_contain_text("…")
    assert violations(page, only=["scrollable-region-focusable"]) == []
    text.fill("join.arrived")
    page.get_by_role("tab", name="Input").click()
    expect(canvas.inspector).to_contain_text("Expressions of this step read what became of them as join.")
    expect(canvas.inspector.get_by_role("button", name="Copy join.missing")).to_be_visible()
    expect(canvas.inspector.get_by_text("out", exact=True)).to_have_count(0)  # the usual way needs no word
    assert violations(page) == []
    canvas.inspector.get_by_role("button", name="Remove the connection with Reserve").click()
    expect(canvas.problems).to_contain_text("but 1 edge leads to it")
    expect(canvas.inspector.get_by_role("button", name="Copy join.missing")).to_have_count(0)
