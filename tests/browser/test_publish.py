"""Publishing with warnings: the dialog tells them, leads to their step, and does not stand in the way."""

import re

import pytest
from playwright.sync_api import Locator, Page, expect

from designer.services.workflows import create_workflow
from orchestrator.models.workspace import Role
from tests.browser.axe import violations
from tests.browser.canvas import Canvas
from tests.browser.site import Site
from tests.core.drawings import raw_document, step
from tests.designer_cast import document, transform

NO_SUCH = 'Step "bill" runs the workflow "bill-it", which is not in this workspace.'
NOT_LIVE = 'Step "ship" runs the workflow "ship-it", which has no live version.'


def runs(key: str, workflow: str, x: int) -> dict[str, object]:
    return step(key, kind="sub_workflow", at=[x, 0], config={"workflow": workflow})


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_warnings_are_told_by_the_dialog_and_do_not_keep_from_publishing(site: Site, scheme: str) -> None:
    ada = site.member("ada", Role.EDITOR)
    create_workflow(name="Ship it", actor=site.actor(ada), document=document(transform("a"), name="Ship it"))
    drawn = raw_document([runs("bill", "bill-it", 0), runs("ship", "ship-it", 280)], name="Orders")
    orders = create_workflow(name="Orders", actor=site.actor(ada), document=drawn)
    page = site.page_of(ada, scheme=scheme)
    page.goto(site.url(f"workflows/{orders.slug}/"))
    canvas = Canvas(page)
    expect(canvas.problems).to_contain_text("2 warnings")

    dialog = opened(page)
    expect(dialog).to_contain_text("2 warnings do not keep it from being published:")
    expect(dialog).to_contain_text("The first version:")
    for warning in (NO_SUCH, NOT_LIVE):
        expect(dialog.get_by_role("button", name=warning)).to_be_visible()
    assert violations(page) == []

    to(page, dialog.get_by_role("button", name=NOT_LIVE))
    page.keyboard.press("Enter")
    expect(dialog).to_be_hidden()
    expect(canvas.step("ship")).to_have_class(re.compile("selected"))
    expect(canvas.inspector).to_contain_text("ship-it")

    dialog = opened(page)
    to(page, dialog.get_by_label("Note"))
    page.keyboard.type("With both to come")
    to(page, dialog.get_by_role("button", name="Publish", exact=True))
    page.keyboard.press("Enter")
    expect(dialog).to_be_hidden()
    expect(page.get_by_role("status").filter(has_text="Version 1 is live.")).to_be_visible()
    assert list(orders.versions.values_list("number", "note")) == [(1, "With both to come")]


def opened(page: Page) -> Locator:
    """The dialog, by the list of commands."""
    page.keyboard.press("Control+k")
    expect(page.get_by_role("dialog", name="Commands")).to_be_visible()
    page.keyboard.type("Publish")
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog", name="Publish")
    expect(dialog).to_be_visible()
    return dialog


def to(page: Page, wanted: Locator) -> None:
    """Press Tab until it has the focus."""
    for _ in range(12):
        if wanted.evaluate("(element) => element === document.activeElement"):
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"Twelve times Tab did not lead to {wanted}")
